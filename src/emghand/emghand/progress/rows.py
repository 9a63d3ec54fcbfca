"""What is kept of every session and of every scored trial: the columns of all tables.

Tables of pandas, of Parquet files and of the database have the columns of these classes, in their
order. A value that is not known is None here, and null or NaN in a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

SINGLE, PAIR, MULTI = "single", "pair", "multi"
TARGET_CLASSES = (SINGLE, PAIR, MULTI)
"""Of a target, by the number of DOFs that it asks for: 1, 2, more. These are the active ones that
it wants away from the start, or, of a posture to be kept, away from rest."""

SIMULATOR, HAND, NOWHERE = "simulator", "hand", "none"
PLACES = (HAND, SIMULATOR, NOWHERE)
"""Where a session took place; `NOWHERE`: without a hand."""

SCORED, FITTING, PENDING = "scored", "fitting", "pending"
STATES = (SCORED, PENDING, FITTING)
"""Of a session: scored trials; none, only calibrations, collections, prompted tests, free control;
none that could be read, though there are data."""

HOLD_RADIUS = 0.15
"""Holds are judged in targets of at most this radius [normalised position]."""

PAUSE_MIN = 15.0
"""A pause of so long is recorded, and what comes after it shows what is retained [min]."""


@dataclass(frozen=True)
class TrialRow:
    """A scored trial of a task.

    Parameters
    ----------
    session_id : str
    protocol : str
        Trial table or bag that it is from, such as ``results/fitts_trials_2.json``: protocols that
        were chained in one session are kept apart.
    number : int
        Within that.
    kind : str
        ``simple_reach``, ``delayed_reach``, ``hold``, ``fitts``, ``tac`` or ``motion``.
    target_class : str
        One of `TARGET_CLASSES`.
    dofs : str
        Those that the target asks for, with commas; see `TARGET_CLASSES`.
    radius : float
        Of the target [normalised position].
    dwell : float
        [s]
    difficulty : float or None
        Index of difficulty [bit].
    outcome : str
        ``completed``, ``timeout`` or ``violation``; what was cancelled is not scored.
    time_to_target : float or None
        From the go to the begin of the dwell that completed it [s].
    reaction_time : float or None
        [s]
    path_efficiency : float or None
    overshoots : int
    longest_hold : float
        [s]
    hold_violations : int
    throughput : float or None
        [bit/s]
    unintended : float or None
        Root mean square movement of the DOFs that shall not move, from the go to the end
        [normalised position]; None where there are none, or the losses of the task leave it out.
    validation : bool
        Of the frozen validation set.
    perturbed : bool
        A perturbation was in force. Such trials count in no criterion.
    start_ns, end_ns : int
        ROS time.
    after_pause : bool
        It followed a pause of `PAUSE_MIN`, since which nothing was calibrated or trained. Never in
        a trial that was not on the hand, of a session that was.
    """

    session_id: str
    protocol: str
    number: int
    kind: str
    target_class: str
    dofs: str
    radius: float
    dwell: float
    difficulty: float | None
    outcome: str
    time_to_target: float | None
    reaction_time: float | None
    path_efficiency: float | None
    overshoots: int
    longest_hold: float
    hold_violations: int
    throughput: float | None
    unintended: float | None
    validation: bool
    perturbed: bool
    start_ns: int
    end_ns: int
    after_pause: bool


@dataclass(frozen=True)
class SessionRow:
    """One session of a subject.

    Parameters
    ----------
    subject, session_id : str
    content_hash : str
        SHA-256 over names and hashes of its files: what tells that it changed.
    path : str
        Relative to the folder of the study.
    date : datetime.date
        Of its begin (``created`` of the manifest), in the time zone of this computer.
    start_ns : int
        ROS time of its begin; where the manifest has another clock, as of a simulated graph, of its
        first recording.
    protocols : str
        Those that count, by their begin, with commas: as in `TrialRow`, and the prompted tests.
    place : str
        `HAND` where any scored trials were on the hand, else `SIMULATOR`, else `NOWHERE`.
    state : str
        `SCORED`, `FITTING` or `PENDING`.
    duration : float
        Begin of the first recording to end of the last one [min].
    start_delay : float or None
        From the begin of the session to the first trial [s].
    n_trials : int
        Scored and not perturbed; of these:
    n_single, completed_single, n_pair, completed_pair, n_multi, completed_multi : int
    nrmse : float or None
        Of ``out_x_hat`` in prompted tests, mean over the DOFs that move and over tests.
    unintended : float or None
        Of ``out_x_hat`` in prompted tests, mean over the DOFs; without one, of the trials.
    time_to_target : float or None
        Median over completed trials [s].
    path_efficiency : float or None
        Mean over completed trials.
    overshoots : float or None
        Mean per trial.
    hold : float or None
        Median of the longest hold over trials with a radius of at most 0.15 [s].
    throughput : float or None
        Mean over completed trials [bit/s].
    rest_offset : str
        JSON: DOF -> median of ``out_x_hat`` - rest posture while at rest.
    resolvable : str
        JSON: DOF -> smallest amplitude of ``x_hat`` that can be told from rest.
    latency_p99_ms : float or None
        Tick to command [ms].
    latency_ok, faults_ok : bool or None
        Whether the checks were passed; None: there is nothing to judge by.
    faults : int
        Faults of the hand and e-stops.
    pauses : str
        JSON: list of [begin since the start of the session, length], of at least `PAUSE_MIN` [min].
    recalibrations : int
        Calibrations and trainings after the first trial.
    n_after_pause, completed_after_pause : int
        Trials with `TrialRow.after_pause`.
    problems : str
        What could not be read or judged, one sentence each, with line breaks.
    """

    subject: str
    session_id: str
    content_hash: str
    path: str
    date: date
    start_ns: int
    protocols: str
    place: str
    state: str
    duration: float
    start_delay: float | None
    n_trials: int
    n_single: int
    completed_single: int
    n_pair: int
    completed_pair: int
    n_multi: int
    completed_multi: int
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
    pauses: str
    recalibrations: int
    n_after_pause: int
    completed_after_pause: int
    problems: str


@dataclass(frozen=True)
class SessionRecord:
    """A session as the tables keep it: its row and its trials."""

    row: SessionRow
    trials: tuple[TrialRow, ...]
