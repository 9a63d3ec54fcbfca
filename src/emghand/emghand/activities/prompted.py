"""Prompted collection and test: one run from goal to result."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from emghand.activities.activity import CANCELLED, COMPLETE, FAILED, Activity, Steps
from emghand.activities.emg_watch import EMG_LOST, LOOK_S, EmgWatch
from emghand.activities.prompter import Prompter, Shown
from emghand.activities.scoring import TrialErrors
from emghand.activities.session_bag import SessionBag, open_session
from emghand.storage.bags.convert import stamp_ns as stamp_of
from emghand.storage.recording import PeriodKind
from emghand.tasks.movements import MovementSet, Schedule, Trial, load_movement_set

SCORE_DELAY_S = 0.1
"""So long after the end of a trial its last estimates have arrived."""
FEEDBACK_EVERY = 6
NO_DECODER = "nothing is decoded: /decoder/out_x_hat is silent; load a model and check the EMG"


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that was shown to its end; times in ROS nanoseconds, `rmse` per DOF."""

    trial: Trial
    start_ns: int
    end_ns: int
    rmse: list[float]


class PromptedRun(Activity):
    """Prompts a movement set, records it into a session and writes the table of its trials.

    The goal is that of ``CollectTrials`` or ``RunTest``, which have the same fields; the name of
    the activity is also the default label. A test starts once the decoder decodes.
    """

    def prepare(self) -> Steps[None]:
        """Read the movement set; open or make the session."""
        goal = self.goal
        self.movement_set: MovementSet = load_movement_set(goal.movement_set)
        self.schedule = Schedule(
            self.movement_set,
            goal.repetitions or None,
            shuffle=goal.shuffle,
            seed=goal.seed,
            first=goal.first,
        )
        self.session = open_session(goal.session, goal.subject)
        recorder = self.room.recorder if goal.record else None
        self.bag = SessionBag(self.session, goal.label or self.name, recorder)
        self.trials: list[FinishedTrial] = []
        self._errors: TrialErrors | None = None
        self._shown: tuple[PeriodKind, int] | None = None
        self._count = 0
        self._emg = EmgWatch(self.room, bool(goal.record))
        self._lost_recorder = self._lost_emg = False
        self._heard = False
        self.room.listen("decoder/out_x_hat", self._on_output)
        if self.name == "test":
            wait = self.room.settings.decoder_wait
            yield from self.wait_for(lambda: self._heard, wait, "the decoder", NO_DECODER)

    def run(self) -> Steps[None]:
        """Record, prompt and write the results."""
        goal = self.goal
        self.bag.write_plan(
            self.name,
            self.schedule.n_trials,
            "movement_set",
            goal.movement_set,
            {
                "repetitions": int(goal.repetitions),
                "shuffle": bool(goal.shuffle),
                "seed": int(goal.seed),
                "label": str(goal.label),
            },
        )
        self.bag.start()
        try:
            completed = yield from self._prompt()
        finally:
            self.bag.finish(self.abandoned)
        n, total = len(self.trials), len(self.schedule.trials)
        ended = "stopped" if self._lost_recorder or self._lost_emg else "cancelled"
        done = f"{n} trials" if completed else f"{ended} after {n} of {total} trials"
        status = COMPLETE if completed else FAILED if self._lost_emg else CANCELLED
        name = f"{self.bag.path.name}_trials"
        said = (done, self.message, EMG_LOST if self._lost_emg else "")
        self.bag.conclude(self, status, said, name, self._table())

    def result(self) -> dict[str, Any]:
        """Session, bag, trials and report, as far as they came to be."""
        if not hasattr(self, "bag"):
            return {}
        return {
            "session": str(self.session.path),
            "bag": self.bag.uri,
            "trials": len(self.trials),
            "report": self.bag.report,
        }

    def _prompt(self) -> Steps[bool]:
        settings = self.room.settings
        if self.goal.record and (yield from self.pause(settings.lead)):
            return False
        room = self.room
        prompter = Prompter(
            self.schedule, settings.prompt_rate, self._show, room.steady_ns, self.pause
        )
        try:
            completed = yield from prompter.run()
            completed = completed and (yield from self._last_samples())
        finally:
            room.state()
        if prompter.left_out:
            self.message = f"{prompter.left_out} prompts came too late and were left out"
        if completed:
            self._score(math.inf)
            if self.goal.record:
                yield from self.pause(settings.tail)
        return completed

    def _show(self, shown: Shown) -> None:
        stamp_ns = self.room.to_ros(shown.steady_ns)
        if self._errors is None:
            self._start_ns, self._start_steady_ns = stamp_ns, shown.steady_ns
            self._errors = TrialErrors(self.schedule, stamp_ns)
        prompt = shown.prompt
        trial = prompt.trial
        now = (prompt.period, -1 if trial is None else trial.index)
        self.room.show(self.schedule.dofs, prompt.x_d, stamp_ns)
        of_trial: dict[str, Any] = {}
        if trial is not None:
            of_trial = {
                "movement": trial.movement.name,
                "movement_index": trial.movement_index,
                "repetition": trial.repetition,
                "trial": trial.index,
            }
        n_trials = self.schedule.n_trials
        changed = now != self._shown
        if changed:
            self.room.state(
                stamp_ns,
                session=self.session.path.name,
                activity=self.name,
                period=int(prompt.period),
                n_trials=n_trials,
                **of_trial,
            )
        self._count += 1
        if changed or self._count % FEEDBACK_EVERY == 0:
            self.room.feedback(
                trial=of_trial.get("trial", 0),
                n_trials=n_trials,
                movement=of_trial.get("movement", ""),
                period=int(prompt.period),
                remaining=max(0.0, self.schedule.duration - shown.elapsed),
            )
        self._shown = now
        self._score(shown.elapsed - SCORE_DELAY_S)
        self._look_for_losses()

    def _look_for_losses(self) -> None:
        """Nobody shall go on for minutes that are not recorded."""
        if self.stopping:
            return
        self._lost_recorder, self._lost_emg = bool(self.bag.problem()), self._emg.is_lost()
        if self._lost_recorder or self._lost_emg:
            self.cancel()

    def _last_samples(self) -> Steps[bool]:
        """Wait for the raw EMG of the last trial; False when the run is to end without."""
        last = self.schedule.trials[-1]
        while not self._is_recorded(last):
            self._look_for_losses()
            if (yield from self.pause(LOOK_S)):
                return False
        return not self.stopping

    def _is_recorded(self, trial: Trial) -> bool:
        _, end_ns = self._times(trial)
        return self._emg.has_come_to(end_ns, self._start_steady_ns + round(trial.end * 1e9))

    def _on_output(self, message: Any) -> None:
        self._heard = True
        if self._errors is not None:
            self._errors.add(stamp_of(message), message.name, message.position)

    def _score(self, elapsed: float) -> None:
        for trial in self.schedule.trials[len(self.trials) :]:
            if trial.end > elapsed:
                return
            if not self._is_recorded(trial):
                return
            assert self._errors is not None
            start, end = self._times(trial)
            rmse = self._errors.rmse(trial).tolist()
            self.trials.append(FinishedTrial(trial, start, end, rmse))
            self._publish(self.trials[-1])

    def _times(self, trial: Trial) -> tuple[int, int]:
        move, end = (self._start_ns + round(t * 1e9) for t in (trial.move, trial.end))
        return move, end

    def _publish(self, finished: FinishedTrial) -> None:
        self.room.trial(
            finished.start_ns,
            finished.end_ns,
            session=self.session.path.name,
            activity=self.name,
            trial=finished.trial.index,
            movement=finished.trial.movement.name,
            movement_index=finished.trial.movement_index,
            repetition=finished.trial.repetition,
            dofs=list(self.schedule.dofs),
            rmse=finished.rmse,
        )

    def _table(self) -> dict[str, Any]:
        return {
            "shuffle": bool(self.goal.shuffle),
            "order": self.schedule.order,
            "seed": int(self.goal.seed),
            "movement_set": dataclasses.asdict(self.movement_set),
            "n_trials": self.schedule.n_trials,
            "first": int(self.goal.first),
            "trials": [self._row(t) for t in self.trials],
        }

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
            "rmse": {name: (e if math.isfinite(e) else None) for name, e in errors},
        }
