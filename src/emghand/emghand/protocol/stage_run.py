"""One run of one stage.

active, `init_stage`, stage_start; per trial: `init_trial`, trial_start, `do_trial` together with
the children, completion rule, the rest is cancelled, `trial_done`, trial_end; then `stage_done`,
stage_end. Each of these is an event, after the method of that name.

Every stage is a task of its own, so is every `do_trial`; a task ends only after all it started has
ended. See ``docs/protocols.md`` for the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError
from emghand.protocol.context import Context
from emghand.protocol.coroutines import Cancelled, Signal, Task, Work
from emghand.protocol.stage import SELF, Ending, Stage, StageError

if TYPE_CHECKING:
    from emghand.protocol.engine import Run

STAGE, TRIAL = 1, 2
"""Levels of cancellation inside of a stage's task; 0 is the task itself."""

END_LIMIT_S = 60.0
"""How long a method may take for its end: `trial_done`, `stage_done`, a cancelled `do_trial`."""

IDLE_TRIALS = 1000
"""So many trials without any time passing are a mistake where a stage repeats forever."""

Progress = dict[str, Any]
"""How far a stage is: ``trial``, ``finished`` (names), ``children`` (their progress), ``elapsed``
[s], and how long its trial took so far, ``trial_elapsed``."""


class Running:
    """One run of one stage."""

    task: Task

    def __init__(
        self,
        run: Run,
        stage: Stage,
        above: str,
        trials: tuple[int, ...],
        progress: Progress | None,
    ) -> None:
        progress = progress or {}
        self.run = run
        self.stage = stage
        self.path = f"{above}/{stage.name}" if above else stage.name
        self.context = Context(run, self.path, trials)
        self.next_trial = int(progress.get("trial", 0))
        self.finished: set[str] = set(progress.get("finished", ()))
        self._resumed: dict[str, Progress] = dict(progress.get("children", {}))
        self._children: dict[str, Running] = {}
        self._began = run.world.now() - float(progress.get("elapsed", 0.0))
        self._trial_elapsed = float(progress.get("trial_elapsed", 0.0))
        self._trial_began: float | None = None
        self._ending = False

    def snapshot(self) -> Progress:
        """How far it is."""
        now = self.run.world.now()
        children = dict(self._resumed)
        children.update({name: child.snapshot() for name, child in self._children.items()})
        trial = self._trial_elapsed if self._trial_began is None else now - self._trial_began
        return {
            "trial": self.next_trial,
            "finished": sorted(self.finished),
            "children": children,
            "elapsed": now - self._began,
            "trial_elapsed": trial,
        }

    @property
    def in_trial(self) -> bool:
        """Whether a trial is under way."""
        return self._trial_began is not None

    async def go(self) -> None:
        """Run the stage; raises what it failed with, and `Cancelled` when that came from above."""
        stage, context, run = self.stage, self.context, self.run
        timer = self._limit(stage.max_duration, STAGE, run.world.now() - self._began)
        failure: Cancelled | Exception | None = None
        run.running[self.path] = self
        try:
            context.log("active")
            await stage.init_stage(context)
            context.log("init_stage")
            context.log("stage_start", "count", -1)
            await self._trials()
        except (Cancelled, Exception) as error:
            failure = self._named(error)
        timer()
        with self.task.shield():
            ending = _ending(failure)
            late = await self._end(Stage.stage_done, stage.stage_done, ending)
            failure = _worse(failure, late)
            context.log("stage_done", "ending", _ending(failure).kind)
            context.log("stage_end", "count", context.trial)
            del run.running[self.path]
        self.task.forget(0)  # it has ended in its own way before that came
        if failure is not None and not (isinstance(failure, Cancelled) and failure.level == STAGE):
            raise failure

    async def _trials(self) -> None:
        idle = 0
        while self.stage.repeat < 0 or self.next_trial < self.stage.repeat:
            began = self.run.world.now()
            await self._trial()
            idle = idle + 1 if self.run.world.now() == began else 0
            if self.stage.repeat < 0 and idle > IDLE_TRIALS:
                raise UserError("repeats forever, but its trials take no time")

    async def _trial(self) -> None:
        stage, context, run = self.stage, self.context, self.run
        context.trial = self.next_trial
        self._trial_began = run.world.now() - self._trial_elapsed
        timer = self._limit(stage.max_trial_duration, TRIAL, self._trial_elapsed)
        self._ending = False
        failure: Cancelled | Exception | None = None
        tasks: list[tuple[str, Task]] = []
        try:
            await stage.init_trial(context)
            context.log("init_trial")
            context.log("trial_start", "count", context.trial)
            await self._together(tasks)
        except (Cancelled, Exception) as error:
            failure = self._named(error)
        self._ending = True
        with self.task.shield():
            failure = _worse(failure, await self._cancel_rest(tasks))
            timer()
            late = await self._end(Stage.trial_done, stage.trial_done, _ending(failure))
            failure = _worse(failure, late)
            context.log("trial_done", "ending", _ending(failure).kind)
            context.log("trial_end", "count", context.trial)
        self.task.forget(TRIAL)
        if failure is not None and not (isinstance(failure, Cancelled) and failure.level == TRIAL):
            raise failure
        self.next_trial += 1
        self.finished.clear()
        self._resumed.clear()
        self._children.clear()
        self._trial_began, self._trial_elapsed = None, 0.0
        if stage.repeat != 1:  # else the end of the stage says the same
            run.progressed()
        self.task.raise_if_cancelled()

    async def _together(self, tasks: list[tuple[str, Task]]) -> None:
        """Own action and children, until the completion rule holds."""
        stage, over = self.stage, Signal()
        whom = stage.whom
        left = set(whom)

        def done(name: str) -> None:
            if name in whom:
                left.discard(name)
                if stage.complete_on == "any" or not left:
                    over.set()

        def start(name: str, work: Work, then: Callable[[], None]) -> Task:
            task = Task(self.run.world.schedule, work)
            tasks.append((name, task))
            task.ended.listen(lambda: ended(name, task, then))
            return task

        def ended(name: str, task: Task, then: Callable[[], None]) -> None:
            child = self._children.pop(name, None)
            if isinstance(task.error, Exception):
                task.error = self._named(task.error)
                over.fail(task.error)
            elif task.error is None:
                self.finished.add(name)
                self._resumed.pop(name, None)
                if child is not None:
                    self.run.progressed()
                done(name)
                if not self._ending:
                    then()
            elif child is not None:  # cancelled: what it has done stays done
                self._resumed[name] = child.snapshot()

        def start_child(child: Stage, then: Callable[[], None] = lambda: None) -> None:
            running = Running(
                self.run, child, self.path, self.context.trials, self._resumed.get(child.name)
            )
            self._children[child.name] = running
            running.task = start(child.name, running.go, then)

        def go_on(index: int = 0) -> None:
            for later, child in enumerate(stage.stages[index:], index + 1):
                if over.done:
                    return
                if not (child.disabled or child.name in self.finished):
                    start_child(child, lambda later=later: go_on(later))  # type: ignore[misc]
                    return
                done(child.name)

        if not left:
            over.set()
        if SELF in self.finished or not stage.acts:
            done(SELF)
        else:
            start(SELF, lambda: stage.do_trial(self.context), lambda: None)
        if stage.order == "serial":
            go_on()
        else:
            for child in stage.stages:
                if child.disabled or child.name in self.finished:
                    done(child.name)
            for child in stage.stages:
                if not (over.done or child.disabled or child.name in self.finished):
                    start_child(child)
        await over

    async def _cancel_rest(self, tasks: list[tuple[str, Task]]) -> Exception | None:
        """Cancel what still runs, wait until it has ended; the first error of it."""
        for _, task in tasks:
            task.cancel()
        failure: Exception | None = None
        for name, task in tasks:
            if name == SELF:
                await self._wait_for(task, task.abandon)
                if task.error is not None and str(task.error) == "abandoned":
                    failure = failure or StageError(
                        f"{self.path}: do_trial did not end within {END_LIMIT_S:g} s"
                    )
            else:
                await task.ended
            if isinstance(task.error, Exception) and failure is None:
                failure = task.error
        return failure

    async def _end(
        self,
        default: Callable[..., Coroutine[Any, Any, None]],
        method: Callable[[Context, Ending], Coroutine[Any, Any, None]],
        ending: Ending,
    ) -> Exception | None:
        """Call a method for the end; its error."""
        if getattr(method, "__func__", None) is default:
            return None
        task = Task(self.run.world.schedule, lambda: method(self.context, ending))
        await self._wait_for(task, task.abandon)
        if isinstance(task.error, Cancelled):
            return StageError(f"{self.path}: {default.__name__}: not over in {END_LIMIT_S:g} s")
        return None if task.error is None else self._named(task.error)  # type: ignore

    async def _wait_for(self, task: Task, too_late: Callable[[], None]) -> None:
        timer = self.run.world.schedule(END_LIMIT_S, too_late)
        await task.ended
        timer.cancel()

    def _limit(self, duration: float, level: int, used: float) -> Callable[[], None]:
        """Cancel at the end of a duration [s]; what is returned calls that off."""
        if not duration:
            return lambda: None
        left = duration - used
        return self.run.world.schedule(left, lambda: self.task.cancel(level, "timed_out")).cancel

    def _named(self, error: Cancelled | Exception) -> Cancelled | Exception:
        if isinstance(error, Cancelled | StageError):
            return error
        text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        named = StageError(f"{self.path}: {text}")
        named.__cause__ = error
        self.context.log("error", "", text)
        return named


def _ending(failure: Cancelled | Exception | None) -> Ending:
    if failure is None:
        return Ending()
    if isinstance(failure, Cancelled):
        return Ending(failure.reason)
    return Ending("error", failure)


def _worse(
    first: Cancelled | Exception | None, second: Exception | None
) -> Cancelled | Exception | None:
    """An error counts more than a cancellation, the first error more than later ones."""
    return first if second is None or isinstance(first, Exception) else second
