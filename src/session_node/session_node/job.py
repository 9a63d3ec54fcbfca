"""Work on stored data, beside whatever is live: training, cross-validation and the like."""

from __future__ import annotations

import json
from typing import Any

from emghand.errors import UserError
from emghand.jobs import Ended, JobProcess, Progress, Request, plan
from session_node.activity import Activity


class JobRun(Activity):
    """Runs a command of `emghand` in a process of its own; see `emghand.jobs`."""

    live = False

    def __init__(self, name: str, goal: Any, room: Any) -> None:
        super().__init__(name, goal, room)
        self._process: JobProcess | None = None
        self._ended: Ended | None = None

    def prepare(self) -> None:
        """Check the job and its options."""
        goal = self.goal
        try:
            options = json.loads(goal.options or "{}")
        except ValueError as error:
            raise UserError(f"options: are no JSON: {error}") from error
        if not isinstance(options, dict):
            raise UserError('options: must be a JSON mapping, as {"decoder": "ridge"}')
        request = Request(goal.job, goal.session, tuple(goal.sources), options, goal.output)
        self._process = JobProcess(plan(request))
        if self.stop.is_set():
            self._process.cancel()

    def run(self) -> None:
        """Run the job to its end."""
        assert self._process is not None
        self._ended = self._process.run(self._tell)
        self.status, self.message = self._ended.status, self._ended.message

    def cancel(self) -> None:
        """Ask the process to stop."""
        super().cancel()
        if self._process is not None:
            self._process.cancel()

    def result(self) -> dict[str, Any]:
        """What was written, and what the command says of it."""
        if self._ended is None:
            return {}
        return {"uri": self._ended.uri, "result": self._ended.result}

    def _tell(self, progress: Progress) -> None:
        self.room.feedback(
            stage=progress.stage, fraction=progress.fraction, remaining=progress.remaining
        )
