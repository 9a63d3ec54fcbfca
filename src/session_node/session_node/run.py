"""One prompted run, collection or test, from goal to result."""

from __future__ import annotations

import dataclasses
import json
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from emghand.errors import UserError
from emghand.storage.files import write_file
from emghand.storage.recording import PeriodKind
from emghand.storage.resume import write_plan
from emghand.storage.sessions import Session
from emghand.tasks.movements import MovementSet, Schedule, Trial, load_movement_set
from session_node.prompter import Prompter, Shown
from session_node.recorder_client import RecorderClient
from session_node.scoring import TrialErrors
from session_node.settings import SessionSettings

SCORE_DELAY_S = 0.1
"""So long after the end of a trial its last estimates have arrived."""


class Goal(Protocol):
    """The fields that both actions share."""

    session: str
    subject: str
    movement_set: str
    repetitions: int
    shuffle: bool
    seed: int
    record: bool
    label: str
    first: int


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that was shown to its end; times in ROS nanoseconds, `rmse` per DOF."""

    trial: Trial
    start_ns: int
    end_ns: int
    rmse: list[float]


class Display(Protocol):
    """Where a run shows itself: the node's topics."""

    def show(self, prompted: PromptedRun, shown: Shown, changed: bool) -> None:
        """Show one prompt; `changed`: another period or trial than before."""

    def finished(self, prompted: PromptedRun, trial: FinishedTrial) -> None:
        """Show that a trial has ended."""

    def idle(self) -> None:
        """Show that nothing is asked of the subject any more."""


@dataclass
class Outcome:
    """What became of a run; the fields of the results of both actions.

    `status` is ``complete``, ``cancelled``, or ``failed``: it could not start, or the recording
    could not be finished.
    """

    status: str = "failed"
    message: str = ""
    session: str = ""
    bag: str = ""
    report: str = ""
    trials: list[FinishedTrial] = field(default_factory=list)


class PromptedRun:
    """Prompts a movement set, records it into a session and writes the table of its trials.

    `prepare` checks everything that can be checked before the subject is asked to do anything;
    `execute` blocks and belongs into a thread of its own.

    Parameters
    ----------
    activity : str
        ``collect`` or ``test``: also the default label.
    goal : Goal
    settings : SessionSettings
    display : Display
    to_ros : callable
        Steady time to ROS time, both [ns].
    """

    def __init__(
        self,
        activity: str,
        goal: Goal,
        settings: SessionSettings,
        display: Display,
        to_ros: Callable[[int], int],
    ) -> None:
        self.activity = activity
        self.goal = goal
        self.outcome = Outcome()
        self.stop = threading.Event()
        self.abandoned = False
        self.errors: TrialErrors | None = None
        self._settings = settings
        self._display = display
        self._to_ros = to_ros
        self._recorder: RecorderClient | None = None
        self._lost_recorder = False
        self._shown: tuple[PeriodKind, int] | None = None

    def prepare(self) -> None:
        """Read the movement set; open or make the session.

        Raises
        ------
        UserError
            When the goal cannot be followed.
        """
        goal = self.goal
        if not goal.session:
            raise UserError("session: name the directory of the session")
        self.movement_set: MovementSet = load_movement_set(goal.movement_set)
        self.schedule = Schedule(
            self.movement_set,
            goal.repetitions or None,
            shuffle=goal.shuffle,
            seed=goal.seed,
            first=goal.first,
        )
        path = Path(goal.session).expanduser().absolute()
        if _is_in_use(path):
            self.session = Session.open(path)
            if goal.subject and goal.subject != self.session.subject:
                raise UserError(
                    f"session {path}: belongs to subject {self.session.subject}, not {goal.subject}"
                )
        elif not goal.subject:
            raise UserError(f"session {path}: is new, name its subject (--subject PSEUDONYM)")
        else:
            self.session = Session.create(path, goal.subject)
        self.bag = self.session.new_bag_path(goal.label or self.activity)
        self.outcome.session = str(path)

    def execute(self, recorder: RecorderClient) -> None:
        """Record, prompt and write the results; `outcome` tells how it went.

        Raises
        ------
        UserError
            When the recording could not be started. Nothing was asked of the subject then.
        """
        outcome = self.outcome
        if self.goal.record:
            recorder.start(str(self.bag))
            self._recorder = recorder
            outcome.bag = str(self.bag)
        try:
            if self.goal.record:
                self._write_plan()
            completed = self._prompt()
        finally:
            if self.goal.record:
                self._finish_recording(recorder)
        n, total = len(outcome.trials), len(self.schedule.trials)
        ended = "stopped" if self._lost_recorder else "cancelled"
        done = f"{n} trials" if completed else f"{ended} after {n} of {total} trials"
        status = "complete" if completed else "cancelled"
        outcome.message = "; ".join(filter(None, (done, outcome.message)))
        if self.goal.record and not outcome.report and not self.abandoned:
            status = "failed"
        self._write_table(status)
        outcome.status = status

    def _write_plan(self) -> None:
        """What ``emghand session resume`` needs if this process does not see the end of it."""
        goal = self.goal
        source = Path(goal.movement_set)
        try:
            content = source.read_bytes()
        except OSError as error:
            raise UserError(f"movement set {source}: cannot be read: {error}") from error
        write_plan(
            self.session,
            self.activity,
            f"bags/{self.bag.name}",
            self.schedule.n_trials,
            {
                "movement_set": self.session.keep("movements", source.name, content),
                "repetitions": int(goal.repetitions),
                "shuffle": bool(goal.shuffle),
                "seed": int(goal.seed),
                "label": str(goal.label),
            },
        )

    def _prompt(self) -> bool:
        if self.goal.record and self.stop.wait(self._settings.lead):
            return False
        prompter = Prompter(self.schedule, self._settings.prompt_rate, self._show)
        try:
            completed = prompter.run(self.stop)
        finally:
            self._display.idle()
        if prompter.left_out:
            self.outcome.message = f"{prompter.left_out} prompts came too late and were left out"
        if completed:
            self._score(math.inf)
            if self.goal.record:
                self.stop.wait(self._settings.tail)
        return completed

    def _show(self, shown: Shown) -> None:
        if self.errors is None:
            self._start_ns = self._to_ros(shown.steady_ns)
            self.errors = TrialErrors(self.schedule, self._start_ns)
        trial = shown.prompt.trial
        now = (shown.prompt.period, -1 if trial is None else trial.index)
        self._display.show(self, shown, changed=now != self._shown)
        self._shown = now
        self._score(shown.elapsed - SCORE_DELAY_S)
        if self._recorder is not None and self._recorder.problem():
            # Nobody shall go on for minutes that are not recorded.
            self._lost_recorder = True
            self.stop.set()

    def _score(self, elapsed: float) -> None:
        trials = self.outcome.trials
        for trial in self.schedule.trials[len(trials) :]:
            if trial.end > elapsed:
                return
            assert self.errors is not None
            start, end = (self._start_ns + round(t * 1e9) for t in (trial.move, trial.end))
            trials.append(FinishedTrial(trial, start, end, self.errors.rmse(trial).tolist()))
            self._display.finished(self, trials[-1])

    def _finish_recording(self, recorder: RecorderClient) -> None:
        if self.abandoned:
            # This node is about to end: nobody would hear the answer.
            recorder.abandon()
            return
        try:
            self.outcome.report = recorder.stop()
        except UserError as error:
            reason = recorder.problem() or str(error)
            self.outcome.message = "; ".join(filter(None, (self.outcome.message, reason)))

    def _write_table(self, status: str) -> None:
        outcome = self.outcome
        bag = self.bag.relative_to(self.session.path).as_posix() if outcome.bag else ""
        document = {
            "activity": self.activity,
            "status": status,
            "message": outcome.message,
            "shuffle": bool(self.goal.shuffle),
            "seed": int(self.goal.seed),
            "movement_set": dataclasses.asdict(self.movement_set),
            "bag": bag,
            "recording": json.loads(outcome.report) if outcome.report else None,
            "n_trials": self.schedule.n_trials,
            "first": int(self.goal.first),
            "trials": [self._row(t) for t in outcome.trials],
        }
        path = self.session.new_file_path("results", f"{self.bag.name}_trials", ".json")
        write_file(path, json.dumps(document, indent=1, allow_nan=False).encode())
        self.session.add_file(path)
        if outcome.report:
            self.session.add_file(self.bag)

    def _row(self, finished: FinishedTrial) -> dict[str, Any]:
        trial = finished.trial
        errors = zip(self.schedule.dofs, finished.rmse, strict=False)
        return {
            "trial": trial.index,
            "movement": trial.movement.name,
            "movement_index": trial.movement_index,
            "repetition": trial.repetition,
            "start_ns": finished.start_ns,
            "end_ns": finished.end_ns,
            "rmse": {name: (None if math.isnan(e) else e) for name, e in errors},
        }


def _is_in_use(path: Path) -> bool:
    try:
        return path.exists() and any(path.iterdir())
    except OSError as error:
        raise UserError(
            f"session {path}: is no directory that can be read: {error.strerror or error}"
        ) from error
