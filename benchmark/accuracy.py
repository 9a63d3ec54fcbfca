"""Accuracy of the decoders on a real recording and on synthetic subjects; prints tables.

    python benchmark/accuracy.py

The real recording is that of the JHU (EMGHAND_DATA, default ../shared/data): first 70 % of the
ticks train, last 30 % test. Every statistic (normalisation, penalties, noise) is that of the train
part. Synthetic subjects are recorded twice: one run to train, another one to test.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from emghand.dofs import DEFAULT_DOFS, Dof, dof_names
from emghand.errors import UserError
from emghand.evaluate.metrics import masked_r2, score
from emghand.evaluate.offline import evaluate
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.storage.datasets import is_camera_glitch, read_jhu
from emghand.storage.recording import Recording
from emghand.tasks.movements import Movement, MovementSet, Schedule
from emghand.training import TrainSettings, dataset_from_recording, fit, train

JHU_RATE = 60.0
"""Uniform grid [Hz]; 2 samples per tick make 30 Hz, 15 hops 500 ms."""

JHU_FEATURES = FeatureSettings(
    hop=2, window_hops=15, bandpass_low=0.0, bandpass_high=0.0, notch_hz=0.0, transform="sqrt"
)
LAGS_100_200_300_MS = (3, 6, 9)
TRAIN_PART = 0.7


def jhu(decoder: str, delays: tuple[int, ...], recording: Recording) -> dict[str, Any]:
    """Raw x_hat on the last 30 %, against x_d at the same moment."""
    assert recording.x_d is not None
    data = dataset_from_recording(recording, JHU_FEATURES, [Dof(n) for n in recording.x_d.names])
    first = np.arange(len(data)) < TRAIN_PART * len(data)
    seen, unseen = data.rows(first), data.rows(~first)
    fitted = fit(seen, TrainSettings(decoder, delays, max_lag_s=0.0))
    names = dof_names(data.dofs)
    # Every tick with camera images before and after it counts, however far apart these are.
    scored = unseen.stamps_ns <= recording.x_d.stamps_ns[-1]
    x_hat, x_d = fitted.predict(unseen)[scored], unseen.X[scored]
    glitch = is_camera_glitch(x_d)
    return {
        "all": score(x_d, x_hat, names),
        "clean": float(masked_r2(x_d, x_hat, ~glitch).mean()),
        "glitches": float(glitch.mean()),
        "ticks": len(x_d),
    }


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


def main() -> None:
    """Print both tables."""
    console = Console(width=110)
    folder = Path(os.environ.get("EMGHAND_DATA", "../shared/data")) / "jhu_myo_mediapipe"
    table = Table(title="JHU, raw x_hat, R² on the last 30 %")
    fingers = ("thumb", "index", "middle", "ring", "little")
    for heading in ("decoder", "lags [100 ms]", *fingers, "mean", "no glitches", "fit [s]"):
        table.add_column(heading)
    try:
        recording = read_jhu(folder, rate=JHU_RATE)
    except UserError as error:
        console.print(f"JHU left out: {error}")
    else:
        found: dict[str, Any] = {}
        for decoder in ("ridge", "kalman"):
            for delays, text in (((), "none"), (LAGS_100_200_300_MS, "1-3")):
                start = time.perf_counter()
                found = jhu(decoder, delays, recording)
                took = time.perf_counter() - start
                values = [*found["all"].r2, found["all"].mean_r2, found["clean"]]
                table.add_row(decoder, text, *(f"{v:.3f}" for v in values), f"{took:.1f}")
        console.print(table)
        share = 100 * found["glitches"]
        console.print(f"{found['ticks']} ticks; glitches (angle < 20°): {share:.1f} % of them")
    table = Table(title="Synthetic subjects, 6 DOFs, default features, unseen repetitions, mean R²")
    headings = ("decoder", "person", "lag [ms]", "x_hat lag", "x_hat", "out lag", "out", "unint.")
    for heading in headings:
        table.add_column(heading)
    for person in (1, 2, 3):
        seen, unseen = (synthetic_recording(person, run, 3 - run) for run in (0, 1))
        dataset = dataset_from_recording(seen, FeatureSettings())
        for decoder in ("ridge", "kalman"):
            result = evaluate(train(dataset, TrainSettings(decoder)), [unseen])
            numbers = (
                result.x_hat_compensated.mean_r2,
                result.x_hat.mean_r2,
                result.out_x_hat_compensated.mean_r2,
                result.out_x_hat.mean_r2,
                float(np.nanmean(result.out_x_hat_compensated.unintended)),
            )
            table.add_row(
                decoder, str(person), f"{result.lag_s * 1e3:.0f}", *(f"{v:.3f}" for v in numbers)
            )
    console.print(table)


if __name__ == "__main__":
    main()
