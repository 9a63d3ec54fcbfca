"""A host whose clock is wrong on purpose, as a process: OFFSET_S DRIFT_PPM JITTER_MS [ROS args].

The question is taken late, by an exponentially distributed time: one-sided jitter. Prints the
steady time [ns] at which the clock is off by exactly the offset.
"""

from __future__ import annotations

import random
import sys
import time

from emghand_ros.node import run
from host_node.host_node import HostNode


class SkewedClock:
    """Steady time of this machine, shifted by -offset at its start, and running fast by -drift."""

    def __init__(self, offset_s: float, drift_ppm: float, jitter_s: float) -> None:
        self._origin = time.monotonic_ns()
        print(self._origin, flush=True)
        self._offset_ns = round(offset_s * 1e9)
        self._drift = drift_ppm * 1e-6
        self._jitter_s = jitter_s
        self._rng = random.Random(1)
        self._replying = False

    def __call__(self) -> int:
        if self._jitter_s and not self._replying:
            time.sleep(self._rng.expovariate(1.0 / self._jitter_s))
        self._replying = not self._replying
        now = time.monotonic_ns()
        return now - self._offset_ns - round((now - self._origin) * self._drift)


def main() -> int:
    """Run the host."""
    offset, drift, jitter_ms = map(float, sys.argv[1:4])
    clock = SkewedClock(offset, drift, jitter_ms * 1e-3)
    return run([lambda: HostNode(clock=clock)], [sys.argv[0], *sys.argv[4:]])


if __name__ == "__main__":
    sys.exit(main())
