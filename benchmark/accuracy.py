"""Accuracy of the decoders on a real recording and on synthetic subjects; prints tables.

    python benchmark/accuracy.py
    python benchmark/accuracy.py --decoders kalman kernel_ridge
    python benchmark/accuracy.py --part synthetic

The real recording is that of the JHU (EMGHAND_DATA, default ../shared/data): first 70 % of the
ticks train, last 30 % test. Every statistic (normalisation, penalties, noise) is that of the train
part, and so is every choice: features and parameters are those with the least error when the train
part is cut into five pieces and each one is left out in turn ("CV" in the table: 1 - that error).
Nothing was chosen by the last 30 %. The null test is the same with the EMG rolled by half of the
recording, so that it belongs to other movements. Synthetic subjects are recorded twice: one run to
train, another one to test.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from emghand.decoders import decoder_kinds
from emghand.dofs import DEFAULT_DOFS, Dof, dof_names
from emghand.errors import UserError
from emghand.evaluate.metrics import Scores, masked_r2, score
from emghand.evaluate.offline import evaluate
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.storage.datasets import is_camera_glitch, read_jhu
from emghand.storage.recording import Recording
from emghand.tasks.movements import Movement, MovementSet, Schedule
from emghand.training import Dataset, TrainSettings, dataset_from_recording, fit, train
from emghand.training.search import search

JHU_RATE = 60.0
"""Uniform grid [Hz]; 2 samples per tick make 30 Hz, 15 hops 500 ms."""

JHU_FEATURES = FeatureSettings(
    hop=2, window_hops=15, bandpass_low=0.0, bandpass_high=0.0, notch_hz=0.0, transform="sqrt"
)
MAV_WL = dataclasses.replace(JHU_FEATURES, features=("mav", "wl"))
LAGS_100_200_300_MS = (3, 6, 9)
TEN_LAGS = tuple(range(3, 31, 3))
"""Ten delayed copies, up to one second ago."""

TRAIN_PART = 0.7

Choice = tuple[FeatureSettings, TrainSettings]

CHOICES: dict[str, tuple[Choice, ...]] = {
    "kernel_ridge": tuple(
        (features, TrainSettings("kernel_ridge", delays, max_lag_s=0.0, search=grid))
        for features in (JHU_FEATURES, MAV_WL)
        for delays in (TEN_LAGS,)
        for grid in ({"gamma": (0.1, 0.3, 1.0), "penalty": (1e-4, 1e-3)},)
    ),
    "svr": (
        (
            MAV_WL,
            TrainSettings("svr", TEN_LAGS, max_lag_s=0.0, search={"gamma": (0.1, 0.3, 1.0)}),
        ),
    ),
    "trees": tuple(
        (features, TrainSettings("trees", TEN_LAGS, max_lag_s=0.0, search={"min_leaf": (5, 20)}))
        for features in (JHU_FEATURES, MAV_WL)
    ),
}
"""What is tried for a decoder. Others run with their defaults, with and without delayed copies."""


@dataclass(frozen=True)
class Found:
    """Of one decoder on the JHU recording.

    Parameters
    ----------
    features : FeatureSettings
    settings : TrainSettings
        With the parameters chosen.
    cv : float
        1 - relative error of the pieces left out; NaN when nothing was searched.
    scores : Scores
        Of the raw x_hat of the last 30 %, against x_d at the same moment.
    clean : float
        Mean R² without camera glitches.
    glitches : float
        Their share of the labels.
    ticks : int
    search_s, fit_s, step_us : float
        Times of the search, of the fit that follows, and of one step.
    """

    features: FeatureSettings
    settings: TrainSettings
    cv: float
    scores: Scores
    clean: float
    glitches: float
    ticks: int
    search_s: float
    fit_s: float
    step_us: float


def jhu_parts(recording: Recording, features: FeatureSettings) -> tuple[Dataset, Dataset]:
    """First 70 % and last 30 % of the ticks."""
    assert recording.x_d is not None
    data = dataset_from_recording(recording, features, [Dof(n) for n in recording.x_d.names])
    first = np.arange(len(data)) < TRAIN_PART * len(data)
    return data.rows(first), data.rows(~first)


def jhu(recording: Recording, *choices: Choice) -> Found:
    """The choice with the least error in the train part, on the last 30 %."""
    start = time.perf_counter()
    best: tuple[float, FeatureSettings, TrainSettings] | None = None
    for features, settings in choices:
        error = float("nan")
        if settings.search:
            seen, _ = jhu_parts(recording, features)
            first = search(seen, settings)[0]
            error = first.error
            params = {**settings.params, **first.params}
            settings = dataclasses.replace(settings, params=params, search={})
        if best is None or error < best[0]:
            best = (error, features, settings)
    assert best is not None
    error, features, settings = best
    search_s = time.perf_counter() - start
    seen, unseen = jhu_parts(recording, features)
    start = time.perf_counter()
    fitted = fit(seen, settings)
    fit_s = time.perf_counter() - start
    start = time.perf_counter()
    x_hat = fitted.predict(unseen)
    step_us = (time.perf_counter() - start) / len(unseen) * 1e6
    # Every tick with camera images before and after it counts, however far apart these are.
    assert recording.x_d is not None
    scored = unseen.stamps_ns <= recording.x_d.stamps_ns[-1]
    x_hat, x_d = x_hat[scored], unseen.X[scored]
    glitch = is_camera_glitch(x_d)
    return Found(
        features=features,
        settings=settings,
        cv=1.0 - error,
        scores=score(x_d, x_hat, dof_names(unseen.dofs)),
        clean=float(masked_r2(x_d, x_hat, ~glitch).mean()),
        glitches=float(glitch.mean()),
        ticks=len(x_d),
        search_s=search_s if settings.params else 0.0,
        fit_s=fit_s,
        step_us=step_us,
    )


def rolled(recording: Recording) -> Recording:
    """The EMG rolled by half of the recording; the labels stay."""
    samples = np.concatenate([b.samples for b in recording.blocks])
    samples = np.roll(samples, len(samples) // 2, axis=0)
    ends = np.cumsum([len(b.samples) for b in recording.blocks])
    parts = np.split(samples, ends[:-1])
    blocks = [
        dataclasses.replace(block, samples=part)
        for block, part in zip(recording.blocks, parts, strict=True)
    ]
    return dataclasses.replace(recording, blocks=blocks)


def movement_set(repetitions: int) -> MovementSet:
    """Every DOF both ways, and three movements of several DOFs."""
    single = [
        Movement(f"{d.name}{'+' if sign > 0 else '-'}", {d.name: sign})
        for d in DEFAULT_DOFS
        for sign in (1.0, -1.0)
    ]
    fingers = dof_names(DEFAULT_DOFS)[:5]
    several = [
        Movement("fist", dict.fromkeys(fingers, 1.0)),
        Movement("open", dict.fromkeys(fingers, -1.0)),
        Movement("pinch", {"thumb_flex": 1.0, "index_flex": 1.0}),
    ]
    return MovementSet("accuracy", DEFAULT_DOFS, (*single, *several), repetitions)


def synthetic_recording(person: int, run: int, repetitions: int) -> Recording:
    """One run of a synthetic person."""
    schedule = Schedule(movement_set(repetitions), shuffle=True, seed=100 * run + person)
    return simulate_recording(schedule, SyntheticSettings(seed=person, run=run))


def print_jhu(console: Console, kinds: list[str], folder: Path) -> None:
    """Table of the real recording."""
    try:
        recording = read_jhu(folder, rate=JHU_RATE)
    except UserError as error:
        console.print(f"JHU left out: {error}")
        return
    null = rolled(recording)
    table = Table(title="JHU, raw x_hat, R² on the last 30 %; chosen by CV within the first 70 %")
    fingers = ("thumb", "index", "middle", "ring", "little")
    headings = ("decoder", "features", "lags [s]", "chosen", "CV", *fingers, "mean")
    for heading in (*headings, "no glitches", "null", "search [s]", "fit [s]", "step [µs]"):
        table.add_column(heading)
    ticks, share = 0, 0.0
    for kind in kinds:
        plain = [
            ((JHU_FEATURES, TrainSettings(kind, delays, max_lag_s=0.0, params=params)),)
            for delays, params in (((), {"delays": ()}), (LAGS_100_200_300_MS, {}))
        ]
        for choices in [CHOICES[kind]] if kind in CHOICES else plain:
            try:
                found = jhu(recording, *choices)
                nothing = jhu(null, (found.features, found.settings))
            except UserError as error:
                console.print(f"{kind} left out: {error}")
                break
            ticks, share = found.ticks, 100 * found.glitches
            settings = found.settings
            lags = settings.delays
            chosen = {k: v for k, v in settings.params.items() if k != "delays"}
            table.add_row(
                kind,
                "+".join(found.features.features),
                f"{len(lags)} to {lags[-1] / 30:.1f}" if lags else "0",
                " ".join(f"{k}={v:g}" for k, v in chosen.items()),
                f"{found.cv:.3f}" if np.isfinite(found.cv) else "",
                *(f"{v:.3f}" for v in (*found.scores.r2, found.scores.mean_r2, found.clean)),
                f"{nothing.scores.mean_r2:.3f}",
                f"{found.search_s:.0f}",
                f"{found.fit_s:.1f}",
                f"{found.step_us:.0f}",
            )
    console.print(table)
    console.print(f"{ticks} ticks; glitches (angle < 20°): {share:.1f} % of them")


def print_synthetic(console: Console, kinds: list[str]) -> None:
    """Table of the synthetic subjects."""
    table = Table(title="Synthetic subjects, 6 DOFs, default features, unseen repetitions, mean R²")
    headings = ("decoder", "person", "lag [ms]", "x_hat lag", "x_hat", "out lag", "out", "unint.")
    for heading in (*headings, "fit [s]"):
        table.add_column(heading)
    for person in (1, 2, 3):
        seen, unseen = (synthetic_recording(person, run, 3 - run) for run in (0, 1))
        dataset = dataset_from_recording(seen, FeatureSettings())
        for decoder in kinds:
            start = time.perf_counter()
            try:
                model = train(dataset, TrainSettings(decoder))
            except UserError as error:
                console.print(f"{decoder} left out: {error}")
                continue
            took = time.perf_counter() - start
            result = evaluate(model, [unseen])
            numbers = (
                result.x_hat_compensated.mean_r2,
                result.x_hat.mean_r2,
                result.out_x_hat_compensated.mean_r2,
                result.out_x_hat.mean_r2,
                float(np.nanmean(result.out_x_hat_compensated.unintended)),
            )
            table.add_row(
                decoder,
                str(person),
                f"{result.lag_s * 1e3:.0f}",
                *(f"{v:.3f}" for v in numbers),
                f"{took:.1f}",
            )
    console.print(table)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Accuracy of the decoders.")
    parser.add_argument("--decoders", nargs="+", default=list(decoder_kinds()), metavar="KIND")
    parser.add_argument("--part", choices=("jhu", "synthetic"), help="only this one")
    args = parser.parse_args()
    console = Console(width=180)
    folder = Path(os.environ.get("EMGHAND_DATA", "../shared/data")) / "jhu_myo_mediapipe"
    if args.part != "synthetic":
        print_jhu(console, args.decoders, folder)
    if args.part != "jhu":
        print_synthetic(console, args.decoders)


if __name__ == "__main__":
    main()
