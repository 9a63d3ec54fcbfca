"""What an activity may use: prompts, topics, clock, recorder, jobs, feedback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from emghand.activities.settings import SessionSettings
from emghand.jobs.plan import Plan
from emghand.jobs.process import JobRunner
from emghand.tasks.perturbation import Perturbation
from emghand.tasks.spec import TrialSpec


class Recorder(Protocol):
    """Records every topic into one bag at a time."""

    def start(self, uri: str) -> None:
        """Start to record into a new bag; `UserError` when that cannot be done."""

    def problem(self) -> str:
        """Why nothing is recorded any more although it was started; empty: it is."""

    def stop(self) -> str:
        """Finish the recording; its integrity report as JSON. `UserError` when that fails."""

    def abandon(self) -> None:
        """Ask it to stop without waiting for the answer."""


class Room(Protocol):
    """Where an activity takes place: the running graph, or one that is simulated.

    Messages have the fields of their types in `emghand_interfaces`. Times on the steady clock and
    stamps are in nanoseconds.
    """

    settings: SessionSettings
    recorder: Recorder

    def wake(self) -> None:
        """Let the activity go on now; from any thread."""

    def steady_ns(self) -> int:
        """Time on a clock that is never set."""

    def to_ros(self, steady: int) -> int:
        """Steady time as a stamp."""

    def now_ns(self) -> int:
        """Stamp of this moment."""

    def listen(self, topic: str, callback: Callable[[Any], None]) -> None:
        """Hear the messages of a topic until the activity ends."""

    def show(self, dofs: Sequence[str], x_d: Any, stamp_ns: int) -> None:
        """Show desired DOFs, shape (n_dofs,)."""

    def state(self, stamp_ns: int | None = None, **fields: Any) -> None:
        """Publish what the session does; without fields: nothing is asked of the subject."""

    def open_specs(self) -> None:
        """Get ready to announce trials, so that the first one is heard."""

    def spec(self, spec: TrialSpec, session: str, stamp_ns: int) -> None:
        """Announce a trial of a task with its first tick."""

    def trial(self, start_ns: int, end_ns: int, **fields: Any) -> None:
        """Publish the result of a trial."""

    def perturb(self, perturbations: Sequence[Perturbation]) -> None:
        """Define the perturbations that trials name."""

    def spec_listeners(self) -> int:
        """How many hear the trials that are announced."""

    def feedback(self, **fields: Any) -> None:
        """Tell whoever asked for it how far it is."""

    def job(self, plan: Plan) -> JobRunner:
        """A job that can be run."""
