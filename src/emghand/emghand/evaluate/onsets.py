"""How well the beginnings of movements are found."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.evaluate.metrics import AT_REST
from emghand.storage.recording import PeriodKind, Recording
from emghand.training.labels import label_values

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

TOLERANCE_S = 0.3


@dataclass(frozen=True)
class TrueMovement:
    """A movement that was made, or asked for.

    Parameters
    ----------
    start_s, end_s : float
        [s]
    x0, x_f : ndarray, shape (n_dofs,)
        Where it began and where it ended.
    """

    start_s: float
    end_s: float
    x0: Floats
    x_f: Floats

    @property
    def displacement(self) -> float:
        """Way of the DOF that goes farthest."""
        return float(np.abs(self.x_f - self.x0).max(initial=0.0))

    @property
    def from_rest(self) -> bool:
        """Whether it began at rest."""
        return bool((np.abs(self.x0) < AT_REST).all())


@dataclass(frozen=True)
class OnsetScores:
    """Beginnings found against true ones.

    Parameters
    ----------
    hits, false, missed : int
    errors_s : tuple of float
        Found minus true beginning of each hit [s].
    """

    hits: int
    false: int
    missed: int
    errors_s: tuple[float, ...]

    @property
    def precision(self) -> float:
        """Share of what was found that is true; NaN when nothing was found."""
        return self.hits / (self.hits + self.false) if self.hits + self.false else math.nan

    @property
    def recall(self) -> float:
        """Share of what is true that was found; NaN when there is nothing to find."""
        return self.hits / (self.hits + self.missed) if self.hits + self.missed else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of both; NaN when there was nothing to find and nothing was found."""
        both = 2 * self.hits + self.false + self.missed
        return 2 * self.hits / both if both else math.nan

    @property
    def error_s(self) -> float:
        """Median absolute error of the hits [s]; NaN without any."""
        return float(np.median(np.abs(self.errors_s))) if self.errors_s else math.nan

    @property
    def bias_s(self) -> float:
        """Median error of the hits [s], positive: found too late; NaN without any."""
        return float(np.median(self.errors_s)) if self.errors_s else math.nan

    def plus(self, other: OnsetScores) -> OnsetScores:
        """Both counted together."""
        return OnsetScores(
            self.hits + other.hits,
            self.false + other.false,
            self.missed + other.missed,
            self.errors_s + other.errors_s,
        )


def score_onsets(
    found_s: Sequence[float],
    true_s: Sequence[float],
    spare_s: Sequence[float] = (),
    tolerance_s: float = TOLERANCE_S,
) -> OnsetScores:
    """Match beginnings one to one, the nearest first.

    Parameters
    ----------
    found_s, true_s : sequence of float
        Beginnings [s].
    spare_s : sequence of float
        True ones that need not be found, and do not count when they are: too small to be movements.
    tolerance_s : float
        A pair further apart is none [s].
    """
    wanted = [*true_s, *spare_s]
    pairs = sorted(
        (abs(f - t), i, j)
        for i, f in enumerate(found_s)
        for j, t in enumerate(wanted)
        if abs(f - t) <= tolerance_s
    )
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in pairs:
        if i not in partner and j not in taken:
            partner[i] = j
            taken.add(j)
    hits = sorted((i, j) for i, j in partner.items() if j < len(true_s))
    return OnsetScores(
        hits=len(hits),
        false=len(found_s) - len(partner),
        missed=len(true_s) - len(hits),
        errors_s=tuple(found_s[i] - true_s[j] for i, j in hits),
    )


def movements_of_course(x: Floats, rate: float) -> list[TrueMovement]:
    """Every stretch in which a course without noise, shape (n, n_dofs), changes.

    Parameters
    ----------
    x : ndarray, shape (n, n_dofs)
        Intended or prompted DOFs at `rate` [Hz].
    rate : float
    """
    moves = np.abs(np.diff(x, axis=0)).max(axis=1, initial=0.0) > 1e-9
    edges = np.flatnonzero(np.diff(moves.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return [TrueMovement(a / rate, b / rate, x[a], x[b]) for a, b in edges.tolist()]


def prompted_movements(recording: Recording, dofs: Sequence[str]) -> list[TrueMovement]:
    """Every rise and fall that a recording asked for, in seconds of its stamps.

    Empty where the recording was not prompted or has no `x_d` of the DOFs.
    """
    x_d = recording.x_d
    names = [n for n in dofs if x_d is not None and n in x_d.names]
    periods = sorted(recording.periods, key=lambda p: p.stamp_ns)
    spans = [
        (here.stamp_ns, after.stamp_ns)
        for here, after in itertools.pairwise(periods)
        if here.kind is PeriodKind.MOVE
    ]
    if x_d is None or not names or not spans:
        return []
    X, known = label_values(x_d, names, np.array(spans, np.int64).ravel())
    return [
        TrueMovement(begin * 1e-9, end * 1e-9, X[2 * i], X[2 * i + 1])
        for i, (begin, end) in enumerate(spans)
        if known[2 * i] and known[2 * i + 1]
    ]
