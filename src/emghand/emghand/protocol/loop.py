"""Timers in virtual or in real time."""

from __future__ import annotations

import heapq
import itertools
import queue
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from emghand.errors import UserError


class Timer:
    """A function that will be called at a time [s]."""

    __slots__ = ("at", "callback")

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not call it; without effect when it was called already."""
        self.callback = None


class _Agenda:
    """Timers by time, equal times in the order they were given."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._number = itertools.count()

    def add(self, at: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(at, callback)
        heapq.heappush(self._heap, (at, next(self._number), timer))
        return timer

    def next(self) -> float | None:
        """Time of the first timer; None: there is none."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def fire(self) -> None:
        """Call the first."""
        timer = heapq.heappop(self._heap)[2]
        callback, timer.callback = timer.callback, None
        if callback is not None:
            callback()


class VirtualLoop:
    """Time jumps from one timer to the next.

    Parameters
    ----------
    limit : float
        Longest time that may pass [s].
    """

    def __init__(self, limit: float = float("inf")) -> None:
        self._agenda = _Agenda()
        self._now = 0.0
        self._limit = limit

    def now(self) -> float:
        """Virtual time [s]."""
        return self._now

    def schedule(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call a function after `delay` seconds."""
        return self._agenda.add(self._now + max(delay, 0.0), callback)

    def run(self, until: Callable[[], bool]) -> None:
        """Let time pass until a condition holds.

        Raises
        ------
        UserError
            When nothing is left that could happen, or the limit is reached.
        """
        while not until():
            at = self._agenda.next()
            if at is None:
                raise UserError("nothing is left that could happen")
            if at > self._limit:
                raise UserError(f"not over after {self._limit:g} s")
            self._now = max(self._now, at)
            self._agenda.fire()


class RealLoop:
    """Timers on a clock that runs by itself; other threads hand their callbacks over.

    Parameters
    ----------
    clock : callable
        Steady time [s].
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._agenda = _Agenda()
        self._clock = clock
        self._start = clock()
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def now(self) -> float:
        """Time since the loop was made [s]."""
        return self._clock() - self._start

    def schedule(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call a function after `delay` seconds; only from the thread that runs the loop."""
        return self._agenda.add(self.now() + max(delay, 0.0), callback)

    def post(self, callback: Callable[[], None]) -> None:
        """Call a function soon, in the thread that runs the loop; from any thread."""
        self._inbox.put(callback)

    def run(self, until: Callable[[], bool]) -> None:
        """Run timers and posted callbacks until a condition holds."""
        while not until():
            self._take(0.0)
            if until():
                return
            at = self._agenda.next()
            wait = None if at is None else at - self.now()
            if wait is not None and wait <= 0:
                self._agenda.fire()
            else:
                self._take(wait)

    def _take(self, wait: float | None) -> None:
        try:
            callback = self._inbox.get(timeout=wait) if wait != 0 else self._inbox.get_nowait()
        except queue.Empty:
            return
        callback()


LoopT = TypeVar("LoopT", VirtualLoop, RealLoop)


class OnLoop(Generic[LoopT]):
    """The time of a world that is that of a loop.

    Parameters
    ----------
    loop : VirtualLoop or RealLoop
    """

    def __init__(self, loop: LoopT) -> None:
        self.loop: LoopT = loop

    def now(self) -> float:
        """Time [s] since the loop was made."""
        return self.loop.now()

    def schedule(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call a function after `delay` seconds; only from the thread that runs the loop."""
        return self.loop.schedule(delay, callback)

    def run(self, until: Callable[[], bool]) -> None:
        """Let time pass until a condition holds."""
        self.loop.run(until)
