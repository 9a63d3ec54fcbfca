from __future__ import annotations

import dataclasses

import pytest
import rclpy
from rclpy.parameter import Parameter

from emghand.settings import SettingsError, check, setting
from emghand_ros.parameters import SettingsParameters


@dataclasses.dataclass(frozen=True)
class Speeds:
    slow: float = setting(1.0, "Slow speed", unit="1/s", low=0.0, high=2.0)
    fast: float = setting(3.0, "Fast speed", unit="1/s", low=0.0, high=10.0)
    steps: int = setting(4, "Steps", low=1)
    gains: tuple[float, ...] = setting((1.0,), "Gain per DOF", low=0.0)
    bad: tuple[int, ...] = setting((), "Bad channels", low=0)
    mode: str = setting("a", "Mode", choices=("a", "b"))
    device: str = setting("x", "Device", live=False)

    def __post_init__(self) -> None:
        check(self)
        if self.slow > self.fast:
            raise SettingsError("slow: must not be above fast")


@pytest.fixture
def make_node(request):
    context = rclpy.Context()
    nodes = []

    def make(overrides=()):
        context.init() if not context.ok() else None
        nodes.append(
            rclpy.create_node(
                "n",
                context=context,
                parameter_overrides=list(overrides),
                start_parameter_services=False,
            )
        )
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    context.shutdown()


def set_one(node, name, value):
    return node.set_parameters([Parameter(name, value=value)])[0]


def test_the_defaults_of_the_settings_become_parameters_with_unit_and_range(make_node):
    node = make_node()
    assert SettingsParameters(node, Speeds, "out").value == Speeds()
    descriptor = node.describe_parameter("out.slow")
    assert descriptor.description == "Slow speed [1/s]"
    assert descriptor.floating_point_range[0].to_value == 2.0
    assert node.describe_parameter("out.mode").additional_constraints == "one of: a, b"
    assert node.describe_parameter("out.device").read_only


def test_values_given_at_start_reach_the_settings(make_node):
    node = make_node([Parameter("slow", value=2), Parameter("gains", value=[1.0, 2.0])])
    value = SettingsParameters(node, Speeds).value
    assert value.slow == 2.0 and isinstance(value.slow, float)
    assert value.gains == (1.0, 2.0)


@pytest.mark.parametrize(
    ("name", "value"), [("mode", "c"), ("slow", "fast"), ("steps", 0), ("steps", 1.5)]
)
def test_a_bad_value_given_at_start_names_the_parameter(make_node, name, value):
    with pytest.raises(SettingsError, match=rf"parameter o\.{name}"):
        SettingsParameters(make_node([Parameter(f"o.{name}", value=value)]), Speeds, "o")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("slow", 5.0, "range"),
        ("slow", "x", "expected float"),
        ("gains", [-1.0], "below the minimum"),
        ("gains", 1.0, "expected a list, got 1.0"),
        ("gains", "off", "expected a list, got 'off'"),
        ("mode", "c", "choose from: a, b"),
        ("fast", 0.5, "slow: must not be above fast"),
        ("device", "y", "read-only"),
    ],
)
def test_a_bad_live_change_is_refused_and_changes_nothing(make_node, name, value, reason):
    node = make_node()
    seen = []
    parameters = SettingsParameters(node, Speeds, on_change=seen.append)
    result = set_one(node, name, value)
    assert not result.successful and reason in result.reason
    assert parameters.value == Speeds() and seen == []
    assert node.get_parameter("slow").value == 1.0


def test_a_good_live_change_is_announced_with_all_settings(make_node):
    node = make_node()
    seen = []
    parameters = SettingsParameters(node, Speeds, on_change=seen.append)
    assert set_one(node, "bad", [3, 4]).successful
    assert set_one(node, "bad", []).successful
    assert set_one(node, "slow", 2).successful
    assert [s.bad for s in seen] == [(3, 4), (), ()]
    assert parameters.value == Speeds(slow=2.0)


def test_the_node_may_refuse_a_valid_change(make_node):
    def refuse(new):
        raise SettingsError("not now")

    node = make_node()
    parameters = SettingsParameters(node, Speeds, on_change=refuse)
    result = set_one(node, "slow", 0.5)
    assert (result.successful, result.reason) == (False, "not now")
    assert parameters.value == Speeds()


def test_settings_applied_by_the_node_show_in_the_parameters(make_node):
    node = make_node()
    seen = []
    parameters = SettingsParameters(node, Speeds, "o", on_change=seen.append)
    parameters.apply(Speeds(slow=0.5, gains=(2.0, 3.0)))
    assert parameters.value == Speeds(slow=0.5, gains=(2.0, 3.0))
    assert list(node.get_parameter("o.gains").value) == [2.0, 3.0]
    assert seen == []
