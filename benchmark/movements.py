"""How well movements are found at the noise of the default simulator; prints tables.

    python benchmark/movements.py
    python benchmark/movements.py --seeds 10 --part features

Features: people of `emghand.simulate.feature_arm` with 6 DOFs and 32 electrodes; a Kalman decoder
learns from `use.calibration` (labels 150 ms late, which is half of the feature window) and decodes
minutes of `use.free_use`. Every rise and fall of more than 0.2 is to be found. Taken off the
beginnings: those 150 ms, and nothing else; there is no reaction in this simulator.

Drift: the same people with a drift of strength 3 that nothing adapts to, and with other habits,
half as long each.

Raw EMG: the synthetic arm with its default noise, prompted, 16 electrodes; the default features and
the default decoder. Taken off the beginnings of movements: the lag that training found between
prompts and EMG (reaction, muscle and half of the window); of bursts: the reaction of the settings,
150 ms. Bursts need no decoder but only see what leaves rest; they are shown with the thresholds of
the literature (enter 1.5 sigma, leave 0.75) and with some that suit the mean of many electrodes
(4 and 2).

A beginning is found when it lies within 0.3 s of a true one, one to one. Left out: what begins in
the first second, before there was any rest to leave. Of every person the decoder is trained on
another run than the one that is decoded. Onset, end: median absolute error; bias: median error,
positive: late; DOFs F1: which DOFs moved, of the movements that were found. The thresholds of the
detector were chosen on seeds 0 to 5 of the features; the seeds here start at 100.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from emghand.adapt.bursts import BurstSettings, find_bursts
from emghand.adapt.detector import DetectorSettings, MovementDetector, Segment, detect
from emghand.adapt.recorded import decoded_estimates, find_movements, total
from emghand.decoders.kalman import KalmanDecoder
from emghand.decoders.normaliser import Normaliser
from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.evaluate.onsets import (
    OnsetScores,
    TrueMovement,
    movements_of_course,
    prompted_movements,
    score_onsets,
)
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.simulate.drift import KINDS, make_drift
from emghand.simulate.feature_arm import FeatureArm, delayed
from emghand.simulate.use import Usage, calibration, free_use
from emghand.storage.recording import Recording
from emghand.tasks.movements import Movement, MovementSet, Schedule
from emghand.training import TrainSettings, dataset_from_recording, train

RATE = 60.0
LABEL_DELAY = 9
"""Ticks by which labels follow the intention: half of the window of the features."""
FIRST_SEED = 100
START_S = 1.0
USAGES = {
    "power grasps": Usage(grasps=0.35),
    "small movements": Usage(amplitude=0.6),
    "4 directions": Usage(directions=4),
}
MANY_ELECTRODES = BurstSettings(enter=4.0, leave=2.0)


@dataclass(frozen=True)
class Use:
    """Free use, decoded: intended DOFs and raw estimates, shape (n, n_dofs), at `RATE`."""

    x: np.ndarray
    x_hat: np.ndarray


@dataclass(frozen=True)
class FeatureResult:
    """Of one or several people: beginnings, ends and the DOFs of what was found."""

    starts: OnsetScores
    ends_s: tuple[float, ...] = ()
    dofs: tuple[int, int, int] = (0, 0, 0)
    """DOFs that were found rightly, found wrongly, and missed."""

    def plus(self, other: FeatureResult) -> FeatureResult:
        """Both counted together."""
        dofs = [a + b for a, b in zip(self.dofs, other.dofs, strict=True)]
        return FeatureResult(
            self.starts.plus(other.starts), self.ends_s + other.ends_s, (dofs[0], dofs[1], dofs[2])
        )

    @property
    def dof_f1(self) -> float:
        """F1 of the DOFs that moved."""
        right, wrong, missed = self.dofs
        return 2 * right / (2 * right + wrong + missed)


def decoded_use(seed: int, seconds: float, drift: str = "", usage: Usage | None = None) -> Use:
    """A person's free use, decoded after a calibration; drifted as far as it goes."""
    arm = FeatureArm(seed, rate=RATE)
    rng = np.random.default_rng([seed, 50])
    asked = calibration(rng, arm.n_dofs, RATE)
    Z, X = arm.features(asked, rng), delayed(asked.prompt, LABEL_DELAY)
    normaliser = Normaliser.fit(Z)
    decoder = KalmanDecoder()
    decoder.fit(normaliser.apply(Z), X, asked.repetition)
    use = free_use(rng, arm.n_dofs, RATE, seconds, usage)
    changed = make_drift(arm, drift, 3, rng) if drift else None
    u = normaliser.apply(arm.features(use, rng, changed))
    decoder.reset()
    return Use(use.x, np.array([decoder.step(row) for row in u]))


def score_use(use: Use, settings: DetectorSettings) -> FeatureResult:
    """Movements found in decoded use against those intended."""
    ticks = np.arange(len(use.x))
    found = [s for s in detect(use.x_hat, ticks, settings, RATE) if s.kind == "movement"]
    made = movements_of_course(use.x, RATE)
    large = [m for m in made if m.displacement > settings.displacement and m.start_s >= START_S]
    spare = [m.start_s for m in made if m not in large]
    begun = [(s.t0_tick - LABEL_DELAY) / RATE for s in found]
    starts = score_onsets(begun, [m.start_s for m in large], spare)
    result = FeatureResult(starts)
    for start, segment in zip(begun, found, strict=True):
        nearest = min(large, key=lambda m: abs(m.start_s - start))
        if abs(nearest.start_s - start) <= 0.3:
            result = result.plus(_details(segment, nearest))
    return result


def _details(segment: Segment, made: TrueMovement) -> FeatureResult:
    moves = np.abs(made.x_f - made.x0) > 0.2
    counts = tuple(
        int(n.sum())
        for n in (moves & segment.moving, ~moves & segment.moving, moves & ~segment.moving)
    )
    late = (segment.t1_tick - LABEL_DELAY) / RATE - made.end_s
    return FeatureResult(OnsetScores(0, 0, 0, ()), (late,), (counts[0], counts[1], counts[2]))


def step_us(use: Use, settings: DetectorSettings, passes: int = 5) -> np.ndarray:
    """Microseconds of each step: the least of some passes, without what else the machine does."""
    times = np.full(len(use.x), np.inf)
    for _ in range(passes):
        detector = MovementDetector(settings, use.x.shape[1], RATE)
        for tick, row in enumerate(use.x_hat):
            start = time.perf_counter_ns()
            detector.step(tick, row)
            times[tick] = min(times[tick], time.perf_counter_ns() - start)
    return times / 1e3


def prompted_run(seed: int, run: int, repetitions: int) -> Recording:
    """The synthetic arm follows ten movements, shuffled, with a second and a half of rest."""
    names = dof_names(DEFAULT_DOFS)
    fingers, wrist = names[:5], names[5]
    movements = [Movement(name, {name: 1.0}) for name in fingers]
    movements += [
        Movement("wrist in", {wrist: 1.0}),
        Movement("wrist out", {wrist: -1.0}),
        Movement("grasp", dict.fromkeys(fingers, 0.8)),
        Movement("half a pinch", dict.fromkeys(fingers[:2], 0.5)),
        Movement("point", dict.fromkeys(fingers[2:], 0.7)),
    ]
    asked = MovementSet("movements", DEFAULT_DOFS, tuple(movements), rest=1.5)
    schedule = Schedule(asked, repetitions, shuffle=True, seed=run)
    return simulate_recording(schedule, SyntheticSettings(seed=seed, run=run))


def score_raw(seed: int, repetitions: int) -> tuple[OnsetScores, OnsetScores, OnsetScores]:
    """Detector; bursts with the thresholds of the literature; bursts of many electrodes."""
    learned = dataset_from_recording(prompted_run(seed, 0, 3), FeatureSettings())
    model = train(learned, TrainSettings("kalman"))
    recording = prompted_run(seed, 1, repetitions)
    found = find_movements(recording, decoded_estimates(recording, model))
    assert found.scores is not None
    asked = prompted_movements(recording, found.estimates.dofs)
    left = [m.start_s for m in asked if m.from_rest]
    reaction = SyntheticSettings().reaction_s
    bursts = [
        score_onsets([b.start_ns * 1e-9 - reaction for b in find_bursts(recording, s)], left)
        for s in (BurstSettings(), MANY_ELECTRODES)
    ]
    return found.scores, bursts[0], bursts[1]


def table(title: str, more: Sequence[str] = ()) -> Table:
    made = Table(title=title, title_justify="left")
    made.add_column("")
    for heading in ("moves", "prec.", "recall", "F1", "onset [ms]", "bias [ms]"):
        made.add_column(heading.replace("[", r"\["), justify="right")
    for heading in more:
        made.add_column(heading.replace("[", r"\["), justify="right")
    return made


def add(rows: Table, name: str, s: OnsetScores, *more: str) -> None:
    ratios = [f"{v:.3f}" for v in (s.precision, s.recall, s.f1)]
    times = [f"{v * 1e3:.0f}" for v in (s.error_s, s.bias_s)]
    rows.add_row(name, str(s.hits + s.missed), *ratios, *times, *more)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=300.0, help="of free use")
    parser.add_argument("--part", choices=("all", "features", "drift", "raw"), default="all")
    args = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + args.seeds)
    console = Console()
    if args.part in ("all", "features"):
        rows = table("Free use at the level of features", ("end [ms]", "DOFs F1"))
        settings = DetectorSettings()
        uses = [decoded_use(seed, args.seconds) for seed in seeds]
        results = [score_use(use, settings) for use in uses]
        whole = results[0]
        for other in results[1:]:
            whole = whole.plus(other)
        for name, r in [*zip(map(str, seeds), results, strict=True), ("all", whole)]:
            late = np.median(np.abs(r.ends_s)) * 1e3
            add(rows, name, r.starts, f"{late:.0f}", f"{r.dof_f1:.3f}")
        console.print(rows)
        us = step_us(uses[0], settings)
        middle, high = np.quantile(us, [0.5, 0.99])
        console.print(
            f"One step: median {middle:.1f} µs, 99 % {high:.1f} µs, most {us.max():.1f} µs"
        )
    if args.part in ("all", "drift"):
        rows = table("The same after drift, and other usage; the decoder stays")
        cases: list[tuple[str, str, Usage | None]] = [(kind, kind, None) for kind in KINDS]
        cases += [(name, "", usage) for name, usage in USAGES.items()]
        for name, kind, usage in cases:
            uses = [decoded_use(seed, args.seconds / 2, kind, usage) for seed in seeds]
            joined = total([score_use(use, DetectorSettings()).starts for use in uses])
            assert joined is not None
            add(rows, name, joined)
        console.print(rows)
    if args.part in ("all", "raw"):
        rows = table("Prompted raw EMG")
        scores = [score_raw(seed, 3) for seed in seeds]
        names = ("detector", "bursts 1.5 σ", "bursts 4 σ")
        for name, of_seeds in zip(names, zip(*scores, strict=True), strict=True):
            joined = total(of_seeds)
            assert joined is not None
            add(rows, name, joined)
        console.print(rows)


if __name__ == "__main__":
    main()
