"""Runs a job in this process: where nothing else goes on meanwhile."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable

from emghand import steps
from emghand.jobs.child import run_task
from emghand.jobs.plan import Plan
from emghand.jobs.process import Ended, Progress, completed, failed, task_of


class JobHere:
    """A job from start to end, as `JobProcess`, but in this process.

    It cannot be cancelled while it runs.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cancelled = False

    def cancel(self) -> None:
        """Do not begin."""
        self._cancelled = True

    def run(self, on_progress: Callable[[Progress], None]) -> Ended:
        """Run it to its end."""
        if self._cancelled:
            return Ended("cancelled", "cancelled before it began")
        out, err = io.StringIO(), io.StringIO()

        def tell(stage: str, fraction: float) -> None:
            on_progress(Progress(stage, fraction, math.nan))

        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            steps.listening(tell),
        ):
            code = run_task(task_of(self._plan))
        if code == 0:
            return completed(self._plan, out.getvalue(), err.getvalue())
        return failed(code, err.getvalue())
