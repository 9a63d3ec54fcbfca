"""The parameter files in config/ name every parameter of their node, with its default."""

from __future__ import annotations

import array
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2")

from decoder_node.decoder_node import DecoderNode
from decoder_node.feature_node import FeatureNode
from emghand_ros.testing import Graph
from host_node.clock_node import ClockNode
from host_node.host_node import HostNode
from host_node.port_node import PortNode
from session_node.node import SessionNode
from session_node.protocol_node import ProtocolNode
from session_node.simulated_user import SimulatedUserNode
from session_node.sound_node import SoundNode

CONFIG = Path(__file__).resolve().parent.parent / "config"
OF_EVERY_NODE = {
    "autostart",
    "diagnostics_period",
    "use_sim_time",
    "start_type_description_service",
}


def flat(values, prefix=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def values_of(node):
    found = {}
    for name, parameter in node._parameters.items():
        value = parameter.value
        is_list = value is None or isinstance(value, array.array | list)
        found[name] = list(value or ()) if is_list else value
    return found


@pytest.mark.ros
@pytest.mark.parametrize(
    "make",
    [
        FeatureNode,
        DecoderNode,
        SessionNode,
        ProtocolNode,
        SoundNode,
        HostNode,
        ClockNode,
        PortNode,
        SimulatedUserNode,
    ],
    ids=lambda m: m.__name__,
)
def test_the_parameter_file_states_every_default_and_can_be_loaded(make):
    with Graph() as graph:
        node = graph.add(make())
        name = node.get_name()
        path = CONFIG / f"{name}.yaml"
        written = dict(flat(yaml.safe_load(path.read_text())[name]["ros__parameters"]))
        values = values_of(node)
        assert written == {n: v for n, v in values.items() if n not in OF_EVERY_NODE}
        again = make(cli_args=["--ros-args", "--params-file", str(path)])
        assert values_of(graph.add(again)) == values
