"""The exact best subset for an objective of single and pairwise costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError

Floats = NDArray[np.float64]


def objective(first: Floats, second: Floats, chosen: Sequence[int]) -> float:
    """Sum of the single costs and of the costs of all pairs of a subset.

    Correctly rounded (`math.fsum`), so that the order of the subset does not matter.

    Parameters
    ----------
    first : ndarray, shape (n,)
    second : ndarray, shape (n, n), symmetric
    chosen : sequence of int
    """
    pairs = (second[i, j] for k, i in enumerate(chosen) for j in chosen[:k])
    return math.fsum([*(first[i] for i in chosen), *pairs])


@dataclass(frozen=True)
class Optimum:
    """The best subset.

    Parameters
    ----------
    chosen : tuple of int
        Rising; of several best subsets the first in lexicographic order.
    value : float
        The objective.
    nodes : int
        Partial and complete subsets that were looked at.
    """

    chosen: tuple[int, ...]
    value: float
    nodes: int


def best_subset(first: Floats, second: Floats, m: int, start: Sequence[int] = ()) -> Optimum:
    """The subset of size `m` with the smallest objective, by depth-first branch and bound.

    All costs are at least 0. A partial set P that still needs r of the candidates R costs at least

        f(P) + sum of the r smallest over j in R of
               first_j + sum over i in P of second_ij + h_j / 2,

    with h_j the sum of the r - 1 smallest second_jl over l in R: every pair within the completion
    is counted half from each side (a bound in the manner of Land and Doig 1960,
    doi:10.2307/1910129).

    Parameters
    ----------
    first : ndarray, shape (n,)
    second : ndarray, shape (n, n)
        Symmetric; the diagonal is not read.
    m : int
        Size of the subset, 1 to n.
    start : sequence of int, optional
        A good subset of size `m`, which spares work.

    Raises
    ------
    UserError
        When costs are negative, not finite or not symmetric, or `m` is no size of a subset.
    """
    first, second = np.asarray(first, np.float64), np.array(second, np.float64)
    n = len(first)
    if first.ndim != 1 or second.shape != (n, n):
        raise UserError(f"costs: shapes disagree: {first.shape}, {second.shape}")
    np.fill_diagonal(second, 0.0)
    finite = np.isfinite(first).all() and np.isfinite(second).all()
    if not finite or (first < 0).any() or (second < 0).any() or (second != second.T).any():
        raise UserError("costs: must be finite, at least 0, and the same for (a, b) and (b, a)")
    if not 1 <= m <= n:
        raise UserError(f"cannot choose {m} of {n}")
    return _Search(first, second, m).run(start)


class _Search:
    def __init__(self, first: Floats, second: Floats, m: int) -> None:
        self.first, self.second, self.m, self.n = first, second, m, len(first)
        # Cheap candidates first: good subsets are found early and bounds of the rest are high.
        crowd = np.sort(second, axis=1)[:, 1:m].sum(axis=1)
        self.order = np.argsort(first + crowd / 2, kind="stable")
        self.c = second[np.ix_(self.order, self.order)]
        self.half = self._half_sums()
        self.best = (math.inf, tuple(range(m)))
        # Bounds are sums in another order than the objective: equal values may differ in rounding.
        self.slack = 1e-12 * (float(first.sum()) + float(second.sum()) + 1e-300)
        self.nodes = 0

    def _half_sums(self) -> Floats:
        """h_j / 2 by (first candidate left, needed, j), candidates being a tail of the order."""
        half = np.zeros((self.n + 1, self.m + 1, self.n))
        for tail in range(self.n):
            block = self.c[tail:, tail:].copy()
            np.fill_diagonal(block, np.inf)
            sums = np.cumsum(np.sort(block, axis=1), axis=1) / 2
            for needed in range(2, min(self.m, self.n - tail) + 1):
                half[tail, needed, tail:] = sums[:, needed - 2]
        return half

    def run(self, start: Sequence[int]) -> Optimum:
        if len(set(start)) == self.m:
            self._offer(start)
        self._branch([], 0, 0.0, self.first[self.order].copy())
        value, chosen = self.best
        return Optimum(chosen, value, self.nodes)

    def _offer(self, chosen: Sequence[int]) -> None:
        subset = tuple(sorted(int(i) for i in chosen))
        self.best = min(self.best, (objective(self.first, self.second, subset), subset))

    def _branch(self, taken: list[int], tail: int, cost: float, step: Floats) -> None:
        """Go on from a partial set.

        `cost` is f(P); `step` holds, by place in the order, what a candidate adds to P.
        """
        self.nodes += 1
        needed = self.m - len(taken)
        if needed == 0:
            self._offer(self.order[taken].tolist())
            return
        for place in range(tail, self.n - needed + 1):
            least = step[place:] + self.half[place, needed, place:]
            if needed < len(least):
                least = np.partition(least, needed - 1)[:needed]
            # The candidates only get fewer from here on: the bound never falls again.
            if cost + float(least.sum()) > self.best[0] + self.slack:
                return
            # The same with this candidate taken.
            after = step + self.c[place]
            rest = after[place + 1 :] + self.half[place + 1, needed - 1, place + 1 :]
            if needed - 1 < len(rest):
                rest = np.partition(rest, needed - 2)[: needed - 1] if needed > 1 else rest[:0]
            with_it = cost + float(step[place])
            if with_it + float(rest.sum()) <= self.best[0] + self.slack:
                self._branch([*taken, place], place + 1, with_it, after)
