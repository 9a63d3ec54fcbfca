"""Measures of an estimate against the desired DOFs, per DOF, and where to add one.

A measure of your own is a `Metric` that an installed package names as an entry point of the group
``emghand.metrics``; nothing else has to know of it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emghand.errors import UserError
from emghand.evaluate.latency import latency_s

AT_REST = 0.05
"""A DOF whose x_d is at most this far from rest is meant to be at rest."""

MOVING_SHARE = 0.1
"""In a part (one movement, one trial) R² and correlation are defined for DOFs that cover at least
this share of their range: of the tail of another movement they would say nothing."""

MOST_GESTURES = 64
"""With more different values of x_d, it is a movement and no set of gestures."""

ENTRY_POINTS = "emghand.metrics"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """What a measure is computed from.

    Parameters
    ----------
    x_d, estimate : ndarray, shape (m, n_dofs)
        Finite, at least one tick.
    rest : ndarray, shape (n_dofs,)
        Where each DOF is at rest.
    reference : ndarray, shape (n, n_dofs)
        `x_d` of the whole that these ticks are a part of (one movement, one repetition).
    span : ndarray, shape (n_dofs,)
        Range of `x_d` in the whole (largest minus smallest), so that parts can be compared.
    run : ndarray of int, shape (m,)
        Ticks that follow one another in time share a number.
    tick_rate : float
        Ticks per second [Hz].
    """

    x_d: Floats
    estimate: Floats
    rest: Floats
    reference: Floats
    span: Floats
    run: Ints
    tick_rate: float


@dataclass(frozen=True)
class Metric:
    """A measure of an estimate.

    Parameters
    ----------
    text : str
        One sentence for a person.
    compute : callable
        From a `Case` to an array of shape (n_dofs,); NaN where the measure is not defined.
    unit : str
        Empty: of normalised DOFs, or a ratio.
    higher_is_better : bool
    """

    text: str
    compute: Callable[[Case], Floats]
    unit: str = ""
    higher_is_better: bool = False


def rmse(case: Case) -> Floats:
    """Root of the mean squared error."""
    error = case.estimate - case.x_d
    return np.sqrt((error * error).mean(axis=0))


def nrmse(case: Case) -> Floats:
    """RMSE over the range of `x_d` (largest minus smallest) of the whole."""
    return _divide(rmse(case), case.span, case.span > 1e-9)


def r2(case: Case) -> Floats:
    """1 - squared error / squared deviation of `x_d` from its mean."""
    error = case.estimate - case.x_d
    mse, variance = (error * error).mean(axis=0), case.x_d.var(axis=0)
    return _divide(variance - mse, variance, _moves(case))


def correlation(case: Case) -> Floats:
    """Pearson's correlation; blind to gain and offset."""
    x, p = case.x_d - case.x_d.mean(axis=0), case.estimate - case.estimate.mean(axis=0)
    norm = np.sqrt((x * x).sum(axis=0) * (p * p).sum(axis=0))
    return _divide((x * p).sum(axis=0), norm, _moves(case) & (norm > 0.0))


def intended(case: Case) -> Floats:
    """RMSE while this DOF is meant to be away from rest."""
    away = np.abs(case.x_d - case.rest) > AT_REST
    return _rms(case.estimate - case.x_d, away)


def unintended(case: Case) -> Floats:
    """Root mean square of the estimate, from rest, while only other DOFs are meant to move."""
    away = np.abs(case.x_d - case.rest) > AT_REST
    return _rms(case.estimate - case.rest, away.any(axis=1, keepdims=True) & ~away)


def latency_ms(case: Case) -> Floats:
    """Lag of the estimate behind `x_d` by cross-correlation [ms]."""
    return latency_s(case.x_d, case.estimate, case.run, case.tick_rate) * 1e3


def gesture_accuracy(case: Case) -> Floats:
    """Share of ticks whose estimate is nearest to the right one of the postures that `x_d` has.

    Of the whole hand, so the same for every DOF; NaN when `x_d` moves gradually.
    """
    targets = np.unique(case.reference, axis=0)
    if len(targets) > MOST_GESTURES:
        return np.full(case.x_d.shape[1], np.nan)
    distances = np.stack([((case.estimate - t) ** 2).sum(axis=1) for t in targets])
    right = (targets[distances.argmin(axis=0)] == case.x_d).all(axis=1)
    return np.full(case.x_d.shape[1], right.mean())


METRICS = {
    "r2": Metric("share of the variance of x_d explained", r2, higher_is_better=True),
    "rmse": Metric("root mean squared error", rmse),
    "nrmse": Metric("RMSE over the range of x_d", nrmse),
    "correlation": Metric("Pearson's correlation", correlation, higher_is_better=True),
    "intended": Metric("RMSE while the DOF is meant to move", intended),
    "unintended": Metric("RMS of the estimate while only other DOFs are meant to", unintended),
    "latency": Metric("lag of the estimate behind x_d", latency_ms, "ms"),
    "gesture_accuracy": Metric(
        "share of ticks nearest to the right posture", gesture_accuracy, higher_is_better=True
    ),
}
"""Measures that come with emghand, by name."""

DEFAULT_METRICS = ("rmse", "nrmse", "r2", "correlation", "intended", "unintended")


def find_metric(name: str) -> Metric:
    """Measure of that name, of emghand or of an installed package.

    Raises
    ------
    UserError
        When there is none.
    """
    if name in METRICS:
        return METRICS[name]
    others = {e.name: e for e in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    if name not in others:
        known = ", ".join([*METRICS, *sorted(others)])
        raise UserError(f"metric {name!r}: unknown, choose from: {known}")
    found = others[name].load()
    if not isinstance(found, Metric):
        raise UserError(f"metric {name!r}: {others[name].value} is no emghand Metric")
    return found


def measure(case: Case, names: Sequence[str]) -> dict[str, Floats]:
    """Measures of a case by name, each shape (n_dofs,).

    Raises
    ------
    UserError
        For an unknown name, or one that does not give one number per DOF.
    """
    found = {}
    for name in names:
        values = np.asarray(find_metric(name).compute(case), dtype=np.float64)
        if values.shape != case.rest.shape:
            raise UserError(f"metric {name!r}: must give one number per DOF, gave {values.shape}")
        found[name] = values
    return found


@dataclass(frozen=True)
class Scores:
    """Measures per DOF, each of shape (n_dofs,); NaN where a measure is not defined.

    Parameters
    ----------
    names : tuple of str
    rmse : ndarray
        Root of the mean squared error.
    nrmse : ndarray
        RMSE over the range of `x_d` (largest minus smallest).
    r2 : ndarray
        1 - squared error / squared deviation of `x_d` from its mean; at most 1, not bounded below.
    correlation : ndarray
        Pearson's; blind to gain and offset.
    intended : ndarray
        RMSE while this DOF is meant to be away from rest, by more than 0.05.
    unintended : ndarray
        Root mean square of the estimate, from rest, while this DOF is meant to rest and another
        is not.
    """

    names: tuple[str, ...]
    rmse: Floats
    nrmse: Floats
    r2: Floats
    correlation: Floats
    intended: Floats
    unintended: Floats

    @property
    def mean_r2(self) -> float:
        """R² averaged over the DOFs that move."""
        known = self.r2[np.isfinite(self.r2)]
        return float(known.mean()) if len(known) else float("nan")

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """Plain numbers by measure and DOF; undefined ones are None, for JSON."""
        measures: dict[str, Any] = {k: v for k, v in vars(self).items() if k != "names"}
        return {measure: plain(self.names, values) for measure, values in measures.items()}


def plain(names: Sequence[str], values: Floats) -> dict[str, float | None]:
    """Numbers by DOF for JSON; undefined ones are None."""
    return {
        name: float(v) if np.isfinite(v) else None for name, v in zip(names, values, strict=True)
    }


def score(
    x_d: ArrayLike, estimate: ArrayLike, names: Sequence[str], rest: ArrayLike = 0.0
) -> Scores:
    """Measures of an estimate.

    Parameters
    ----------
    x_d, estimate : array_like, shape (m, n_dofs)
    names : sequence of str, length n_dofs
    rest : array_like, shape (n_dofs,)
        Where each DOF is at rest.

    Raises
    ------
    UserError
        When there is nothing to score, shapes disagree, or a value is not finite: it would take its
        DOF out of the mean.
    """
    case = make_case(x_d, estimate, rest)
    if len(case.rest) != len(names):
        raise UserError(f"scores: shapes disagree: {case.x_d.shape}, {len(names)} DOFs")
    return score_case(case, names)


def score_case(case: Case, names: Sequence[str]) -> Scores:
    """The default measures of a case; `names` are those of its DOFs."""
    return Scores(tuple(names), **measure(case, DEFAULT_METRICS))


def make_case(
    x_d: ArrayLike,
    estimate: ArrayLike,
    rest: ArrayLike = 0.0,
    reference: Floats | None = None,
    span: Floats | None = None,
    run: Ints | None = None,
    tick_rate: float = 1.0,
) -> Case:
    """`Case` of checked arrays; by default a whole, and one run of ticks.

    Raises
    ------
    UserError
        As `score`.
    """
    X, P = (np.asarray(a, dtype=np.float64) for a in (x_d, estimate))
    if X.shape != P.shape or X.ndim != 2:
        raise UserError(f"scores: shapes disagree: {X.shape}, {P.shape}")
    if not len(X):
        raise UserError("scores: no tick is both labelled and decoded")
    if not (np.isfinite(X).all() and np.isfinite(P).all()):
        raise UserError("scores: x_d or the estimate holds values that are not finite")
    origin = np.broadcast_to(np.asarray(rest, dtype=np.float64), (X.shape[1],))
    whole = X if reference is None else reference
    return Case(
        x_d=X,
        estimate=P,
        rest=origin,
        reference=whole,
        span=spread(whole) if span is None else span,
        run=np.zeros(len(X), dtype=np.int64) if run is None else run,
        tick_rate=tick_rate,
    )


def masked_r2(x_d: ArrayLike, estimate: ArrayLike, keep: ArrayLike) -> Floats:
    """R² per DOF over the samples that count, for labels that are known to be wrong in places.

    Parameters
    ----------
    x_d, estimate : array_like, shape (m, n_dofs)
    keep : array_like of bool, shape (m, n_dofs)

    Returns
    -------
    ndarray, shape (n_dofs,)
        See `Scores`.
    """
    columns = zip(*(np.asarray(a).T for a in (x_d, estimate, keep)), strict=True)
    return np.array([score(x[kept, None], p[kept, None], ("",)).mean_r2 for x, p, kept in columns])


def spread(x: Floats) -> Floats:
    """Largest minus smallest value of each column."""
    found: Floats = x.max(axis=0) - x.min(axis=0)
    return found


def _moves(case: Case) -> NDArray[np.bool_]:
    covered = spread(case.x_d)
    return (covered > 1e-9) & (covered >= MOVING_SHARE * case.span)


def _divide(a: Floats, b: Floats, where: NDArray[np.bool_]) -> Floats:
    return np.divide(a, b, out=np.full_like(a, np.nan), where=where)


def _rms(values: Floats, where: NDArray[np.bool_]) -> Floats:
    counts = where.sum(axis=0)
    sums = np.where(where, values * values, 0.0).sum(axis=0)
    return np.sqrt(_divide(sums, np.maximum(counts, 1.0), counts > 0))
