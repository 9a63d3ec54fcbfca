"""One row for each date: all sessions of a day together."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from emghand.progress.frames import frame_of
from emghand.progress.rows import HOLD_RADIUS, PLACES, SCORED, STATES, TARGET_CLASSES
from emghand.tasks.trial import COMPLETED

if TYPE_CHECKING:
    import pandas as pd

_COUNTS = (
    "n_trials",
    *(f"{what}_{kind}" for kind in TARGET_CLASSES for what in ("n", "completed")),
    "n_after_pause",
    "completed_after_pause",
    "recalibrations",
    "faults",
)


@dataclass(frozen=True)
class DateRow:
    """All sessions of a date together.

    Counts are added; measures of trials are taken over all trials that were not perturbed, and
    those of prompted tests are means over the sessions that have one. What is not known is None.

    Parameters
    ----------
    subject : str
    date : datetime.date
    n_sessions : int
    sessions : str
        Their ids in order, with commas.
    first_session, last_session : str
        Ids of the first and the last one with scored trials, else of all.
    state : str
        ``scored`` if a session is, else ``pending`` if one is, else ``fitting``.
    protocols : str
        With commas, each once.
    place : str
        Of the sessions with scored trials, else of all: ``hand`` if one was there, else
        ``simulator`` if one was there, else ``none``.
    duration : float
        Sum [min].
    start_delay : float or None
        Of the first session that has one [s].
    n_trials, n_single, completed_single, n_pair, completed_pair, n_multi, completed_multi : int
    completion, completion_single, completion_pair, completion_multi : float or None
        Share of targets that were reached.
    nrmse, unintended : float or None
    time_to_target : float or None
        Median over completed trials [s].
    path_efficiency : float or None
        Mean over completed trials.
    overshoots : float or None
        Mean per trial.
    hold : float or None
        Median of the longest hold in targets of at most `HOLD_RADIUS` [s].
    throughput : float or None
        Mean over completed trials [bit/s].
    rest_offset, resolvable : str
        JSON: DOF -> mean over the sessions that know it.
    latency_p99_ms : float or None
        The largest [ms].
    latency_ok, faults_ok : bool or None
        False if it is of any session; True if it is of every session with scored trials.
    faults, n_pauses, recalibrations : int
    n_after_pause, completed_after_pause : int
    completion_after_pause : float or None
    problems : str
        Each once, with line breaks.
    """

    subject: str
    date: date
    n_sessions: int
    sessions: str
    first_session: str
    last_session: str
    state: str
    protocols: str
    place: str
    duration: float
    start_delay: float | None
    n_trials: int
    n_single: int
    completed_single: int
    n_pair: int
    completed_pair: int
    n_multi: int
    completed_multi: int
    completion: float | None
    completion_single: float | None
    completion_pair: float | None
    completion_multi: float | None
    nrmse: float | None
    unintended: float | None
    time_to_target: float | None
    path_efficiency: float | None
    overshoots: float | None
    hold: float | None
    throughput: float | None
    rest_offset: str
    resolvable: str
    latency_p99_ms: float | None
    latency_ok: bool | None
    faults: int
    faults_ok: bool | None
    n_pauses: int
    recalibrations: int
    n_after_pause: int
    completed_after_pause: int
    completion_after_pause: float | None
    problems: str


def combine(sessions: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The combined row of each date.

    Parameters
    ----------
    sessions, trials : DataFrame
        Of any number of subjects (`emghand.progress.frames`), in any order.

    Returns
    -------
    DataFrame
        Columns of `DateRow`, one row for each subject and date, in order.
    """
    groups = sessions.groupby(["subject", "date"], sort=True)
    return frame_of(DateRow, [pool(group, trials_of(group, trials)) for _, group in groups])


def trials_of(sessions: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of these sessions."""
    return trials[trials["session_id"].isin(sessions["session_id"])]


def pool(sessions: pd.DataFrame, trials: pd.DataFrame) -> dict[str, Any]:
    """Sessions of one subject together, as the values of a `DateRow`.

    Parameters
    ----------
    sessions, trials : DataFrame
        At least one session, and the trials of these sessions. Their order changes no bit.

    Returns
    -------
    dict
        ``date`` is that of the last session.
    """
    sessions = sessions.sort_values(["date", "start_ns", "session_id"])
    scored = sessions[sessions["state"] == SCORED]
    judged = scored if len(scored) else sessions
    row: dict[str, Any] = {name: int(sessions[name].sum()) for name in _COUNTS}
    n_completed = sum(row[f"completed_{kind}"] for kind in TARGET_CLASSES)
    row |= {
        "subject": sessions["subject"].iloc[0],
        "date": sessions["date"].iloc[-1],
        "n_sessions": len(sessions),
        "sessions": ",".join(sessions["session_id"]),
        "first_session": judged["session_id"].iloc[0],
        "last_session": judged["session_id"].iloc[-1],
        "state": _first_of(STATES, sessions["state"]),
        "protocols": ",".join(_words(sessions["protocols"], ",")),
        "place": _first_of(PLACES, judged["place"]),
        "duration": math.fsum(sessions["duration"]),
        "start_delay": next(iter(_known(sessions["start_delay"])), None),
        "completion": _share(n_completed, row["n_trials"]),
        "completion_after_pause": _share(row["completed_after_pause"], row["n_after_pause"]),
        "nrmse": _mean(sessions["nrmse"]),
        "unintended": _mean(sessions["unintended"]),
        "rest_offset": _mean_by_dof(sessions["rest_offset"]),
        "resolvable": _mean_by_dof(sessions["resolvable"]),
        "latency_p99_ms": max(_known(sessions["latency_p99_ms"]), default=None),
        "latency_ok": _all(sessions["latency_ok"], judged["latency_ok"]),
        "faults_ok": _all(sessions["faults_ok"], judged["faults_ok"]),
        "n_pauses": sum(len(json.loads(text or "[]")) for text in sessions["pauses"]),
        "problems": "\n".join(_words(sessions["problems"], "\n")),
    }
    for kind in TARGET_CLASSES:
        row[f"completion_{kind}"] = _share(row[f"completed_{kind}"], row[f"n_{kind}"])
    return row | _of_trials(trials)


def _of_trials(trials: pd.DataFrame) -> dict[str, float | None]:
    trials = trials[~trials["perturbed"].astype(bool)]
    completed = trials[trials["outcome"] == COMPLETED]
    small = trials[trials["radius"] <= HOLD_RADIUS]
    return {
        "time_to_target": _median(completed["time_to_target"]),
        "path_efficiency": _mean(completed["path_efficiency"]),
        "overshoots": _mean(trials["overshoots"]),
        "hold": _median(small["longest_hold"]),
        "throughput": _mean(completed["throughput"]),
    }


def _known(values: pd.Series) -> list[Any]:
    return values.dropna().tolist()


def _mean(values: pd.Series) -> float | None:
    known = _known(values)
    # The exact sum, rounded once: it does not depend on the order of the rows.
    return math.fsum(known) / len(known) if known else None


def _median(values: pd.Series) -> float | None:
    known = _known(values)
    return float(statistics.median(known)) if known else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _first_of(order: tuple[str, ...], values: pd.Series) -> str:
    found = set(values)
    return next((value for value in order if value in found), order[-1])


def _all(everywhere: pd.Series, judged: pd.Series) -> bool | None:
    if False in _known(everywhere):
        return False
    return True if judged.notna().all() else None


def _words(texts: pd.Series, separator: str) -> list[str]:
    return list(dict.fromkeys(w for text in texts for w in text.split(separator) if w))


def _mean_by_dof(texts: pd.Series) -> str:
    found: dict[str, list[float]] = {}
    for text in texts:
        for dof, value in json.loads(text or "{}").items():
            if value is not None:
                found.setdefault(dof, []).append(value)
    means = {dof: math.fsum(values) / len(values) for dof, values in found.items()}
    return json.dumps(means, sort_keys=True)
