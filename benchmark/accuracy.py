"""Accuracy of the decoders on a real recording and on synthetic subjects; prints tables.

    python benchmark/accuracy.py
    python benchmark/accuracy.py --part jhu --decoders kalman lstm
    python benchmark/accuracy.py --part synthetic

The real recording is that of the JHU (EMGHAND_DATA, default ../shared/data): first 70 % of the
ticks train, last 30 % test. Every statistic (normalisation, penalties, noise) is that of the train
part, and so is every choice: features, delays and parameters are those with the least error when
the train part is cut into five pieces and each one is left out in turn ("CV" in the table: 1 - that
error). Nothing was chosen by the last 30 %. The null test is the same with the EMG rolled by half
of the recording, so that it belongs to other movements. Synthetic subjects are recorded twice: one
run to train, another one to test.

Decoders of postures (lda, qda) and refit, which wants a user who aimed at targets, only run when
they are named. Networks need PyTorch.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
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
SIX_LAGS = tuple(range(3, 19, 3))
"""Six delayed copies, up to 0.6 seconds ago."""
TEN_LAGS = tuple(range(3, 31, 3))
"""Ten delayed copies, up to one second ago."""

NOT_REGRESSION = ("lda", "qda", "refit")
TRAIN_PART = 0.7

Choice = tuple[FeatureSettings, TrainSettings]


def choices(
    kind: str,
    delays: Sequence[tuple[int, ...]] = ((), LAGS_100_200_300_MS),
    grid: Mapping[str, Sequence[Any]] | None = None,
) -> tuple[Choice, ...]:
    """Every combination of features, delays and values of the grid."""
    return tuple(
        (f, TrainSettings(kind, max_lag_s=0.0, params={"delays": d}, search=grid or {}))
        for f in (JHU_FEATURES, MAV_WL)
        for d in delays
    )


CHOICES: dict[str, tuple[Choice, ...]] = {
    "kernel_ridge": choices(
        "kernel_ridge", [TEN_LAGS], {"gamma": (0.1, 0.3, 1.0), "penalty": (1e-4, 1e-3)}
    ),
    "svr": choices("svr", [TEN_LAGS], {"gamma": (0.1, 0.3, 1.0)}),
    "trees": choices("trees", [TEN_LAGS], {"min_leaf": (5, 20)}),
    "mlp": choices("mlp", [SIX_LAGS]),
    "tcn": choices("tcn", [()]),
}
"""What is tried for a decoder; of others their defaults, with and without delayed copies."""


@dataclass(frozen=True)
class Found:
    """Of one decoder on the JHU recording.

    Parameters
    ----------
    choice : Choice
        The best in the train part.
    cv : float
        1 - relative error of the pieces left out.
    scores : Scores
        Of the raw x_hat of the last 30 %, against x_d at the same moment.
    clean : float
        Mean R² without camera glitches.
    glitches : float
        Their share of the labels.
    ticks : int
    null : float
        Mean R² with the EMG rolled.
    search_s, fit_s, step_us : float
        Times of the search, of the fit that follows, and of one step.
    """

    choice: Choice
    cv: float
    scores: Scores
    clean: float
    glitches: float
    ticks: int
    null: float
    search_s: float
    fit_s: float
    step_us: float


def jhu_parts(recording: Recording, features: FeatureSettings) -> tuple[Dataset, Dataset]:
    """First 70 % and last 30 % of the ticks."""
    assert recording.x_d is not None
    data = dataset_from_recording(recording, features, [Dof(n) for n in recording.x_d.names])
    first = np.arange(len(data)) < TRAIN_PART * len(data)
    return data.rows(first), data.rows(~first)


def choose(recording: Recording, tried: Sequence[Choice]) -> tuple[Choice, float]:
    """The choice with the least error in the train part, and that error."""
    found = []
    for features, settings in tried:
        best = search(jhu_parts(recording, features)[0], settings)[0]
        params = {**settings.params, **best.params}
        found.append(((features, dataclasses.replace(settings, params=params, search={})), best))
    choice, best = min(found, key=lambda pair: pair[1].error)
    return choice, best.error


def jhu(recording: Recording, kind: str) -> Found:
    """A decoder, chosen and fitted in the train part, on the last 30 %."""
    start = time.perf_counter()
    choice, error = choose(recording, CHOICES.get(kind, choices(kind)))
    search_s = time.perf_counter() - start
    features, settings = choice
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
    x_d = unseen.X[scored]
    glitch = is_camera_glitch(x_d)
    seen, unseen = jhu_parts(rolled(recording), features)
    nothing = fit(seen, settings).predict(unseen)[scored]
    return Found(
        choice=choice,
        cv=1.0 - error,
        scores=score(x_d, x_hat[scored], dof_names(unseen.dofs)),
        clean=float(masked_r2(x_d, x_hat[scored], ~glitch).mean()),
        glitches=float(glitch.mean()),
        ticks=len(x_d),
        null=score(x_d, nothing, dof_names(unseen.dofs)).mean_r2,
        search_s=search_s,
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


def attempt(function: Any, kind: str, *args: Any) -> Any:
    """What the function returns; of a user's mistake, a missing package say, its message."""
    try:
        return function(*args, kind)
    except UserError as error:
        return f"{kind} left out: {error}"


def print_jhu(console: Console, kinds: Sequence[str], folder: Path, jobs: int) -> None:
    """Table of the real recording."""
    try:
        recording = read_jhu(folder, rate=JHU_RATE)
    except UserError as error:
        console.print(f"JHU left out: {error}")
        return
    table = Table(title="JHU, raw x_hat, R² on the last 30 %; chosen by CV within the first 70 %")
    fingers = ("thumb", "index", "middle", "ring", "little")
    headings = ("decoder", "features", "lags [s]", "chosen", "CV", *fingers, "mean")
    for heading in (*headings, "no glitches", "null", "search [s]", "fit [s]", "step [µs]"):
        table.add_column(heading)
    results = in_parallel(jobs, [joblib.delayed(attempt)(jhu, k, recording) for k in kinds])
    about = ""
    for kind, found in zip(kinds, results, strict=True):
        if isinstance(found, str):
            console.print(found, markup=False, soft_wrap=True)
            continue
        features, settings = found.choice
        params = dict(settings.params)
        lags = params.pop("delays")
        table.add_row(
            kind,
            "+".join(features.features),
            f"{len(lags)} to {lags[-1] / 30:.1f}" if lags else "0",
            " ".join(f"{k}={v:g}" for k, v in params.items()),
            f"{found.cv:.3f}",
            *(f"{v:.3f}" for v in (*found.scores.r2, found.scores.mean_r2)),
            f"{found.clean:.3f}",
            f"{found.null:.3f}",
            f"{found.search_s:.0f}",
            f"{found.fit_s:.1f}",
            f"{found.step_us:.0f}",
        )
        share = 100 * found.glitches
        about = f"{found.ticks} ticks; glitches (angle < 20°): {share:.1f} % of them"
    if about:
        console.print(table)
        console.print(about)


def synthetic(person: int, kind: str) -> tuple[str, ...]:
    """Cells of a decoder of one synthetic person."""
    seen, unseen = (synthetic_recording(person, run, 3 - run) for run in (0, 1))
    dataset = dataset_from_recording(seen, FeatureSettings())
    start = time.perf_counter()
    model = train(dataset, TrainSettings(kind))
    took = time.perf_counter() - start
    result = evaluate(model, [unseen])
    numbers = (
        result.x_hat_compensated.mean_r2,
        result.x_hat.mean_r2,
        result.out_x_hat_compensated.mean_r2,
        result.out_x_hat.mean_r2,
        float(np.nanmean(result.out_x_hat_compensated.unintended)),
    )
    scores = (f"{v:.3f}" for v in numbers)
    return (kind, str(person), f"{result.lag_s * 1e3:.0f}", *scores, f"{took:.1f}")


def print_synthetic(console: Console, kinds: Sequence[str], jobs: int) -> None:
    """Table of the synthetic subjects."""
    table = Table(title="Synthetic subjects, 6 DOFs, default features, unseen repetitions, mean R²")
    headings = ("decoder", "person", "lag [ms]", "x_hat lag", "x_hat", "out lag", "out", "unint.")
    for heading in (*headings, "fit [s]"):
        table.add_column(heading)
    people = [(kind, person) for person in (1, 2, 3) for kind in kinds]
    calls = [joblib.delayed(attempt)(synthetic, kind, person) for kind, person in people]
    for row in dict.fromkeys(in_parallel(jobs, calls)):
        if isinstance(row, str):
            console.print(row, markup=False, soft_wrap=True)
        else:
            table.add_row(*row)
    if table.rows:
        console.print(table)


def in_parallel(jobs: int, calls: list[Any]) -> list[Any]:
    """Results of the calls, in order, each of which has one core."""
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        return list(joblib.Parallel(n_jobs=jobs)(calls))


def main() -> None:
    """Print the tables."""
    regression = [kind for kind in decoder_kinds() if kind not in NOT_REGRESSION]
    parser = argparse.ArgumentParser(description="Accuracy of the decoders.")
    parser.add_argument("--decoders", nargs="+", default=regression, metavar="KIND")
    parser.add_argument("--part", choices=("jhu", "synthetic"), help="only this one")
    parser.add_argument("--jobs", type=int, default=-1, help="at a time; default: all cores")
    args = parser.parse_args()
    console = Console(width=180)
    folder = Path(os.environ.get("EMGHAND_DATA", "../shared/data")) / "jhu_myo_mediapipe"
    if args.part != "synthetic":
        print_jhu(console, args.decoders, folder, args.jobs)
    if args.part != "jhu":
        print_synthetic(console, args.decoders, args.jobs)


if __name__ == "__main__":
    main()
