"""Trials of a task, live: the person reaches targets with the hand."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from emghand import tasks
from emghand.activities.activity import CANCELLED, COMPLETE, FAILED, Activity, Steps
from emghand.activities.emg_watch import EMG_LOST, LOOK_S, EmgWatch
from emghand.activities.messages import result_fields
from emghand.activities.session_bag import SessionBag, open_session
from emghand.errors import UserError
from emghand.evaluate.online import NUMBERS, Measures, measures_of, summary
from emghand.storage.bags.convert import stamp_ns as stamp_of
from emghand.storage.recording import PeriodKind
from emghand.tasks.perturbation import ALL, definitions_digest
from emghand.tasks.spec import ACQUIRE, STILL_EPOCHS, Floats, set_digest
from emghand.tasks.trial import COMPLETED, Progress, TrialRun

DISARMED, FAULT, ESTOP = 0, 2, 3
"""States of ``HandStatus`` in which a hand does not follow, or not for now."""
HAND_S = 2.0
"""A hand that says nothing for so long is gone."""
FAULT_S = 10.0
"""A fault that lasts so long does not pass by itself: the hand has to be armed again."""
POLL_S = 0.1
FEEDBACK_EVERY = 6
NOMINAL_HZ = 60.0
MAX_BACKLOG = 1000
MAX_TRIALS = 100_000
NO_HAND = "/hand/state is silent: start a hand bridge"
NO_PERTURBER = (
    "nothing perturbs here: start the graph with perturbation_node in it (emghand up task)"
)


@dataclass(frozen=True)
class TaskTrial:
    """A trial that was begun: what it asked for, stamps of its first and last tick, measures."""

    spec: tasks.TrialSpec
    start_ns: int
    end_ns: int
    measures: Measures


class TaskRun(Activity):
    """Runs the trials of a task on the ticks of ``/hand/state`` and records them into a session.

    The goal is that of ``RunTask``. Each trial is announced on ``session/spec`` with the stamp of
    its first tick, the posture to be in is on ``task/x_d``, and the result with its measures on
    ``session/trial``. Every trial that was announced gets a result, however the run ends.
    """

    def prepare(self) -> Steps[None]:
        """Read the task, make its trials, open the session, wait for the hand."""
        goal = self.goal
        self.task, self.specs = _trials_of(goal)
        if goal.first >= len(self.specs):
            raise UserError(f"first: there are {len(self.specs)} trials, counted from 0")
        self.session = open_session(goal.session, goal.subject)
        recorder = self.room.recorder if goal.record else None
        self.bag = SessionBag(self.session, goal.label or self.name, recorder)
        self.trials: list[TaskTrial] = []
        self._ticks_heard: deque[tuple[int, Floats]] = deque()
        self._hand_problem = ""
        self._hand: Any = None
        self._faults: list[str] = []
        self._fault_since: int | None = None
        self._perturber: dict[str, Any] = {}
        self._emg = EmgWatch(self.room, bool(goal.record))
        self._count = 0
        self._last_ns = -1
        room = self.room
        room.open_specs()
        room.listen("hand/status", self._on_status)
        room.listen("hand/state", self._on_hand)
        yield from self._prepare_perturbations()
        yield from self.wait_for(
            lambda: self._hand_problem or self._ticks_heard,
            room.settings.decoder_wait,
            "the hand",
            NO_HAND,
        )
        if problem := self._problem():
            raise UserError(problem)

    def run(self) -> Steps[None]:
        """Record and run trial after trial; write the table."""
        goal = self.goal
        self.bag.write_plan(
            self.name,
            len(self.specs),
            "task",
            goal.task,
            {
                "trials": int(goal.trials),
                "validation": bool(goal.validation),
                "seed": int(goal.seed),
                "perturbations": list(goal.perturbations),
                "label": str(goal.label),
            },
        )
        self.bag.start()
        lost = ""
        try:
            if not (self.goal.record and (yield from self.pause(self.room.settings.lead))):
                lost = yield from self._run_trials()
        finally:
            self.room.state()
            self.bag.finish(self.abandoned)
        n, total = len(self.trials), len(self.specs) - self.goal.first
        completed = not lost and not self.stopping
        done = f"{n} trials" if completed else f"ended after {n} of {total} trials"
        done += f", {self._completed} completed"
        if missed := sum(t.start_ns == t.end_ns for t in self.trials):
            done += f", in {missed} the start was not taken up"
        status = COMPLETE if completed else FAILED if lost else CANCELLED
        name = f"{self.bag.path.name}_trials"
        self.bag.conclude(self, status, (done, lost), name, self._table())

    def result(self) -> dict[str, Any]:
        """Session, bag, trials, measures and report, as far as they came to be."""
        if not hasattr(self, "bag"):
            return {}
        return {
            "session": str(self.session.path),
            "bag": self.bag.uri,
            "trials": len(self.trials),
            "completed": self._completed,
            "measures": json.dumps(self._summary(), allow_nan=False),
            "report": self.bag.report,
        }

    @property
    def _completed(self) -> int:
        return sum(t.measures.outcome == COMPLETED for t in self.trials)

    def _summary(self) -> dict[str, Any]:
        return summary([t.measures for t in self.trials]).to_plain()

    def _prepare_perturbations(self) -> Steps[None]:
        labels = {label for spec in self.specs for label in spec.perturbations}
        if not labels:
            return
        room = self.room
        room.perturb(self.task.perturbations)
        room.listen("perturbation/state", self._on_perturber)
        yield from self.wait_for(
            lambda: self._perturber,
            room.settings.decoder_wait,
            "the perturbation node",
            NO_PERTURBER,
        )
        if problem := self._perturber_problem():
            raise UserError(problem)
        # The first spec must not be lost on its way to it.
        wait = room.settings.decoder_wait
        yield from self.wait_for(room.spec_listeners, wait, "the perturbation node", NO_PERTURBER)

    # What is heard.

    def _on_hand(self, message: Any) -> None:
        stamp_ns = stamp_of(message)
        names = list(message.name)
        try:
            x = _positions(message, names, self.specs[0].dofs)
        except UserError as error:
            self._hand_problem = str(error)
            return
        if x is None or stamp_ns <= self._last_ns or len(self._ticks_heard) > MAX_BACKLOG:
            return
        self._last_ns = stamp_ns
        if self._hand is not None and self._hand.state == FAULT:
            self._fault_since = stamp_ns if self._fault_since is None else self._fault_since
        self._ticks_heard.append((stamp_ns, x))
        self.room.wake()

    def _on_status(self, message: Any) -> None:
        self._hand = message
        if message.state != FAULT:
            self._fault_since = None
            return
        # As long as it may pass by itself the trial goes on, and its result tells.
        self._faults.append(message.fault)

    def _on_perturber(self, message: Any) -> None:
        try:
            state = json.loads(message.data)
        except ValueError:
            return
        # What it says of other definitions, such as those of the run before, is not meant.
        of = definitions_digest(self.task.perturbations)
        if isinstance(state, dict) and state.get("of") == of:
            self._perturber = state

    def _perturber_problem(self) -> str:
        return str(self._perturber.get("problem", ""))

    def _problem(self) -> str:
        """Why trials make no sense any more; empty: they do."""
        if self._hand_problem:
            return self._hand_problem
        if self._hand is not None and self._hand.state in (DISARMED, ESTOP):
            return f"the hand does not follow: {self._hand.reason or 'it is not armed'}"
        since = self._fault_since
        if self._hand is not None and since is not None and self._last_ns - since > FAULT_S * 1e9:
            return f"the hand stays in a fault ({self._hand.reason}): disarm it, arm it again"
        lost = EMG_LOST if self._emg.is_lost() else ""
        return self._perturber_problem() or self.bag.problem() or lost

    # The trials.

    def _run_trials(self) -> Steps[str]:
        """Why it had to end before its time; empty: it did not."""
        try:
            for spec in self.specs[self.goal.first :]:
                going = yield from self._run_trial(spec)
                if not going or not (yield from self._rest(spec)):
                    break
        except UserError as error:
            return str(error)
        if self.goal.record:
            yield from self.pause(self.room.settings.tail)
        return ""

    def _next_tick(self) -> Steps[tuple[int, Floats] | None]:
        """The next tick of the hand; None: the run is to be stopped."""
        deadline = self.room.steady_ns() + round(HAND_S * 1e9)
        while not self.stopping:
            if problem := self._problem():
                raise UserError(problem)
            if self._ticks_heard:
                return self._ticks_heard.popleft()
            if self.room.steady_ns() >= deadline:
                raise UserError(NO_HAND)
            yield POLL_S
        return None

    def _run_trial(self, spec: tasks.TrialSpec) -> Steps[bool]:
        """Whether the trial came to its end."""
        run = TrialRun(spec, NOMINAL_HZ, self.task.acquisition)
        self._faults.clear()
        self._ticks_heard.clear()
        epoch = ""
        stamp_ns = self.room.now_ns()
        is_recorded = False
        try:
            while (tick := (yield from self._next_tick())) is not None:
                stamp_ns, x = tick
                progress = run.step(x, stamp_ns)
                if progress.started:
                    self.room.spec(spec, self.session.path.name, stamp_ns)
                self.room.show(spec.dofs, progress.goal, stamp_ns)
                self._tell(spec, progress, stamp_ns, changed=progress.epoch != epoch)
                epoch = progress.epoch
                if progress.done:
                    is_recorded = yield from self._last_samples(stamp_ns)
                    break
        finally:
            run.cancel(void=not is_recorded)
            if run.acquired or not self.stopping:
                self._finish(run, stamp_ns)
        return not self.stopping

    def _last_samples(self, end_ns: int) -> Steps[bool]:
        """Wait for the raw EMG of a trial; False when the run is to be stopped without.

        Raises
        ------
        UserError
            When it does not come, or trials make no sense any more.
        """
        steady_ns = self.room.steady_ns()
        while not self._emg.has_come_to(end_ns, steady_ns):
            if problem := self._problem():
                raise UserError(problem)
            if (yield from self.pause(LOOK_S)):
                return False
        return True

    def _finish(self, run: TrialRun, end_ns: int) -> None:
        found = measures_of(run, self.task.losses)
        if faults := sorted(set(self._faults)):
            details = {**found.details, "hand_faults": faults}
            found = dataclasses.replace(found, details=details)
        start_ns = end_ns if run.start_ns is None else run.start_ns
        self.trials.append(TaskTrial(run.spec, start_ns, end_ns, found))
        fields = result_fields(run.spec, found, self.session.path.name)
        self.room.trial(start_ns, end_ns, **fields)

    def _rest(self, spec: tasks.TrialSpec) -> Steps[bool]:
        """Rest before the next trial; False when the run is to be stopped."""
        if spec is self.specs[-1]:
            return True
        rest, until_ns = np.zeros(len(spec.dofs)), None
        self._ticks_heard.clear()
        while (tick := (yield from self._next_tick())) is not None:
            stamp_ns, _ = tick
            self.room.show(spec.dofs, rest, stamp_ns)
            if until_ns is None:
                self._state(spec, PeriodKind.REST, stamp_ns)
                until_ns = stamp_ns + round(self.task.pause * 1e9)
            if stamp_ns >= until_ns:
                return True
        return False

    def _tell(
        self, spec: tasks.TrialSpec, progress: Progress, stamp_ns: int, *, changed: bool
    ) -> None:
        if changed:
            still = progress.epoch == ACQUIRE or progress.epoch in STILL_EPOCHS
            held = PeriodKind.HOLD if spec.kind == "hold" else PeriodKind.MOVE
            self._state(spec, PeriodKind.PROMPT if still else held, stamp_ns)
        self._count += 1
        if changed or self._count % FEEDBACK_EVERY == 0:
            self.room.feedback(
                trial=spec.trial,
                n_trials=len(self.specs),
                epoch=progress.epoch,
                elapsed=progress.elapsed,
                distance=progress.distance,
                completed=self._completed,
            )

    def _state(self, spec: tasks.TrialSpec, period: PeriodKind, stamp_ns: int) -> None:
        self.room.state(
            stamp_ns,
            session=self.session.path.name,
            activity=self.name,
            period=int(period),
            movement=spec.task,
            trial=spec.trial,
            n_trials=len(self.specs),
        )

    def _table(self) -> dict[str, Any]:
        goal = self.goal
        return {
            "task": dataclasses.asdict(self.task) | {"kind": self.task.kind},
            "validation": bool(goal.validation),
            "seed": int(goal.seed),
            "perturbations": list(goal.perturbations),
            "first": int(goal.first),
            "n_trials": len(self.specs),
            "trials_sha256": set_digest(self.specs),
            "validation_sha256": self.task.validation_digest(),
            "measures": self._summary(),
            "trials": [_row(t) for t in self.trials],
        }


def _trials_of(goal: Any) -> tuple[tasks.Task, list[tasks.TrialSpec]]:
    """The task of a goal with its perturbations activated, and its trials."""
    task = tasks.load_task(goal.task)
    labels = list(goal.perturbations)
    if ALL in labels and len(labels) > 1:
        raise UserError(f"perturbations: {ALL} stands for all, name nothing beside it")
    task = task.activate(labels)
    if goal.trials > MAX_TRIALS:
        raise UserError(f"trials: at most {MAX_TRIALS} are run, not {goal.trials}")
    if goal.validation:
        if goal.trials:
            raise UserError("trials: the validation set is run as a whole; leave it 0")
        return task, list(task.validation())
    return task, [task.trial(i, goal.seed) for i in range(goal.trials or task.trials)]


def _positions(message: Any, names: list[str], dofs: tuple[str, ...]) -> Floats | None:
    """Positions of `dofs`; None: this message makes no sense."""
    in_order = tuple(names) == dofs
    missing = [] if in_order else [d for d in dofs if d not in names]
    if missing:
        raise UserError(f"the hand does not report {', '.join(missing)}")
    x = np.array(message.position, np.float64)
    if len(x) != len(names) or not np.isfinite(x).all():
        return None
    return x if in_order else x[[names.index(d) for d in dofs]]


def _row(trial: TaskTrial) -> dict[str, Any]:
    numbers = {name: getattr(trial.measures, name) for name in NUMBERS}
    return {
        **trial.spec.to_plain(),
        "start_ns": trial.start_ns,
        "end_ns": trial.end_ns,
        "outcome": trial.measures.outcome,
        **{k: v if math.isfinite(v) else None for k, v in numbers.items()},
        "details": dict(trial.measures.details),
    }
