"""Coroutines on any scheduler: no event loop of their own, no threads, one order of events.

A coroutine waits by awaiting a `Signal`. Whoever sets the signal puts the coroutine's next step at
the end of the scheduler's queue, so that equal inputs give equal orders, and the stack stays flat.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, Protocol

Schedule = Callable[[float, Callable[[], None]], "Handle"]
"""Calls a function after a delay [s]; 0: after what is due already."""

Work = Callable[[], Coroutine[Any, Any, Any]]


class Handle(Protocol):
    """Something under way that can be called off."""

    def cancel(self) -> None:
        """Call it off; without effect when it is over."""


class Cancelled(BaseException):
    """Raised where a coroutine waits when its task is cancelled.

    Not an `Exception`, so that no handler of errors swallows it.

    Parameters
    ----------
    level : int
        How much is cancelled: 0 the whole task, more: an inner part of it.
    reason : str
    """

    def __init__(self, level: int, reason: str) -> None:
        super().__init__(reason)
        self.level = level
        self.reason = reason


class Signal:
    """Set once, with a value or an error; coroutines await it, functions are called by it."""

    __slots__ = ("_listeners", "done", "error", "value")

    def __init__(self) -> None:
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None
        self._listeners: list[Callable[[], None]] = []

    def set(self, value: Any = None) -> None:
        """Set it; without effect when it is set already."""
        self._end(value, None)

    def fail(self, error: BaseException) -> None:
        """Let those who await it get an error."""
        self._end(None, error)

    def _end(self, value: Any, error: BaseException | None) -> None:
        if self.done:
            return
        self.done, self.value, self.error = True, value, error
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a function when it is set, at once when it is set already."""
        if self.done:
            listener()
        else:
            self._listeners.append(listener)

    def __await__(self) -> Generator[Signal, None, Any]:
        if not self.done:
            yield self
        if self.error is not None:
            raise self.error
        return self.value


class Task:
    """A coroutine under way.

    Parameters
    ----------
    schedule : Schedule
    work : callable
        Makes the coroutine, whose first step is scheduled at once.

    Attributes
    ----------
    ended : Signal
        Set when the coroutine has ended, however it did.
    error : BaseException or None
        What it ended with; `Cancelled` too.
    """

    def __init__(self, schedule: Schedule, work: Work) -> None:
        self.ended = Signal()
        self.error: BaseException | None = None
        self.value: Any = None
        self._schedule = schedule
        self._work = work
        self._coroutine: Coroutine[Any, Any, Any] | None = None
        self._waits_for: Signal | None = None
        self._pending: tuple[int, str] | None = None
        self._shields = 0
        schedule(0.0, self._start)

    def cancel(self, level: int = 0, reason: str = "cancelled") -> None:
        """Raise `Cancelled` where the coroutine waits, as soon as no shield is held.

        Of several requests that wait for a shield the outermost level counts.
        """
        if self.ended.done:
            return
        if self._pending is None or level < self._pending[0]:
            self._pending = level, reason
        if self._waits_for is not None and not self._shields:
            self._schedule(0.0, self._deliver)

    def forget(self, level: int) -> None:
        """Drop requests of this level and of inner ones: that part is over."""
        if self._pending is not None and self._pending[0] >= level:
            self._pending = None

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` now when it was asked for behind a shield."""
        if self._pending is not None and not self._shields:
            (level, reason), self._pending = self._pending, None
            raise Cancelled(level, reason)

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Let what is done inside run to its end; a cancellation waits."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def abandon(self) -> None:
        """End a coroutine that does not react to its cancellation."""
        if not self.ended.done:
            self._waits_for = None
            if self._coroutine is not None:
                self._coroutine.close()
            self._end(Cancelled(0, "abandoned"))

    def _start(self) -> None:
        if self.ended.done:
            return
        if self._pending is not None:
            self._end(Cancelled(*self._pending))
            return
        self._coroutine = self._work()
        self._step(None)

    def _deliver(self) -> None:
        if self._pending is None or self._shields or self._waits_for is None:
            return
        (level, reason), self._pending = self._pending, None
        self._waits_for = None
        self._step(Cancelled(level, reason))

    def _wake(self, signal: Signal) -> None:
        if self._waits_for is signal:  # else it was cancelled meanwhile
            self._waits_for = None
            self._step(None)

    def _step(self, error: Cancelled | None) -> None:
        assert self._coroutine is not None
        try:
            resume = self._coroutine
            signal = resume.send(None) if error is None else resume.throw(error)
        except StopIteration as end:
            self.value = end.value
            self._end(None)
        except (Cancelled, Exception) as failure:
            self._end(failure)
        else:
            self._wait_for(signal)

    def _wait_for(self, signal: Signal) -> None:
        self._waits_for = signal
        if self._pending is not None and not self._shields:
            self._schedule(0.0, self._deliver)

        def wake() -> None:
            self._schedule(0.0, lambda: self._wake(signal))

        signal.listen(wake)

    def _end(self, error: BaseException | None) -> None:
        self.error = error
        self.ended.set(self)
