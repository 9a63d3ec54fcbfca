"""How a bridge ends in a process that goes on."""

from __future__ import annotations

import signal

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from emghand_ros.node import STOP_SIGNALS
from emghand_ros.testing import Graph
from hand_bridge import mujoco_bridge

pytestmark = pytest.mark.ros


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in STOP_SIGNALS]


def test_signals_are_ignored_while_a_bridge_takes_the_hand_to_rest_and_not_any_longer(monkeypatch):
    before, meanwhile = handlers(), []
    close = mujoco_bridge.MujocoHand.close
    monkeypatch.setattr(
        mujoco_bridge.MujocoHand, "close", lambda hand: (meanwhile.append(handlers()), close(hand))
    )
    with Graph() as graph:
        assert graph.call(graph.add_apart(mujoco_bridge.make_node()).start)
        assert handlers() == before
    assert meanwhile and all(found == [signal.SIG_IGN] * len(STOP_SIGNALS) for found in meanwhile)
    assert handlers() == before
