"""Scores of a prompted test that was run live, from what the hand got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.evaluate.metrics import AT_REST, make_case, nrmse, unintended
from emghand.progress.bag import BagContent
from emghand.storage.bags.convert import periods_of, series_of
from emghand.storage.recording import PeriodKind
from emghand.training.labels import Periods, label_periods, label_values

SETTLED_S = 0.5
"""Rest counts from so long after it was asked for on."""
REST_SHARE = 0.95
"""Share of the ticks at rest that a movement has to stand out from."""

NOTHING = "nothing is both prompted and decoded"

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class TestScores:
    """Scores of a test.

    Parameters
    ----------
    nrmse : float or None
        Of ``out_x_hat``, mean over the DOFs that move.
    unintended : float or None
        Of ``out_x_hat``, mean over the DOFs that are meant to rest while others are not.
    rest_offset : mapping of str to float
        By DOF: median of ``out_x_hat``, from the rest posture, while at rest.
    resolvable : mapping of str to float
        By DOF: smallest amplitude of `x_d` whose estimate stands out from rest. With the offset of
        ``x_hat`` its median at rest: the `REST_SHARE` quantile of its distance from the offset at
        rest, over its gain, the median of (``x_hat`` - offset) / `x_d` in holds of this DOF. Left
        out where the gain is not positive. Of ``x_hat``, because a filter that keeps the hand still
        at rest hides what it cannot tell from rest.
    """

    nrmse: float | None = None
    unintended: float | None = None
    rest_offset: Mapping[str, float] = field(default_factory=dict)
    resolvable: Mapping[str, float] = field(default_factory=dict)


def score_test(content: BagContent, ranges: Ranges | None = None) -> TestScores:
    """Scores of the bag of a prompted test.

    Parameters
    ----------
    content : BagContent
        Read with `prompted`.
    ranges : mapping of str to (float, float), optional
        Lowest and highest value of each DOF; default: [-1, 1].

    Raises
    ------
    UserError
        When nothing in it is both prompted and decoded.
    """
    output = _aligned(content, content.out_x_hat)
    scored = output.known & output.periods.asked
    if not scored.any():
        raise UserError(NOTHING)
    low, high = np.array([(ranges or {}).get(n, (-1.0, 1.0)) for n in output.names]).T
    relax = np.array([content.relax_pos.get(n, 0.0) for n in output.names])
    rest = np.clip(relax, low, high)
    target = np.clip(output.wanted + relax, low, high)
    case = make_case(target[scored], output.values[scored], rest)
    offset = np.median(output.values[output.resting] - rest, axis=0) if output.resting.any() else ()
    estimate = _aligned(content, content.x_hat) if content.x_hat else output
    return TestScores(
        nrmse=_mean(nrmse(case)),
        unintended=_mean(unintended(case)),
        rest_offset=dict(zip(output.names, map(float, offset), strict=False)),
        resolvable=_resolvable(estimate),
    )


@dataclass(frozen=True)
class _Aligned:
    """Ticks of an estimate, with what was asked for: m ticks, n_dofs."""

    names: tuple[str, ...]
    values: Floats
    wanted: Floats
    known: Bools
    periods: Periods
    resting: Bools


def _aligned(content: BagContent, messages: Sequence[Any]) -> _Aligned:
    x_d, estimate = series_of(content.x_d, 0.0), series_of(messages, np.nan)
    if x_d is None or estimate is None:
        raise UserError(NOTHING)
    names = tuple(n for n in estimate.names if n in x_d.names)
    if not names:
        raise UserError(NOTHING)
    values = estimate.values[:, [estimate.names.index(n) for n in names]]
    finite = np.isfinite(values).all(axis=1)
    stamps = estimate.stamps_ns[finite]
    wanted, known = label_values(x_d, names, stamps)
    periods = label_periods(periods_of(content.states), stamps)
    resting = known & _settled(periods.kind, stamps) & (np.abs(wanted) <= AT_REST).all(axis=1)
    return _Aligned(names, values[finite], wanted, known, periods, resting)


def _resolvable(ticks: _Aligned) -> dict[str, float]:
    found: dict[str, float] = {}
    if not ticks.resting.any():
        return found
    held = ticks.known & (ticks.periods.kind == PeriodKind.HOLD)
    for name, values, wanted in zip(ticks.names, ticks.values.T, ticks.wanted.T, strict=True):
        asked = held & (np.abs(wanted) > AT_REST)
        if not asked.any():
            continue
        away = values - np.median(values[ticks.resting])
        gain = float(np.median(away[asked] / wanted[asked]))
        if gain > 0.0:
            found[name] = float(np.quantile(np.abs(away[ticks.resting]), REST_SHARE)) / gain
    return found


def _settled(kind: NDArray[np.int64], stamps_ns: NDArray[np.int64]) -> Bools:
    """Ticks of a rest that has lasted for `SETTLED_S`."""
    resting = kind == PeriodKind.REST
    begins = resting & ~np.concatenate([[False], resting[:-1]])
    since = np.maximum.accumulate(np.where(begins, stamps_ns, 0))
    settled: Bools = resting & (stamps_ns - since >= round(SETTLED_S * 1e9))
    return settled


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
