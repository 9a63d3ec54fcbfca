"""Confidence intervals and paired tests over units: trials, repetitions, people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_UNITS = 6
"""With fewer pairs the two-sided signed-rank test cannot reach p < 0.05 whatever they are."""

_CHUNK = 500

Floats = NDArray[np.float64]


def mean_interval(
    values: Floats, seed: int, resamples: int = 10_000, level: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of the mean by a bootstrap over the units.

    Percentile intervals are too narrow for few units; the percentiles are moved out as far as the
    t distribution has it (expanded percentile interval: Hesterberg 2015,
    doi 10.1080/00031305.2015.1089789).

    Parameters
    ----------
    values : ndarray, shape (n,)
        One finite number per unit.
    seed : int
        Equal seeds draw the same units, so that intervals of several systems belong together.
    resamples : int
    level : float

    Returns
    -------
    low, high : float
        NaN with fewer than 2 units.
    """
    from scipy import stats

    n = len(values)
    if n < 2:
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[rng.integers(0, n, (min(_CHUNK, resamples - done), n))].mean(axis=1)
            for done in range(0, resamples, _CHUNK)
        ]
    )
    t = stats.t.ppf((1.0 + level) / 2.0, n - 1)
    outside = stats.norm.cdf(-np.sqrt(n / (n - 1)) * t)
    low, high = np.quantile(means, [outside, 1.0 - outside])
    return float(low), float(high)


def signed_rank(differences: Floats) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; NaN with fewer than 6 differences.

    Pairs without a difference are left out, and do not count.
    """
    from scipy import stats

    there = differences[differences != 0.0]
    return float(stats.wilcoxon(there).pvalue) if len(there) >= LEAST_UNITS else np.nan


def rank_biserial(differences: Floats) -> float:
    """Matched-pairs rank-biserial correlation: -1 all differences negative, 1 all positive.

    The rank sum in favour minus that against, over both (Kerby 2014, doi 10.2466/11.IT.3.1); NaN
    when no pair differs.
    """
    from scipy import stats

    there = differences[differences != 0.0]
    if not len(there):
        return np.nan
    ranks = stats.rankdata(np.abs(there))
    return float((ranks * np.sign(there)).sum() / ranks.sum())


def rank_sum(a: Floats, b: Floats) -> tuple[float, float]:
    """Mann-Whitney test of two groups of units that are not paired.

    Returns
    -------
    p : float
        Two-sided; NaN when one group has fewer than 6 units.
    effect : float
        Rank-biserial correlation: 1 when every value of `a` is above every value of `b`.
    """
    from scipy import stats

    if not len(a) or not len(b):
        return np.nan, np.nan
    found = stats.mannwhitneyu(a, b)
    effect = float(2.0 * found.statistic / (len(a) * len(b)) - 1.0)
    return float(found.pvalue) if min(len(a), len(b)) >= LEAST_UNITS else np.nan, effect


def holm(p_values: Floats) -> Floats:
    """P values corrected for their number (Holm 1979); NaN stays and is not counted.

    Parameters
    ----------
    p_values : ndarray, shape (k,)
    """
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    largest = 0.0
    for i, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - i) * float(p_values[place])))
        corrected[place] = largest
    return corrected
