"""What a synthetic person does: calibration by prompts, and free use of the hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AMPLITUDES = (1.0, 0.5, 1.0, 0.5, 1.0)
"""Of the repetitions of a calibration."""
PAIRS = 8
PAIR_AMPLITUDE = 0.75
PAIR_REPETITIONS = 3


@dataclass(frozen=True)
class Usage:
    """Habits of free use.

    Parameters
    ----------
    pairs : float
        Share of movements of two DOFs.
    grasps : float
        Share of movements of all fingers together; the other shares are of the rest.
    amplitude : float
        Factor of all amplitudes.
    directions : int
        Half-directions that are used at all; 0: all.
    seed : int
        Which ones these are.
    """

    pairs: float = 0.4
    grasps: float = 0.0
    amplitude: float = 1.0
    directions: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Course:
    """Movements over time.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Intended DOFs at each tick.
    prompt : ndarray, shape (n, d)
        What was asked for: without the person's jitter.
    trial : ndarray of int, shape (n,)
        Number of the movement; a rest belongs to the movement before it.
    repetition : ndarray of int, shape (n,)
        -1 in free use.
    """

    x: Floats
    prompt: Floats
    trial: Ints
    repetition: Ints


def calibration(rng: np.random.Generator, n_dofs: int, rate: float) -> Course:
    """Every half-direction 5 times, and 8 pairs of them 3 times; 0.7 s rise, 1.2 s hold and rest.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of the person's timing, which is off by N(0, 50 ms), and of the order.
    n_dofs : int
    rate : float
        Ticks per second [Hz].
    """
    pairs = _pairs(rng, n_dofs)
    plan: list[tuple[int, Floats]] = []
    for repetition, amplitude in enumerate(AMPLITUDES):
        targets = [amplitude * _unit(j, n_dofs) for j in range(2 * n_dofs)]
        if repetition >= len(AMPLITUDES) - PAIR_REPETITIONS:
            targets += [PAIR_AMPLITUDE * pair for pair in pairs]
        plan += [(repetition, targets[i]) for i in rng.permutation(len(targets))]
    rest, rise, hold = 1.2, 0.7, 1.2
    length = rest + 2 * rise + hold
    n = round((len(plan) * length + rest) * rate)
    t = np.arange(n) / rate
    number = np.minimum((t / length).astype(np.int64), len(plan) - 1)
    jitter = rng.normal(0.0, 0.05, len(plan))
    targets_of = np.array([target for _, target in plan])

    def shape(late: Floats) -> Floats:
        since = t - number * length - rest - late
        up = _jerk(since / rise)
        down = _jerk((since - rise - hold) / rise)
        return targets_of[number] * (up - down)[:, None]

    return Course(
        shape(jitter[number]),
        shape(np.zeros(n)),
        number,
        np.array([r for r, _ in plan])[number],
    )


def free_use(
    rng: np.random.Generator, n_dofs: int, rate: float, seconds: float, usage: Usage | None = None
) -> Course:
    """Movements of one or two DOFs, or of a grasp, as they come; no prompts.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_dofs : int
    rate : float
        Ticks per second [Hz].
    seconds : float
        At least so long.
    usage : Usage, optional
    """
    usage = usage or Usage()
    known = np.arange(2 * n_dofs)
    if usage.directions:
        # A habit: the same ones every time.
        known = np.random.default_rng(usage.seed).permutation(known)[: usage.directions]
    rows: list[Floats] = []
    trials: list[int] = []
    now = np.zeros(n_dofs)
    total = round(seconds * rate)

    def ramp(target: Floats, duration: float) -> None:
        nonlocal now
        s = _jerk(np.arange(1, round(duration * rate) + 1) / max(1, round(duration * rate)))
        rows.append(now + (target - now) * s[:, None])
        now = target

    def stay(duration: float) -> None:
        rows.append(np.tile(now, (round(duration * rate), 1)))

    trial = 0
    while sum(map(len, rows)) < total:
        before = sum(map(len, rows))
        ramp(_target(rng, known, n_dofs, usage), rng.uniform(0.4, 1.0))
        stay(rng.uniform(1.0, 2.0))
        if rng.uniform() < 0.15:
            ramp(_target(rng, known, n_dofs, usage), rng.uniform(0.4, 1.0))
            stay(rng.uniform(1.0, 2.0))
        ramp(np.zeros(n_dofs), rng.uniform(0.4, 1.0))
        stay(rng.uniform(0.5, 2.5))
        trials += [trial] * (sum(map(len, rows)) - before)
        trial += 1
    x = np.concatenate(rows)
    return Course(x, x, np.array(trials), np.full(len(x), -1))


def _target(rng: np.random.Generator, known: Ints, n_dofs: int, usage: Usage) -> Floats:
    if rng.uniform() < usage.grasps:
        fingers = np.arange(n_dofs) < max(1, n_dofs - 1)
        return usage.amplitude * rng.uniform(0.4, 1.0) * fingers.astype(np.float64)
    first = int(rng.choice(known))
    target = rng.uniform(0.4, 1.0) * _unit(first, n_dofs)
    others = known[known % n_dofs != first % n_dofs]
    if rng.uniform() < usage.pairs and len(others):
        target += rng.uniform(0.4, 1.0) * _unit(int(rng.choice(others)), n_dofs)
    return usage.amplitude * target


def _pairs(rng: np.random.Generator, n_dofs: int) -> list[Floats]:
    found: list[Floats] = []
    while len(found) < min(PAIRS, 2 * n_dofs * (n_dofs - 1)):
        i, j = rng.choice(2 * n_dofs, 2, replace=False)
        pair = _unit(i, n_dofs) + _unit(j, n_dofs)
        if i % n_dofs != j % n_dofs and not any(np.array_equal(pair, p) for p in found):
            found.append(pair)
    return found


def _unit(half: int, n_dofs: int) -> Floats:
    target = np.zeros(n_dofs)
    target[half % n_dofs] = 1.0 if half < n_dofs else -1.0
    return target


def _jerk(s: Floats) -> Floats:
    s = np.clip(s, 0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)
