"""Commands that a bridge must refuse before anybody has become its commander."""

from __future__ import annotations

import contextlib
import math
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from emghand_interfaces.msg import HandStatus
from sensor_msgs.msg import JointState
from system_bench import DOFS, START_S, Ear, own_domain

from emghand_ros import qos

pytestmark = pytest.mark.ros

FLEXED = dict.fromkeys(DOFS, 0.8)


@pytest.fixture(scope="module")
def ear() -> Iterator[Ear]:
    """A bridge that runs alone, as the executable that a launch starts, and an ear."""
    from ament_index_python import get_package_prefix

    env = own_domain()
    executable = f"{get_package_prefix('hand_bridge')}/lib/hand_bridge/mujoco_bridge"
    with contextlib.ExitStack() as stack:
        bridge = subprocess.Popen([executable], env=env, stdin=subprocess.DEVNULL)
        stack.callback(bridge.wait)
        stack.callback(bridge.kill)
        ear = Ear(env)
        stack.callback(ear.close)
        ear.wait(lambda: ear.hand and ear.status is not None, "the bridge", START_S)
        yield ear


def broken(ear: Ear, reason: str) -> JointState:
    ages = {"stale": 0.3, "future": -0.3}
    message = ear.joints(FLEXED, ages.get(reason, 0.0))
    if reason == "not_finite":
        message.position[2] = math.nan
    elif reason == "wrong_length":
        message.position.pop()
    elif reason == "unknown_dof":
        message.name[1] = "sixth_finger_flex"
    elif reason == "repeated_dof":
        message.name[1] = message.name[0]
    elif reason == "empty":
        message.name, message.position = [], []
    return message


@pytest.mark.parametrize(
    "reason",
    ["not_finite", "wrong_length", "unknown_dof", "repeated_dof", "empty", "stale", "future"],
)
def test_a_bad_first_command_makes_nobody_commander_and_moves_nothing(ear, reason):
    publisher = ear.node.create_publisher(JointState, "/decoder/out_x_hat", qos.TICK)
    ear.wait(lambda: publisher.get_subscription_count() > 1, "the bridge listens")
    start, before = ear.hand[-1][0], ear.refusals[reason]
    sent = 0

    def refused() -> bool:
        # One after the other: the bridge only keeps the newest.
        nonlocal sent
        if ear.refusals[reason] == before + sent:
            if sent == 5:
                return True
            publisher.publish(broken(ear, reason))
            sent += 1
        return False

    assert ear.arm().success
    ear.wait(refused, "five refusals on /hand/status")
    key = f"refused.{reason}"
    ear.wait(
        lambda: ear.diagnostics.get("mujoco_bridge", {}).get(key) == str(before + 5), "diagnostics"
    )
    assert ear.state == HandStatus.ARMED
    assert ear.status.commander == ""
    assert ear.status.accepted == 0
    assert np.abs(ear.path(start)[1]).max() < 0.02
    assert ear.arm(False).success
    ear.node.destroy_publisher(publisher)
