"""The project's own launch files."""

import os
from pathlib import Path

import pytest

from emghand.launchfile import LaunchError, declared_arguments, evaluate
from emghand.launchfile.context import find_prefix

LAUNCH = Path(__file__).resolve().parents[4] / "launch"
DECODING = {"feature_node", "decoder_node"}
SESSION = {"session_node", "protocol_node"}
ALWAYS = {"bag_recorder"}


def nodes(name, **arguments):
    try:
        find_prefix("hand_bridge", os.environ)
    except LaunchError:
        pytest.skip("the workspace is not built")
    plan = evaluate(LAUNCH / f"{name}.launch.yaml", arguments)
    return {p.name: p for p in plan.processes}, plan


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("live", {}, {"emg_driver", "mujoco_bridge"} | SESSION | DECODING),
        ("live", {"hand": "none", "glove": "synthetic"},
         {"emg_driver", "glove_driver"} | SESSION | DECODING),
        ("live", {"user": "simulated"},
         {"emg_driver", "mujoco_bridge", "simulated_user"} | SESSION | DECODING),
        ("live", {"hand": "servo"}, {"emg_driver", "servo_bridge"} | SESSION | DECODING),
        ("collect", {}, {"emg_driver", "mujoco_bridge", "session_node", "feature_node"}),
        ("replay", {"bag": "b"}, {"bag_player", "mujoco_bridge"} | DECODING),
    ],
)  # fmt: skip
def test_each_launch_runs_its_nodes(name, arguments, expected, monkeypatch):
    monkeypatch.delenv("EMGHAND_DISCOVERY", raising=False)
    processes, plan = nodes(name, **arguments)
    assert set(processes) == expected | ALWAYS
    assert plan.sigterm_after + plan.sigkill_after < 5.0
    for process in processes.values():
        assert process.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_the_network_is_heard_on_request_only(monkeypatch):
    monkeypatch.setenv("EMGHAND_DISCOVERY", "SYSTEM_DEFAULT")
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "loopback.xml")
    closed, _ = nodes("live")
    opened, _ = nodes("live", discovery="SUBNET")
    for process in closed.values():
        assert process.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"
        assert process.environment["FASTDDS_DEFAULT_PROFILES_FILE"] == "loopback.xml"
    for process in opened.values():
        assert process.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
        assert "FASTDDS_DEFAULT_PROFILES_FILE" not in process.environment


def test_what_may_die_is_started_again():
    processes, _ = nodes("live", glove="synthetic")
    again = {name for name, process in processes.items() if process.respawn}
    devices = {"emg_driver", "glove_driver", "mujoco_bridge"}
    assert again == devices | SESSION | DECODING | ALWAYS


def test_the_player_is_never_asked_to_command():
    processes, _ = nodes("replay", bag="b")
    values = {k: v for item in processes["bag_player"].parameters for k, v in item.items()}
    assert "publish_commands" not in values
    assert not {"/decoder/out_x_hat", "/estop"} & set(values["topics"])
    assert values["restamp"] is True
    assert processes["bag_player"].required


@pytest.mark.parametrize("name", ["live", "collect", "replay"])
def test_every_argument_is_explained(name):
    for argument in declared_arguments(LAUNCH / f"{name}.launch.yaml"):
        assert argument.description, argument.name


def test_a_mistyped_argument_is_refused():
    with pytest.raises(LaunchError, match="no argument 'devise'"):
        nodes("live", devise="cyton")
