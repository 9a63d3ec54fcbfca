"""Free control: the hand follows the subject, for a set time or until somebody says stop."""

from __future__ import annotations

import math
from typing import Any

from emghand.activities.activity import CANCELLED, COMPLETE, FAILED, Activity, Steps
from emghand.activities.emg_watch import EMG_LOST, EmgWatch
from emghand.activities.prompted import NO_DECODER
from emghand.activities.session_bag import SessionBag, open_session
from emghand.errors import UserError
from emghand.storage.bags.convert import stamp_ns as stamp_of

SOURCES = {"glove": "glove/dof", "own": "decoder/x_hat", "none": "decoder/out_x_hat"}
"""What has to be there before free control begins, by the ground truth that is asked for."""
NO_GLOVE = "the ground truth is the glove, but /glove/dof is silent: start the glove driver"
FEEDBACK_S = 0.25


class ControlRun(Activity):
    """Nothing is prompted; the ground truth, where there is one, is shown on ``/task/x_d``.

    With the glove no decoder is needed: this is also how labelled data are collected freely. Open
    ended control is ended by cancelling it, and that is a success.
    """

    def prepare(self) -> Steps[None]:
        """Check the goal, open the session, wait for what is to be followed."""
        goal = self.goal
        if not math.isfinite(goal.duration) or goal.duration < 0.0:
            raise UserError("duration: give seconds, or 0 for as long as you like")
        self._truth = goal.ground_truth or "none"
        if self._truth not in SOURCES:
            raise UserError(
                f"ground truth {goal.ground_truth!r}: unknown, choose from: {', '.join(SOURCES)}"
            )
        self.session = open_session(goal.session, goal.subject)
        recorder = self.room.recorder if goal.record else None
        self.bag = SessionBag(self.session, goal.label or self.name, recorder)
        self._emg = EmgWatch(self.room, bool(goal.record))
        self._labels = 0
        self._running = False
        self._heard = False
        self.room.listen(SOURCES[self._truth], self._on_source)
        missing = NO_GLOVE if self._truth == "glove" else NO_DECODER
        what = "the glove" if self._truth == "glove" else "the decoder"
        wait = self.room.settings.decoder_wait
        yield from self.wait_for(lambda: self._heard, wait, what, missing)

    def run(self) -> Steps[None]:
        """Record and pass the ground truth on until the end."""
        self.bag.start()
        lost = ""
        elapsed = 0.0
        try:
            if not (self.goal.record and (yield from self.pause(self.room.settings.lead))):
                elapsed, lost = yield from self._follow()
        finally:
            self._running = False
            self.room.state()
            self.bag.finish(self.abandoned)
        in_full = self._is_open_ended or elapsed >= self.goal.duration
        status = FAILED if lost else COMPLETE if in_full else CANCELLED
        said = (f"{elapsed:.1f} s of free control", lost)
        table = {"ground_truth": self._truth, "duration": elapsed, "labels": self._labels}
        self.bag.conclude(self, status, said, self.bag.path.name, table)

    def result(self) -> dict[str, Any]:
        """Session, bag and report, as far as they came to be."""
        if not hasattr(self, "bag"):
            return {}
        return {
            "session": str(self.session.path),
            "bag": self.bag.uri,
            "report": self.bag.report,
        }

    @property
    def _is_open_ended(self) -> bool:
        return bool(self.goal.duration == 0.0)

    def _follow(self) -> Steps[tuple[float, str]]:
        """Time that it took [s], and why it had to end before its time."""
        # Idle: nothing is asked of the subject, so that the recording is one without prompts.
        self.room.state(session=self.session.path.name, activity=self.name)
        self._running = True
        clock = self.room.steady_ns
        start = clock()
        while True:
            elapsed = (clock() - start) * 1e-9
            left = math.nan if self._is_open_ended else max(0.0, self.goal.duration - elapsed)
            self.room.feedback(elapsed=elapsed, remaining=left)
            if left == 0.0:
                return elapsed, ""
            if lost := self.bag.problem() or (EMG_LOST if self._emg.is_lost() else ""):
                return elapsed, lost
            wait = FEEDBACK_S if math.isnan(left) else min(FEEDBACK_S, left)
            if (yield from self.pause(wait)):
                return (clock() - start) * 1e-9, ""

    def _on_source(self, message: Any) -> None:
        self._heard = True
        if self._running and self._truth != "none" and all(map(math.isfinite, message.position)):
            # With the stamp of what it is, so that labels and EMG belong together.
            self.room.show(message.name, message.position, stamp_of(message))
            self._labels += 1
