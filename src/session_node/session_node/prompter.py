"""Walks through a schedule of prompts in real time. No ROS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from emghand.storage.recording import PeriodKind
from emghand.tasks.movements import Prompt, Schedule, Trial


@dataclass(frozen=True)
class Listener:
    """What the prompter calls, in its thread.

    Parameters
    ----------
    prompt : callable
        Gets every `Prompt` and its time since the start [s].
    period : callable
        Gets the `Prompt` with which a new period begins, and its steady time [ns].
    trial : callable
        Gets each finished `Trial`, and the steady time [ns] of the start of the schedule.
    """

    prompt: Callable[[Prompt, float], None]
    period: Callable[[Prompt, int], None]
    trial: Callable[[Trial, int], None]


class Prompter:
    """Plays one schedule, with absolute deadlines on the steady clock.

    Parameters
    ----------
    schedule : Schedule
    rate : float
        Prompts per second [Hz].
    listener : Listener
    """

    def __init__(self, schedule: Schedule, rate: float, listener: Listener) -> None:
        self.schedule = schedule
        self._rate = rate
        self._listener = listener
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End as soon as possible; callable from any thread."""
        self._cancelled.set()

    def run(self) -> int:
        """Play the schedule to its end, or until cancelled; returns the number of trials done."""
        listener = self._listener
        start = time.monotonic_ns()
        done = 0
        shown: tuple[PeriodKind, Trial | None] | None = None
        n_prompts = int(self.schedule.duration * self._rate) + 1
        for i in range(n_prompts):
            due = start + round(i / self._rate * 1e9)
            if self._cancelled.wait(max(0.0, (due - time.monotonic_ns()) * 1e-9)):
                return done
            prompt = self.schedule.at(i / self._rate)
            if (prompt.period, prompt.trial) != shown:
                shown = (prompt.period, prompt.trial)
                listener.period(prompt, due)
            listener.prompt(prompt, i / self._rate)
            while done < len(self.schedule.trials) and (
                i / self._rate >= self.schedule.trials[done].end
            ):
                listener.trial(self.schedule.trials[done], start)
                done += 1
        return done
