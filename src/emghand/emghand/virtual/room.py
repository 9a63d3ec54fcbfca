"""Activities in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from emghand.activities.activity import Activity
from emghand.activities.messages import spec_fields
from emghand.activities.room import Recorder
from emghand.activities.settings import SessionSettings
from emghand.errors import UserError
from emghand.jobs import Plan
from emghand.jobs.here import JobHere
from emghand.protocol.coroutines import Handle
from emghand.protocol.loop import Timer, VirtualLoop
from emghand.tasks.perturbation import Perturbation
from emghand.tasks.spec import TrialSpec
from emghand.virtual.topics import START_NS, Topics


class VirtualRoom:
    """`emghand.activities.room.Room` of one activity; advances it as time passes.

    Parameters
    ----------
    loop : VirtualLoop
    topics : Topics
    recorder : Recorder
    """

    def __init__(self, loop: VirtualLoop, topics: Topics, recorder: Recorder) -> None:
        self.settings = SessionSettings()
        self.recorder = recorder
        self._loop = loop
        self._topics = topics
        self._opened: list[Handle] = []
        self._work: Generator[float, None, None] | None = None
        self._timer: Timer | None = None
        self._woken = False
        self._on_end: Callable[[], None] = lambda: None

    def start(self, activity: Activity, on_end: Callable[[], None]) -> None:
        """Advance an activity from now on; `on_end` is called when it has ended."""
        self._work, self._on_end = activity.work(), on_end
        self._timer = self._loop.schedule(0.0, self._go)

    def _go(self) -> None:
        assert self._work is not None
        self._timer, self._woken = None, False
        try:
            seconds = next(self._work)
        except StopIteration:
            self._work = None
            for opened in self._opened:
                opened.cancel()
            self._on_end()
            return
        self._timer = self._loop.schedule(0.0 if self._woken else seconds, self._go)

    def wake(self) -> None:
        """See `Room`."""
        self._woken = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.schedule(0.0, self._go)

    def steady_ns(self) -> int:
        """See `Room`."""
        return round(self._loop.now() * 1e9)

    def to_ros(self, steady: int) -> int:
        """See `Room`."""
        return START_NS + steady

    def now_ns(self) -> int:
        """See `Room`."""
        return self.to_ros(self.steady_ns())

    def listen(self, topic: str, callback: Callable[[Any], None]) -> None:
        """See `Room`."""
        self._opened.append(self._topics.listen(f"/{topic}", callback))

    def show(self, dofs: Sequence[str], x_d: Any, stamp_ns: int) -> None:
        """See `Room`."""
        position = np.asarray(x_d, np.float64)
        self._topics.publish("/task/x_d", {"name": list(dofs), "position": position}, stamp_ns)

    def state(self, stamp_ns: int | None = None, **fields: Any) -> None:
        """See `Room`."""
        self._topics.publish("/session/state", fields, stamp_ns or self.now_ns())

    def open_specs(self) -> None:
        """See `Room`."""

    def spec(self, spec: TrialSpec, session: str, stamp_ns: int) -> None:
        """See `Room`."""
        self._topics.publish("/session/spec", spec_fields(spec, session), stamp_ns)

    def trial(self, start_ns: int, end_ns: int, **fields: Any) -> None:
        """See `Room`."""
        fields |= {"start": start_ns, "end": end_ns}
        self._topics.publish("/session/trial", fields, end_ns)

    def perturb(self, perturbations: Sequence[Perturbation]) -> None:
        """See `Room`; nobody perturbs here."""
        raise UserError("perturbations: not in a simulation yet; activate none, or run it live")

    def spec_listeners(self) -> int:
        """See `Room`."""
        return self._topics.listeners("/session/spec")

    def feedback(self, **fields: Any) -> None:
        """See `Room`; nobody asked for it."""

    def job(self, plan: Plan) -> JobHere:
        """See `Room`; takes no virtual time."""
        return JobHere(plan)


def answer_of(activity: Activity) -> Mapping[str, Any]:
    """Fields of the result of an activity that has ended."""
    return {
        "success": activity.success,
        "message": activity.message,
        **activity.result(),
    }
