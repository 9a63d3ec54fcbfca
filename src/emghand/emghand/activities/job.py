"""Work on stored data, beside whatever is live: training, cross-validation and the like."""

from __future__ import annotations

import json
from typing import Any

from emghand.activities.activity import Activity, Steps
from emghand.errors import UserError
from emghand.jobs import Ended, Progress, Request, plan
from emghand.jobs.process import JobRunner


class JobRun(Activity):
    """Runs a command of `emghand`; see `emghand.jobs`."""

    live = False

    def __init__(self, name: str, goal: Any, room: Any) -> None:
        super().__init__(name, goal, room)
        self._job: JobRunner | None = None
        self._ended: Ended | None = None

    def prepare(self) -> Steps[None]:
        """Check the job and its options."""
        goal = self.goal
        try:
            options = json.loads(goal.options or "{}")
        except ValueError as error:
            raise UserError(f"options: are no JSON: {error}") from error
        if not isinstance(options, dict):
            raise UserError('options: must be a JSON mapping, as {"decoder": "ridge"}')
        request = Request(goal.job, goal.session, tuple(goal.sources), options, goal.output)
        self._job = self.room.job(plan(request))
        if self.stopping:
            self._job.cancel()
        yield from ()

    def run(self) -> Steps[None]:
        """Run the job to its end."""
        assert self._job is not None
        self._ended = self._job.run(self._tell)
        self.status, self.message = self._ended.status, self._ended.message
        yield from ()

    def cancel(self) -> None:
        """Ask the job to stop."""
        super().cancel()
        if self._job is not None:
            self._job.cancel()

    def result(self) -> dict[str, Any]:
        """What was written, and what the command says of it."""
        if self._ended is None:
            return {}
        return {"uri": self._ended.uri, "result": self._ended.result}

    def _tell(self, progress: Progress) -> None:
        self.room.feedback(
            stage=progress.stage, fraction=progress.fraction, remaining=progress.remaining
        )
