from rclpy.time import Time

from emghand_ros.clock import RosSteadyMap, steady_ns


class SteppedClock:
    """A ROS clock that can be set; the system's cannot be stepped by a test."""

    def __init__(self):
        self.offset = 1_000_000_000_000

    def now(self):
        return Time(nanoseconds=steady_ns() + self.offset)


def test_steady_time_maps_to_ros_time():
    clock = SteppedClock()
    assert abs(RosSteadyMap(clock).to_ros(123) - (123 + clock.offset)) < 1_000_000


def test_a_step_is_noticed_once_and_moves_the_stamps():
    clock = SteppedClock()
    mapping = RosSteadyMap(clock)
    clock.offset += 3_600_000_000_000
    assert abs(mapping.to_ros(0) - 1_000_000_000_000) < 1_000_000
    assert mapping.update()
    assert not mapping.update()
    assert abs(mapping.to_ros(0) - clock.offset) < 1_000_000


def test_slow_drift_is_followed_without_a_step():
    clock = SteppedClock()
    mapping = RosSteadyMap(clock)
    for _ in range(5):
        clock.offset += 2_000_000
        assert not mapping.update()
    assert abs(mapping.to_ros(0) - clock.offset) < 1_000_000
