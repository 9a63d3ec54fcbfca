"""Steady time, and how it maps to ROS time."""

from __future__ import annotations

import time

from rclpy.clock import Clock

STEP_NS = 10_000_000


def steady_ns() -> int:
    """CLOCK_MONOTONIC in nanoseconds: the same for every process of this machine."""
    return time.monotonic_ns()


class RosSteadyMap:
    """Maps steady time to ROS time and notices when the ROS clock steps.

    Device time is regressed onto the steady clock; only the last stage adds the offset to ROS
    time, so that a stepped clock (NTP, a person) moves the stamps at once and bends nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._measure()

    def _measure(self) -> int:
        # The tightest of three: being put to sleep between two readings would bend the offset.
        readings = []
        for _ in range(3):
            before = steady_ns()
            ros = self._clock.now().nanoseconds
            after = steady_ns()
            readings.append((after - before, ros - (before + after) // 2))
        return min(readings)[1]

    def update(self) -> bool:
        """Measure the offset again; True when the ROS clock stepped by more than 10 ms."""
        offset = self._measure()
        stepped = abs(offset - self._offset) > STEP_NS
        self._offset = offset
        return stepped

    def to_ros(self, steady: int) -> int:
        """ROS time in nanoseconds of a steady time in nanoseconds."""
        return steady + self._offset

    def to_steady(self, ros: int) -> int:
        """Steady time in nanoseconds of a ROS time in nanoseconds."""
        return ros - self._offset
