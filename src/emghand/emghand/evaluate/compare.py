"""Several results on the same data beside each other, with what chance alone would explain."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.evaluate.metrics import find_metric, measure
from emghand.evaluate.results import Result
from emghand.evaluate.statistics import (
    LEAST_UNITS,
    holm,
    mean_interval,
    rank_biserial,
    rank_sum,
    signed_rank,
)
from emghand.evaluate.ticks import SIGNALS
from emghand.evaluate.units import paired, unit_means, unit_scores

UNITS = ("trial", "repetition", "recording", "session", "day", "subject")
"""What is drawn again in the bootstrap and paired in the tests."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Item:
    """One of the results compared.

    Parameters
    ----------
    name : str
    result : str
        SHA-256 of the result.
    pooled : float or None
        The score over all ticks, mean over the DOFs: that of ``emghand evaluate``.
    n : int
        Units.
    mean, low, high : float or None
        Mean over the units of the score of each, and its 95 % confidence interval.
    """

    name: str
    result: str
    pooled: float | None
    n: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Pair:
    """The difference of two of them, `a` minus `b`.

    Parameters
    ----------
    a, b : str
    n : int
        Pairs of units, or the smaller number of units when they are not paired.
    difference, low, high : float or None
        Mean over the units and its 95 % confidence interval (paired only).
    effect : float or None
        Rank-biserial correlation, from -1 to 1.
    p, p_holm : float or None
        Two-sided, before and after the correction for the number of pairs; None: too few units to
        say anything.
    better : str
        Name of the better one when ``p_holm < 0.05``, else empty.
    """

    a: str
    b: str
    n: int
    difference: float | None
    low: float | None
    high: float | None
    effect: float | None
    p: float | None
    p_holm: float | None
    better: str


@dataclass(frozen=True)
class Comparison:
    """Results compared by one metric of one signal.

    Parameters
    ----------
    metric, signal, unit : str
    seed, resamples : int
        Of the bootstrap.
    test : str
        ``wilcoxon signed-rank``, or ``mann-whitney`` for different data.
    items : tuple of Item
    pairs : tuple of Pair
    notes : tuple of str
        What a reader must know.
    """

    metric: str
    signal: str
    unit: str
    seed: int
    resamples: int
    test: str
    items: tuple[Item, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)


def compare(
    results: Sequence[Result],
    metric: str = "nrmse",
    *,
    signal: str = "x_hat_compensated",
    unit: str = "trial",
    seed: int = 0,
    resamples: int = 10_000,
    different_data: bool = False,
) -> Comparison:
    """Compare results unit by unit.

    The score of a unit is the metric over its ticks, averaged over the DOFs for which it is defined
    in every result.

    Parameters
    ----------
    results : sequence of Result
        At least two, with their ticks.
    metric : str
    signal : str
        One of `emghand.evaluate.ticks.SIGNALS`.
    unit : str
        One of `UNITS`.
    seed, resamples : int
        Of the bootstrap.
    different_data : bool
        Compare although the data or the way they were held out differ: units are then not paired.

    Raises
    ------
    UserError
        When there is nothing to compare, or the data differ and `different_data` was not said.
    """
    if len(results) < 2:
        raise UserError("compare: needs at least 2 results, models or settings")
    check_options(metric, signal, unit, resamples)
    names = _names(results)
    differ = _difference(results)
    if differ and not different_data:
        raise UserError(f"{differ}; to compare all the same, say --different-data")
    found = [unit_scores(r, metric, signal, unit) for r in results]
    notes = _notes(results, names, unit)
    if differ:
        notes.append(f"{differ}: units are not paired")
        values = [unit_means(list(units.values())) for units in found]
    else:
        values, left_out = paired(found)
        if left_out:
            notes.append(f"{left_out} units are left out: not scored in every result")
    if min(len(v) for v in values) < LEAST_UNITS:
        notes.append(f"fewer than {LEAST_UNITS} units: no test, nothing can be claimed")
    items = []
    for name, result, of_units in zip(names, results, values, strict=True):
        low, high = mean_interval(of_units, seed, resamples)
        items.append(
            Item(
                name=name,
                result=result.digest,
                pooled=_known(_pooled(result, metric, signal)),
                n=len(of_units),
                mean=_known(float(of_units.mean())) if len(of_units) else None,
                low=_known(low),
                high=_known(high),
            )
        )
    higher = find_metric(metric).higher_is_better
    pairs = _pairs(names, values, seed, resamples, bool(differ), higher)
    notes += _disagreements(items, pairs, higher)
    return Comparison(
        metric=metric,
        signal=signal,
        unit=unit,
        seed=seed,
        resamples=resamples,
        test="mann-whitney" if differ else "wilcoxon signed-rank",
        items=tuple(items),
        pairs=tuple(pairs),
        notes=tuple(notes),
    )


def check_options(metric: str, signal: str, unit: str, resamples: int) -> None:
    """Whether results can be compared so.

    Raises
    ------
    UserError
        When one of them is unknown, or there are too few resamples.
    """
    find_metric(metric)
    if unit not in UNITS:
        raise UserError(f"unit {unit!r}: unknown, choose from: {', '.join(UNITS)}")
    if signal not in SIGNALS:
        raise UserError(f"signal {signal!r}: unknown, choose from: {', '.join(SIGNALS)}")
    if resamples < 1000:
        raise UserError(f"resamples: at least 1000 are needed for an interval, got {resamples}")


def _pairs(
    names: Sequence[str],
    values: Sequence[Floats],
    seed: int,
    resamples: int,
    unpaired: bool,
    higher: bool,
) -> list[Pair]:
    rows = []
    for a, b in itertools.combinations(range(len(names)), 2):
        low = high = np.nan
        if unpaired:
            p, effect = rank_sum(values[a], values[b])
            difference = float(values[a].mean() - values[b].mean()) if effect == effect else np.nan
        else:
            d = values[a] - values[b]
            difference = float(d.mean()) if len(d) else np.nan
            low, high = mean_interval(d, seed, resamples)
            p, effect = signed_rank(d), rank_biserial(d)
        rows.append((a, b, difference, low, high, effect, p))
    corrected = holm(np.array([row[-1] for row in rows]))
    found = []
    for (a, b, difference, low, high, effect, p), p_holm in zip(rows, corrected, strict=True):
        better = ""
        if p_holm < 0.05 and effect:
            better = names[a] if (effect > 0.0) == higher else names[b]
        found.append(
            Pair(
                a=names[a],
                b=names[b],
                n=min(len(values[a]), len(values[b])),
                difference=_known(difference),
                low=_known(low),
                high=_known(high),
                effect=_known(effect),
                p=_known(p),
                p_holm=_known(float(p_holm)),
                better=better,
            )
        )
    return found


def _disagreements(items: Sequence[Item], pairs: Sequence[Pair], higher: bool) -> list[str]:
    """Pairs of which the other one is better in the score over all ticks."""
    pooled = {item.name: item.pooled for item in items}
    notes = []
    for pair in pairs:
        worse = pair.b if pair.better == pair.a else pair.a
        of_better, of_worse = pooled.get(pair.better), pooled[worse]
        if of_better is None or of_worse is None or of_better == of_worse:
            continue
        if (of_better > of_worse) != higher:
            notes.append(
                f"over all ticks together it is the other way round: {worse} is better than "
                f"{pair.better}"
            )
    return notes


def _pooled(result: Result, metric: str, signal: str) -> float:
    assert result.ticks is not None
    values = measure(result.ticks.case(signal), (metric,))[metric]
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _difference(results: Sequence[Result]) -> str:
    """What makes the results different in more than the decoder; empty: nothing."""
    first = results[0]
    for other in results[1:]:
        if {s.digest for s in other.sources} != {s.digest for s in first.sources}:
            return f"{first.name} and {other.name} were scored on different recordings"
        if other.scheme != first.scheme:
            return (
                f"{first.name} and {other.name} were held out differently ({first.scheme}, "
                f"{other.scheme})"
            )
        names = [r.ticks.names if r.ticks is not None else () for r in (first, other)]
        if names[0] != names[1]:
            return f"{first.name} and {other.name} estimate different DOFs"
    return ""


def _notes(results: Sequence[Result], names: Sequence[str], unit: str) -> list[str]:
    notes = []
    subjects = {s.subject for r in results for s in r.sources}
    if len(subjects) > 1 and unit != "subject":
        notes.append(
            f"the {unit}s of {len(subjects)} subjects are taken as independent: what is found "
            "holds for these people; for others compare by subject"
        )
    for name, result in zip(names, results, strict=True):
        seen = [s.name for s in result.sources if s.digest in result.trained_on]
        if seen:
            notes.append(f"{name} was trained on {', '.join(seen)}: its scores are too good")
    if len({r.code_version for r in results}) > 1:
        notes.append("the results were made by different versions of emghand")
    return notes


def _names(results: Sequence[Result]) -> list[str]:
    """Names that tell the results apart."""
    names = [r.name for r in results]
    return [
        f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
