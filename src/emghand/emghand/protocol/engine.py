"""Runs a tree of stages on a world; `emghand.protocol.stage_run` has the rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from emghand.errors import UserError
from emghand.protocol.coroutines import Task
from emghand.protocol.events import Event
from emghand.protocol.stage import Stage
from emghand.protocol.stage_run import STAGE, TRIAL, Progress, Running
from emghand.protocol.world import World


class Run:
    """One run of a protocol.

    Parameters
    ----------
    root : Stage
    world : World
    seed : int
        Of every draw.
    variables : mapping, optional
        Values for ``${name}``.
    on_event : callable, optional
        Gets every `Event` at once.
    on_progress : callable, optional
        Gets the run after everything that needs not be done again.
    progress : mapping, optional
        Where to go on: `snapshot` of an earlier run.
    first_index, start_time : int, float
        Index and time [s] of the first event.

    Attributes
    ----------
    task : Task
        Ends with the protocol.
    """

    def __init__(
        self,
        root: Stage,
        world: World,
        *,
        seed: int = 0,
        variables: Mapping[str, Any] | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        on_progress: Callable[[Run], None] = lambda run: None,
        progress: Progress | None = None,
        first_index: int = 0,
        start_time: float = 0.0,
    ) -> None:
        self.world = world
        self.seed = seed
        self.variables = dict(variables or {})
        self.index = first_index
        self.running: dict[str, Running] = {}
        self._on_progress = on_progress
        self._on_event = on_event
        self._lost: UserError | None = None
        self._offset = start_time - world.now()
        world.prepare([need for _, stage in root.walk() for need in stage.needs()])
        self._root = Running(self, root, "", (), progress)
        self.task = Task(world.schedule, lambda: self._go(root))
        self._root.task = self.task

    async def _go(self, root: Stage) -> None:
        if not root.disabled:
            await self._root.go()

    @property
    def error(self) -> BaseException | None:
        """What the protocol ended with: None, `Cancelled` or an error."""
        return self._lost or self.task.error

    @property
    def time(self) -> float:
        """Time since the start of the protocol [s]."""
        return self.world.now() + self._offset

    def cancel(self) -> None:
        """Cancel everything; the methods for the end are still called."""
        self.task.cancel()

    def stop_stage(self, path: str) -> bool:
        """Cancel a stage that runs; those above it go on. False: it does not run."""
        return self._stop(path, STAGE)

    def stop_trial(self, path: str) -> bool:
        """Cancel the trial of a stage that runs; its next one follows. False: it does not run."""
        return self._stop(path, TRIAL)

    def _stop(self, path: str, level: int) -> bool:
        running = self.running.get(path)
        if running is None or (level == TRIAL and not running.in_trial):
            return False
        running.task.cancel(level)
        return True

    def snapshot(self) -> Progress:
        """How far it is, as plain values for `progress` of a later run."""
        return self._root.snapshot()

    def log(self, stage: str, trigger: str, item: str, value: object, trial: int) -> None:
        """Make an event and hand it on."""
        event = Event(self.index, self.time, stage, trigger, item, str(value), trial)
        self.index += 1
        self._tell(lambda: self._on_event(event))

    def progressed(self) -> None:
        """Tell that something is done that needs not be done again."""
        self._tell(lambda: self._on_progress(self))

    def _tell(self, tell: Callable[[], None]) -> None:
        # A full disk ends the protocol in an orderly way: every stage still gets its end.
        if self._lost is not None:
            return
        try:
            tell()
        except UserError as error:
            self._lost = error
            self.cancel()
