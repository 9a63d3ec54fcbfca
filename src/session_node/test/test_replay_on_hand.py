"""A recording on the simulated hand, behind the bridge that a real one has."""

import json
import threading

import numpy as np
import pytest
from emghand_interfaces.action import Replay
from emghand_interfaces.msg import HandStatus
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from simulated_sessions import simulated, write_bag
from std_srvs.srv import SetBool

from emghand_ros import qos
from emghand_ros.node import EmghandNode, spin
from emghand_ros.testing import Graph, wait_until
from hand_bridge.mujoco_bridge import make_node
from session_node.node import SessionNode

pytestmark = pytest.mark.ros
DOFS = ("index_flex", "wrist_flex")


@pytest.fixture
def bridge():
    """The bridge in an executor of its own: it asks who sent a message."""
    with Graph() as graph:
        node, executor, stop = make_node(), SingleThreadedExecutor(), threading.Event()
        executor.add_node(node)
        thread = threading.Thread(target=spin, args=(executor, stop))
        thread.start()
        executor.create_task(node.start)
        yield graph
        stop.set()
        thread.join()
        node.stop_safely()
        node.destroy_node()


def test_the_hand_is_armed_by_a_person_and_follows_the_recording_without_one_refusal(
    bridge, tmp_path
):
    graph = bridge
    node = graph.add(EmghandNode("bench"))
    statuses, states = [], []
    node.create_subscription(HandStatus, "/hand/status", statuses.append, qos.LATCHED)
    node.create_subscription(JointState, "/hand/state", states.append, qos.TICK)
    graph.call(graph.add(SessionNode()).start)
    replays = graph.action_client(node, Replay, "/session/replay")
    arms = node.create_client(SetBool, "/mujoco_bridge/arm")
    assert replays.wait_for_server(10.0) and arms.wait_for_service(10.0)
    wait_until(lambda: states, "the hand")
    recording = simulated(names=DOFS, repetitions=2)
    bag = write_bag(tmp_path / "played", recording, 0.8 * recording.x_d.values)

    def arm(on):
        return graph.result(arms.call_async(SetBool.Request(data=on)), "the answer of the bridge")

    assert arm(True).success
    handle = graph.send_goal(replays, Replay.Goal(recording=str(bag), ramp=0.5))
    answer = graph.result(handle.get_result_async(), "the result", 20.0)
    assert answer.result.success, answer.result.message
    assert "nothing moved" not in answer.result.message
    refusals = {k: v for k, v in json.loads(statuses[-1].refusals).items() if v}
    assert refusals == {} and statuses[-1].accepted > len(recording.x_d.stamps_ns)
    index = np.array([s.position[list(s.name).index("index_flex")] for s in states])
    assert index.max() == pytest.approx(0.8, abs=0.15)
    wait_until(lambda: abs(states[-1].position[1]) < 0.05, "rest")

    # Nobody has disarmed it, and this replay is another commander than the last one.
    again = graph.send_goal(replays, Replay.Goal(recording=str(bag)))
    refused = graph.result(again.get_result_async(), "the result", 20.0)
    assert "the hand follows another commander" in refused.result.message
    assert arm(False).success
