"""Scored trials, from the table of a run or from its bag: the same rows from both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emghand.errors import UserError
from emghand.evaluate.online import NUMBERS, Measures
from emghand.evaluate.online_bag import BagTrial
from emghand.progress.rows import MULTI, PAIR, SINGLE, TrialRow
from emghand.tasks.spec import DECIMALS, TrialSpec
from emghand.tasks.trial import CANCELLED, COMPLETED

SCORED_OUTCOMES = (COMPLETED, "timeout", "violation")
"""A trial that was cancelled says nothing of the person."""

_CLASSES = {1: SINGLE, 2: PAIR}


def trials_of_table(
    document: Mapping[str, Any], session_id: str, protocol: str
) -> tuple[TrialRow, ...]:
    """Scored trials of the table that a run of a task wrote.

    Parameters
    ----------
    document : mapping
        Content of the table.
    session_id, protocol : str
        As in `TrialRow`.

    Raises
    ------
    UserError
        When a trial makes no sense.
    """
    rows = document.get("trials")
    if not isinstance(rows, list):
        raise UserError("it has no list of trials")
    found = []
    for place, row in enumerate(rows, 1):
        try:
            found.append(_row(*_parsed(row), session_id, protocol))
        except (KeyError, TypeError, ValueError, OverflowError, UserError) as error:
            raise UserError(f"its trial {place} makes no sense ({error})") from error
    return _scored(found)


def trials_of_bag(
    trials: Sequence[BagTrial], session_id: str, protocol: str
) -> tuple[TrialRow, ...]:
    """Scored trials of a bag; see `trials_of_table`.

    Raises
    ------
    UserError
        When a number is there twice.
    """
    found = []
    for trial in trials:
        last = float(trial.times[-1]) if len(trial.times) else 0.0
        end_ns = trial.start_ns + round(last * 1e9)
        if trial.recorded is not None:
            end_ns = int(trial.recorded["end_ns"])
        row = _row(trial.spec, trial.measures, trial.start_ns, end_ns, session_id, protocol)
        found.append(row)
    return _scored(found)


def rounded(value: float | None) -> float | None:
    """To as many decimals as trials have, so that a bound is met where it is met; None for NaN."""
    if value is None or not math.isfinite(value):
        return None
    return round(value, DECIMALS) + 0.0


def _scored(rows: Iterable[TrialRow]) -> tuple[TrialRow, ...]:
    found = tuple(row for row in rows if row.outcome in SCORED_OUTCOMES)
    seen: set[int] = set()
    for row in found:
        if row.number in seen:
            raise UserError(f"its trial {row.number} is there twice")
        seen.add(row.number)
    return found


def _parsed(row: Any) -> tuple[TrialSpec, Measures, int, int]:
    """What a row of a table says; errors of Python where it makes no sense."""
    spec = TrialSpec(
        task=_text(row["task"]),
        kind=_text(row["kind"]),
        trial=_integer(row["trial"]),
        seed=_integer(row["seed"]),
        dofs=tuple(_text(v) for v in row["dofs"]),
        start=tuple(_number(v) for v in row["start"]),
        goal=tuple(_number(v) for v in row["goal"]),
        active=tuple(_flag(v) for v in row["active"]),
        radius=_number(row["radius"]),
        dwell=_number(row["dwell"]),
        epochs=tuple(_text(v) for v in row["epochs"]),
        bounds=tuple(_number(v) for v in row["bounds"]),
        perturbations=tuple(_text(v) for v in row["perturbations"]),
        validation=_flag(row["validation"]),
        id=_text(row["id"]),
    )
    start_ns, end_ns = _integer(row["start_ns"]), _integer(row["end_ns"])
    outcome = _text(row["outcome"])
    if not 0 <= start_ns <= end_ns < 2**63 or not 0 <= spec.trial < 2**31:
        raise ValueError("times or number out of range")
    if outcome not in (*SCORED_OUTCOMES, CANCELLED, ""):
        raise ValueError(f"outcome {outcome!r}")
    numbers = {n: math.nan if row[n] is None else _number(row[n]) for n in NUMBERS}
    counts = {n: _integer(row[n]) for n in ("overshoots", "hold_violations")}
    if not all(0 <= n < 2**31 for n in counts.values()):
        raise ValueError("counts out of range")
    details = row.get("details") or {}
    if not isinstance(details, dict):
        raise TypeError("details")
    return spec, Measures(outcome, **(numbers | counts), details=details), start_ns, end_ns  # type: ignore[arg-type]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _row(
    spec: TrialSpec,
    measures: Measures,
    start_ns: int,
    end_ns: int,
    session_id: str,
    protocol: str,
) -> TrialRow:
    if not all(name.replace("_", "").isalnum() for name in spec.dofs):
        raise UserError("its DOFs have no proper names")
    counting = _counting(spec)
    return TrialRow(
        session_id=session_id,
        protocol=protocol,
        number=spec.trial,
        kind=spec.kind,
        target_class=_CLASSES.get(len(counting), MULTI),
        dofs=",".join(counting),
        radius=spec.radius,
        dwell=spec.dwell,
        difficulty=rounded(measures.index_of_difficulty),
        outcome=measures.outcome,
        time_to_target=rounded(measures.completion_time),
        reaction_time=rounded(measures.reaction_time),
        path_efficiency=rounded(measures.path_efficiency),
        overshoots=measures.overshoots,
        longest_hold=rounded(measures.longest_hold) or 0.0,
        hold_violations=measures.hold_violations,
        throughput=rounded(measures.throughput),
        unintended=_unintended(spec, measures.details),
        validation=spec.validation,
        perturbed=bool(spec.perturbations),
        start_ns=start_ns,
        end_ns=end_ns,
        after_pause=False,
    )


def _counting(spec: TrialSpec) -> tuple[str, ...]:
    """DOFs that the target asks for: active, and away from the start.

    Of a posture that is to be kept: those away from rest. A target that asks for none, such as
    rest, counts for all that are active.
    """
    origin = [0.0] * len(spec.dofs) if spec.goal == spec.start else spec.start
    rows = list(zip(spec.dofs, origin, spec.goal, spec.active, strict=True))
    asked = tuple(name for name, a, b, active in rows if active and a != b)
    return asked or tuple(name for name, _, _, active in rows if active)


def _unintended(spec: TrialSpec, details: Mapping[str, Any]) -> float | None:
    """Of the loss of that name: the mean squared distance over all DOFs that shall not move."""
    idle = sum(a == b for a, b in zip(spec.start, spec.goal, strict=True))
    losses = details.get("losses")
    terms = losses.get("terms") if isinstance(losses, dict) else None
    value = terms.get("unintended") if isinstance(terms, dict) else None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= 0.0:
        return None
    if not 0 < idle < len(spec.dofs):
        return None
    return rounded(math.sqrt(value / idle))
