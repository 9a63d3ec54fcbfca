"""Success against index of difficulty: a psychometric curve and how sure it is.

    p(d) = lapse_hard + (1 - lapse_easy - lapse_hard) * (1 - erf((d - bias) / threshold)) / 2

Form and names as in psychophysics (Wichmann and Hill 2001, "The psychometric function: I",
Perception & Psychophysics 63), falling instead of rising. Intervals are those of the profile
likelihood: all curves whose log-likelihood is at most half a quantile of chi-squared with one
degree of freedom below the best one (Pawitan 2001, "In All Likelihood", chapter 3). They hold no
chance, so that the same trials give the same curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emghand.errors import UserError
from emghand.settings import check, setting

Floats = NDArray[np.float64]

PARAMETERS = ("bias", "threshold", "lapse_easy", "lapse_hard")
LEAST_DIFFICULTIES = 3
_SHARE = (0.0, 0.5)
"""Range of both lapses: the curve never rises."""
_DECIMALS = 6
"""Difficulties that differ by less are the same one."""
_POINTS = 9
"""Of the search along each parameter."""
_NARROWINGS = 4
_OUTWARDS, _SHRINK = 14, 0.75
"""Steps by which the outermost plausible curves are found, and how they shrink."""
_NEAR = 0.05
"""An end so near to a bound of the search, as share of its interval, is at the bound."""
_BAND = 17
"""Points of the band."""
_TINY = 1e-9


@dataclass(frozen=True)
class CurveSettings:
    """When and how a curve is fitted."""

    least_trials: int = setting(20, "Fewer trials are not fitted.", low=5, high=100_000)
    confidence: float = setting(0.95, "Of the intervals.", low=0.5, high=0.999)
    steepest: float = setting(0.1, "Smallest threshold.", unit="bit", low=0.01, high=1.0)
    margin: float = setting(
        1.0, "The bias is sought so far beyond the difficulties there were.", unit="bit", low=0.0
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Curve:
    """A fitted curve.

    Parameters
    ----------
    bias : float
        Difficulty in the middle between both lapses [bit].
    threshold : float
        Width: from `bias` - `threshold` to `bias` + `threshold` the curve falls from 92 to 8 % of
        its height [bit].
    lapse_easy : float
        Share of targets that are missed however easy they are.
    lapse_hard : float
        Share of targets that are reached however hard they are.
    log_likelihood : float
    n_trials : int
    intervals : dict of str to (float, float)
        Of each parameter. An end at a bound of the search is open.
    open_ends : dict of str to (bool, bool)
        Whether the lower and the upper end is at such a bound: the trials say nothing beyond.
    difficulty : ndarray, shape (n,)
        Grid of the band, from the easiest to the hardest target [bit].
    band : ndarray, shape (2, n)
        Lower and upper end of p on the grid, for each point by itself.
    """

    bias: float
    threshold: float
    lapse_easy: float
    lapse_hard: float
    log_likelihood: float
    n_trials: int
    intervals: dict[str, tuple[float, float]]
    open_ends: dict[str, tuple[bool, bool]]
    difficulty: Floats
    band: Floats

    def __call__(self, difficulty: ArrayLike) -> Floats:
        """Probability of success at difficulties [bit]."""
        point = np.array([getattr(self, name) for name in PARAMETERS])
        return success(point, np.asarray(difficulty, np.float64))


def success(parameters: Floats, difficulty: Floats) -> Floats:
    """Probability of success.

    Parameters
    ----------
    parameters : ndarray, shape (..., 4)
        In the order of `PARAMETERS`.
    difficulty : ndarray, shape (n,)
        [bit]

    Returns
    -------
    ndarray, shape (..., n)
    """
    from scipy.special import erfc

    bias, threshold, easy, hard = (parameters[..., i, None] for i in range(4))
    fall = 0.5 * erfc((difficulty - bias) / threshold)
    return np.asarray(hard + (1.0 - easy - hard) * fall, np.float64)


def counts(difficulty: ArrayLike, reached: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Trials by difficulty.

    Parameters
    ----------
    difficulty : array_like, shape (n,)
        [bit]
    reached : array_like of bool, shape (n,)

    Returns
    -------
    levels, n_reached, n_trials : ndarray, shape (k,)
    """
    rounded = np.round(np.asarray(difficulty, np.float64), _DECIMALS)
    levels, which = np.unique(rounded, return_inverse=True)
    n_trials = np.bincount(which, np.ones(len(rounded)), len(levels))
    n_reached = np.bincount(which, np.asarray(reached, np.float64), len(levels))
    return np.asarray(levels, np.float64), np.asarray(n_reached), np.asarray(n_trials, np.float64)


def fit_curve(
    difficulty: ArrayLike, reached: ArrayLike, settings: CurveSettings | None = None
) -> Curve:
    """The curve of maximum likelihood, with intervals.

    Parameters
    ----------
    difficulty : array_like, shape (n,)
        Index of difficulty of each trial [bit].
    reached : array_like of bool, shape (n,)
    settings : CurveSettings, optional

    Raises
    ------
    UserError
        When the trials are too few, too much alike in difficulty, or all came out the same.
    """
    from scipy.stats import chi2

    settings = settings or CurveSettings()
    levels, n_reached, n_trials = counts(difficulty, reached)
    n = int(n_trials.sum())
    if not np.isfinite(levels).all():
        raise UserError("a difficulty is not a number")
    if n < settings.least_trials:
        raise UserError(f"{n} trials are too few for a curve: it needs {settings.least_trials}")
    if len(levels) < LEAST_DIFFICULTIES:
        raise UserError(f"a curve needs targets of {LEAST_DIFFICULTIES} difficulties")
    if n_reached.sum() in (0.0, n):
        raise UserError("every trial came out the same: there is no curve to fit")
    span = levels[-1] - levels[0]
    bounds = np.array(
        [
            (levels[0] - settings.margin, levels[-1] + settings.margin),
            (settings.steepest, max(2.0 * (span + settings.margin), 2.0 * settings.steepest)),
            _SHARE,
            _SHARE,
        ]
    )
    likelihood = _Likelihood(levels, n_reached, n_trials)
    best = likelihood.best(bounds)
    top = -likelihood.cost(best)
    plausible = likelihood.plausible(best, bounds, 0.5 * float(chi2.ppf(settings.confidence, 1)))
    low, high = plausible.min(axis=0), plausible.max(axis=0)
    near = _NEAR * (high - low)
    is_open = np.column_stack((low <= bounds[:, 0] + near, high >= bounds[:, 1] - near))
    grid = np.linspace(levels[0], levels[-1], _BAND)
    curves = success(plausible, grid)
    bias, threshold, easy, hard = map(float, best)
    return Curve(
        bias,
        threshold,
        easy,
        hard,
        log_likelihood=top,
        n_trials=n,
        intervals={k: (float(low[i]), float(high[i])) for i, k in enumerate(PARAMETERS)},
        open_ends={k: (bool(a), bool(b)) for k, (a, b) in zip(PARAMETERS, is_open, strict=True)},
        difficulty=grid,
        band=np.array([curves.min(axis=0), curves.max(axis=0)]),
    )


@dataclass(frozen=True)
class _Likelihood:
    """Likelihood of all parameters at once, given trials by difficulty."""

    levels: Floats
    n_reached: Floats
    n_trials: Floats

    def of(self, points: Floats) -> Floats:
        """Log-likelihood of parameters, shape (..., 4) -> (...)."""
        p = np.clip(success(points, self.levels), _TINY, 1.0 - _TINY)
        missed = self.n_trials - self.n_reached
        found = (self.n_reached * np.log(p) + missed * np.log1p(-p)).sum(axis=-1)
        return np.asarray(found, np.float64)

    def cost(self, point: Floats) -> float:
        return -float(self.of(point))

    def best(self, bounds: Floats) -> Floats:
        """Parameters of maximum likelihood: the best of a grid, improved."""
        from scipy.optimize import minimize

        points = _grid(bounds)
        start = points[int(np.argmax(self.of(points)))]
        found: Any = minimize(self.cost, start, method="L-BFGS-B", bounds=bounds.tolist())
        point = np.clip(found.x, bounds[:, 0], bounds[:, 1])
        return point if self.cost(point) <= self.cost(start) else start

    def plausible(self, best: Floats, bounds: Floats, depth: float) -> Floats:
        """Points whose log-likelihood is at most `depth` below the best, shape (n, 4).

        A grid is laid over the bounds and drawn together around those points, until they fill it.
        Then the outermost ones, by parameter and by height of the curve, are moved further out.
        """
        least = float(self.of(best)) - depth
        box = bounds
        inside = best[None]
        for _ in range(_NARROWINGS):
            points = np.concatenate((_grid(box), inside))
            inside = points[self.of(points) >= least]
            step = (box[:, 1] - box[:, 0]) / (_POINTS - 1)
            box = np.column_stack((inside.min(axis=0) - step, inside.max(axis=0) + step))
            box = np.clip(box, bounds[:, :1], bounds[:, 1:])
        step = (box[:, 1] - box[:, 0]) / (_POINTS - 1)
        grid = np.linspace(self.levels[0], self.levels[-1], _BAND)
        around = _grid(np.tile([-1.0, 1.0], (len(PARAMETERS), 1)), 3)
        # Plausible points lie along ridges: steps go along these as well.
        spreads, ridges = np.linalg.eigh(np.cov(inside.T))
        along = around * np.sqrt(np.maximum(spreads, 0.0)) @ ridges.T
        steps = np.concatenate((np.diag(step), -np.diag(step), along))
        for _ in range(_OUTWARDS):
            measured = np.column_stack((inside, success(inside, grid)))
            ends = np.concatenate((measured.argmin(axis=0), measured.argmax(axis=0)))
            outer = inside[np.unique(ends)]
            points = (outer[:, None] + steps).reshape(-1, len(PARAMETERS))
            points = np.clip(points, bounds[:, 0], bounds[:, 1])
            inside = np.concatenate((outer, points[self.of(points) >= least]))
            steps = steps * _SHRINK
        return inside


def _grid(box: Floats, n: int = _POINTS) -> Floats:
    axes = [np.linspace(low, high, n) for low, high in box]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(box))
