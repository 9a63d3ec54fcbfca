"""How a criterion comes out on a date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emghand.progress.criteria import (
    EVERY,
    HISTORY,
    N_DATES,
    NUMBERS,
    WINDOW,
    Criterion,
    Value,
)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """How one criterion came out.

    Parameters
    ----------
    criterion : Criterion
    value : float, bool, str or None
        None: not known.
    passed : bool
    why : str
        Why the value is not known.
    """

    criterion: Criterion
    value: Value | None
    passed: bool
    why: str = ""

    def document(self) -> dict[str, Any]:
        """As it is kept in tables."""
        asked = self.criterion
        return {
            "level": asked.level,
            "text": asked.text,
            "over": asked.over,
            "column": asked.condition.column,
            "value": self.value,
            "comparison": asked.condition.comparison,
            "threshold": asked.condition.threshold,
            "pass": self.passed,
            "why": self.why,
        }


def judge(
    criterion: Criterion, history: Sequence[Row], window: Sequence[Row], whole: Row
) -> Verdict:
    """How a criterion comes out on a date.

    Parameters
    ----------
    criterion : Criterion
    history : sequence of mapping
        Values of a `DateRow` of each date so far that has scored trials; None: not known.
    window : sequence of mapping
        The last ones of these, this date at the end.
    whole : mapping
        The sessions of the window together; empty without any.
    """
    condition = criterion.condition
    column = condition.column
    if criterion.over == HISTORY:
        count = sum(all(c.holds(row[c.column]) for c in criterion.where) for row in history)
        return Verdict(criterion, count, condition.holds(count))
    if column == N_DATES:
        return Verdict(criterion, len(window), condition.holds(len(window)))
    if not window:
        return Verdict(criterion, None, False, "there is no date with scored trials")
    if criterion.over == WINDOW:
        why = "" if whole[column] is not None else "not known of any date of the window"
        return Verdict(criterion, whole[column], condition.holds(whole[column]), why)
    rows = window if criterion.over == EVERY else window[-1:]
    unknown = [str(row["date"]) for row in rows if row[column] is None]
    if unknown:
        return Verdict(criterion, None, False, f"not known on {', '.join(unknown)}")
    values = [row[column] for row in rows]
    failed = [v for v in values if not condition.holds(v)]
    worst = failed[0] if failed else values[-1]
    if column in NUMBERS:
        worst = min(values) if condition.comparison.startswith(">") else max(values)
    return Verdict(criterion, worst, not failed)
