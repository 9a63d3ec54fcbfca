"""The thread that steps one hand at a fixed rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from emghand.errors import UserError
from hand_bridge.device import Hand, HandError
from hand_bridge.safety import SafetyCore

BACK_OFF_S = (0.25, 5.0)
LATE_PERIODS = 5


class HandLoop:
    """Reads, steps the safety core and drives the hand, at absolute deadlines.

    A lost device is reported to the core and opened again with growing pauses. Each step is
    independent of what any other thread does.

    Parameters
    ----------
    hand : Hand
        Open when `start` is called.
    core : SafetyCore
    rate : float
        Steps per second [Hz].
    clock : callable
        Steady time [ns].
    """

    def __init__(
        self,
        hand: Hand,
        core: SafetyCore,
        rate: float,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._hand = hand
        self._core = core
        self._period = int(1e9 / rate)
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self.steps = 0
        self.late = 0
        self.reconnects = 0

    def start(self) -> None:
        """Start stepping; the core is disarmed.

        Raises
        ------
        UserError
            When the thread of before still hangs in the device: two would share one bus.
        """
        if self._thread is not None and self._thread.is_alive():
            raise UserError("the hand's device still hangs: restart the bridge")
        self._core.unpark()
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="hand_loop", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """Take the hand to rest by a ramp, switch it off, and end the thread.

        Parameters
        ----------
        timeout_s : float
            Longest time the ramp may take; the hand is switched off afterwards in any case.
        """
        if self._thread is None:
            return
        self._core.park()
        deadline = time.monotonic() + timeout_s
        while self._thread.is_alive() and not self._core.parked and time.monotonic() < deadline:
            time.sleep(0.01)
        self._stop.set()
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._thread = None

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._serve()
        finally:
            if not self._stop.is_set():
                reason = "the control thread has failed: restart the bridge"
                self._core.bus_lost(reason, self._clock())
            self._hand.close()

    def _serve(self) -> None:
        """Step until stopped or the device is lost; then wait before the next attempt."""
        try:
            if self._failures:
                self._hand.open()
                self.reconnects += 1
                self._failures = 0
            self._cycle()
        except HandError as error:
            self._core.bus_lost(str(error), self._clock())
            self._hand.close()
            low, high = BACK_OFF_S
            self._stop.wait(min(low * 2**self._failures, high))
            self._failures += 1

    def _cycle(self) -> None:
        deadline = self._clock()
        while not self._stop.is_set():
            reading = self._hand.read()
            self._hand.apply(self._core.step(self._clock(), reading))
            self.steps += 1
            deadline += self._period
            wait = deadline - self._clock()
            if wait > 0:
                time.sleep(wait / 1e9)
            elif wait < -LATE_PERIODS * self._period:
                self.late += 1
                deadline = self._clock()
