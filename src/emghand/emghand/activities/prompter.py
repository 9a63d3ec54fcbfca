"""Walks through a schedule of prompts."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from emghand.tasks.movements import Prompt, Schedule


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
    Deadlines that passed while nobody came to show them are left out, not made up for.

    Parameters
    ----------
    schedule : Schedule
    rate : float
        Prompts per second [Hz].
    show : callable
        Gets every prompt.
    steady_ns : callable
        The steady clock [ns].
    pause : callable
        Waits for a time [s]; True when the prompts are to end.

    Attributes
    ----------
    left_out : int
        Prompts that were not shown because their time had passed.
    """

    def __init__(
        self,
        schedule: Schedule,
        rate: float,
        show: Callable[[Shown], None],
        steady_ns: Callable[[], int],
        pause: Callable[[float], Generator[float, None, bool]],
    ) -> None:
        self._schedule = schedule
        self._rate = rate
        self._show = show
        self._steady_ns = steady_ns
        self._pause = pause
        self.left_out = 0

    def run(self) -> Generator[float, None, bool]:
        """Show the whole schedule; False when it was to end before that."""
        period_ns = 1e9 / self._rate
        start_ns = self._steady_ns()
        count = int(self._schedule.duration * self._rate) + 1
        k = 0
        while k < count:
            due_ns = start_ns + round(k * period_ns)
            late_ns = self._steady_ns() - due_ns
            if late_ns > period_ns:
                skipped = int(late_ns / period_ns)
                self.left_out += skipped
                k += skipped
                continue
            if (yield from self._pause(max(0.0, -late_ns * 1e-9))):
                return False
            elapsed = k / self._rate
            self._show(Shown(self._schedule.at(elapsed), due_ns, elapsed))
            k += 1
        return True
