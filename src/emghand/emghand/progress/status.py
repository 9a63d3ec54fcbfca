"""Where a subject stands on each date, what is missing, and when each level was first reached."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from emghand.progress.criteria import Criteria, load_criteria
from emghand.progress.dates import DateRow, pool, trials_of
from emghand.progress.frames import frame_of
from emghand.progress.judge import Verdict, judge
from emghand.progress.levels import (
    EARNED,
    FITTING,
    IN_TRAINING,
    LEVELS,
    NO_CONTROL,
    NOT_COMPUTED,
    TRAINED_BASIC,
    not_lower,
    plain_name,
    rank,
)
from emghand.progress.rows import PENDING, SCORED

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StatusRow(DateRow):
    """A date with the status of the subject on it.

    Parameters
    ----------
    raw_status : str
        What this date and its window alone say; it goes back where the person does.
    status : str
        The highest one so far; it never goes back.
    advice : str
        Where training has not led to control; empty otherwise.
    window : str
        JSON: list of the dates that the status is judged by.
    criteria : str
        JSON: name of each criterion -> level, text, value, comparison, threshold, pass, why.
    missing : str
        JSON: list of what fails for the level above the raw status, as in `criteria` with its name.
    criteria_digest : str
        Of the criteria that were in force.
    """

    raw_status: str
    status: str
    advice: str
    window: str
    criteria: str
    missing: str
    criteria_digest: str


_VERDICT = ("advice", "window", "criteria", "missing", "raw_status")
"""What a date without scored trials keeps of the last one that had some."""

_NO_TRIALS = {
    "name": "scored_trials",
    "level": IN_TRAINING,
    "text": "Scored trials of a task",
    "over": "date",
    "column": "n_trials",
    "value": 0,
    "comparison": ">=",
    "threshold": 1,
    "pass": False,
}


def compute_status(
    sessions: pd.DataFrame,
    trials: pd.DataFrame,
    criteria: Criteria | None = None,
    *,
    since: date | None = None,
    before: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Status of a subject on each date, in order.

    Parameters
    ----------
    sessions, trials : DataFrame
        All sessions of one subject and their trials (`emghand.progress.frames`), in any order.
    criteria : Criteria, optional
        Default: those that come with emghand.
    since : datetime.date, optional
        Compute only this date and later ones; rows of earlier dates are taken from `before`.
    before : DataFrame, optional
        What was computed earlier. It is left aside when it was computed with other criteria or
        holds other dates than the sessions up to `since`.

    Returns
    -------
    DataFrame
        Columns of `StatusRow`, one row for each date: the same to the bit, whether computed in one
        go or in parts.

    Raises
    ------
    ValueError
        When there are several subjects.
    """
    if sessions["subject"].nunique() > 1:
        raise ValueError("sessions of several subjects: compute the status of each by itself")
    criteria = criteria or load_criteria()
    days = sorted(sessions["date"].unique())
    rows = _earlier(before, since, days, criteria)
    own_trials = trials_of(sessions, trials)
    for day in days[len(rows) :]:
        of_day = sessions[sessions["date"] == day]
        row = pool(of_day, trials_of(of_day, own_trials))
        rows.append(row | _status(row, rows, sessions, own_trials, criteria))
    return frame_of(StatusRow, rows)


def _earlier(
    before: pd.DataFrame | None, since: date | None, days: Sequence[date], criteria: Criteria
) -> list[dict[str, Any]]:
    if before is None or since is None:
        return []
    kept = before[before["date"] < since].sort_values("date")
    fits = (kept["criteria_digest"] == criteria.digest).all()
    if not fits or kept["date"].tolist() != [day for day in days if day < since]:
        return []
    rows = kept.astype("object")
    names = list(rows.columns)
    values = rows.where(rows.notna(), None).itertuples(index=False, name=None)
    return [dict(zip(names, row, strict=True)) for row in values]


def _status(
    row: dict[str, Any],
    earlier: Sequence[dict[str, Any]],
    sessions: pd.DataFrame,
    trials: pd.DataFrame,
    criteria: Criteria,
) -> dict[str, Any]:
    computed = next((r for r in reversed(earlier) if _is_computed(r)), None)
    if row["n_trials"] or (row["state"] == SCORED and computed is None):
        found = _judged(row, earlier, sessions, trials, criteria)
    elif row["state"] == PENDING:
        found = _not_scored(NOT_COMPUTED, "a session of this date is not evaluated yet")
    elif computed is not None:
        found = {name: computed[name] for name in _VERDICT}
    else:
        found = _not_scored(FITTING, "")
    last = earlier[-1]["status"] if earlier else None
    return found | {
        "status": not_lower(last, found["raw_status"]),
        "criteria_digest": criteria.digest,
    }


def _is_computed(row: dict[str, Any]) -> bool:
    return row["raw_status"] not in (FITTING, NOT_COMPUTED)


def _not_scored(raw: str, why: str) -> dict[str, Any]:
    missing = [_NO_TRIALS | {"why": why}]
    return _verdict(raw, "", [], {}, missing)


def _judged(
    row: dict[str, Any],
    earlier: Sequence[dict[str, Any]],
    sessions: pd.DataFrame,
    trials: pd.DataFrame,
    criteria: Criteria,
) -> dict[str, Any]:
    history = [r for r in (*earlier, row) if r["n_trials"]]
    window = history[-criteria.window :]
    whole: dict[str, Any] = {}
    if window:
        of_window = sessions[sessions["date"].isin([r["date"] for r in window])]
        whole = pool(of_window, trials_of(of_window, trials))
    verdicts = [judge(c, history, window, whole) for c in criteria.criteria]
    level = _reached(verdicts)
    above = LEVELS[rank(level) + 1] if level != LEVELS[-1] else None
    missing = [v for v in verdicts if v.criterion.level == above and not v.passed]
    raw, advice = level, ""
    trained = level in EARNED or any(r["status"] in EARNED for r in earlier)
    if not trained and len(history) >= criteria.patience:
        raw = NO_CONTROL
        advice = (
            f"{len(history)} dates with scored trials and {plain_name(TRAINED_BASIC)} not reached: "
            "consider another place of the electrodes or another selection of actions. This is "
            "advice, no verdict."
        )
    return _verdict(
        raw,
        advice,
        [str(r["date"]) for r in window],
        {v.criterion.name: v.document() for v in verdicts},
        [{"name": v.criterion.name, **v.document()} for v in missing],
    )


def _reached(verdicts: Sequence[Verdict]) -> str:
    level = IN_TRAINING
    for higher in EARNED:
        if not all(v.passed for v in verdicts if v.criterion.level == higher):
            break
        level = higher
    return level


def _verdict(
    raw: str,
    advice: str,
    window: list[str],
    criteria: dict[str, Any],
    missing: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "raw_status": raw,
        "advice": advice,
        "window": json.dumps(window),
        "criteria": json.dumps(criteria, allow_nan=False),
        "missing": json.dumps(missing, allow_nan=False),
    }


def first_reached(dates: pd.DataFrame) -> dict[str, tuple[date, str]]:
    """When each level was reached for the first time.

    Parameters
    ----------
    dates : DataFrame
        From `compute_status`.

    Returns
    -------
    dict
        Level -> date, and id of the session that completed it: the last one of that date with
        scored trials. A level that was passed over was reached together with the higher one;
        `FITTING` and `NOT_COMPUTED` are there only where a date had that raw status, `NO_CONTROL`
        never, as it is no level to reach.
    """
    found: dict[str, tuple[date, str]] = {}
    columns = ("date", "last_session", "status", "raw_status")
    for day, session, status, raw in zip(*(dates[c] for c in columns), strict=True):
        reached = [v for v in LEVELS[rank(IN_TRAINING) :] if rank(v) <= rank(status)]
        if raw in (FITTING, NOT_COMPUTED):
            reached.append(raw)
        for level in reached:
            found.setdefault(level, (day, session))
    return {level: found[level] for level in LEVELS if level in found}


def missing_of(row: Any) -> list[str]:
    """What is missing for the next level, a sentence each.

    Parameters
    ----------
    row : mapping or Series
        A row of `compute_status`.
    """
    return [_sentence(entry) for entry in json.loads(row["missing"])]


def _sentence(entry: dict[str, Any]) -> str:
    value = entry["value"]
    has = shown_value(value) if value is not None else "not known"
    if entry["why"]:
        has = f"{has}, {entry['why']}" if value is not None else entry["why"]
    needs = shown_value(entry["threshold"])
    sign = "" if entry["comparison"] == "==" else f"{entry['comparison']} "
    return f"{entry['text']}: {has}; needs {sign}{needs}"


def shown_value(value: Any) -> str:
    """A value of a criterion, or its threshold, as a person reads it."""
    if isinstance(value, bool):
        return "passed" if value else "failed"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
