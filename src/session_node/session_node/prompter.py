"""Walks through a schedule of prompts in real time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from emghand.tasks.movements import Prompt, Schedule
from emghand_ros.clock import steady_ns


@dataclass(frozen=True)
class Shown:
    """One prompt as it is shown.

    Parameters
    ----------
    prompt : Prompt
    steady_ns : int
        From when on it holds, on the steady clock: the deadline, not when it was met.
    elapsed : float
        Since the start of the schedule [s].
    """

    prompt: Prompt
    steady_ns: int
    elapsed: float


class Prompter:
    """Shows the prompts of a schedule at a fixed rate.

    Deadlines are absolute on the steady clock: being late once delays nothing that follows.
    Deadlines that passed while the thread was held up are left out, not made up for.

    Parameters
    ----------
    schedule : Schedule
    rate : float
        Prompts per second [Hz].
    show : callable
        Gets every prompt, in the thread that calls `run`.

    Attributes
    ----------
    left_out : int
        Prompts that were not shown because their time had passed.
    """

    def __init__(self, schedule: Schedule, rate: float, show: Callable[[Shown], None]) -> None:
        self._schedule = schedule
        self._rate = rate
        self._show = show
        self.left_out = 0

    def run(self, stop: threading.Event) -> bool:
        """Show the whole schedule; False when `stop` was set before its end."""
        period_ns = 1e9 / self._rate
        start_ns = steady_ns()
        count = int(self._schedule.duration * self._rate) + 1
        k = 0
        while k < count:
            due_ns = start_ns + round(k * period_ns)
            late_ns = steady_ns() - due_ns
            if late_ns > period_ns:
                skipped = int(late_ns / period_ns)
                self.left_out += skipped
                k += skipped
                continue
            if stop.wait(max(0.0, -late_ns * 1e-9)):
                return False
            elapsed = k / self._rate
            self._show(Shown(self._schedule.at(elapsed), due_ns, elapsed))
            k += 1
        return True
