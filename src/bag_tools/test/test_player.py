import itertools
import time

import numpy as np
import pytest
from emghand_interfaces.msg import EmgFrame, EmgInfo
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from bag_tools.player import BagPlayer
from bag_tools.ros_types import qos_to_bag
from emghand.storage.bags import BagWriter, Topic
from emghand_ros import conversions, qos
from emghand_ros.testing import Graph, wait_until

pytestmark = pytest.mark.ros
MS = 1_000_000
T0 = 1_700_000_000_000_000_000


def topic(name, kind, profile):
    package, folder, _ = kind.__module__.split(".")
    return Topic(name, f"{package}/{folder}/{kind.__name__}", (qos_to_bag(profile),))


@pytest.fixture
def bag(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        for args in (
            ("/emg/raw", EmgFrame, qos.EMG),
            ("/emg/info", EmgInfo, qos.LATCHED),
            ("/estop", Bool, qos.LATCHED),
            ("/decoder/out_x_hat", JointState, qos.TICK),
            ("/perturbed/out_x_hat", JointState, qos.TICK),
            ("/session/perturbations", String, qos.LATCHED),
        ):
            writer.add_topic(topic(*args))
        writer.write("/emg/info", serialize_message(EmgInfo(device="cyton")), T0)
        writer.write("/estop", serialize_message(Bool(data=True)), T0)
        writer.write("/session/perturbations", serialize_message(String(data="[]")), T0)
        for i in range(20):
            now = T0 + i * 16 * MS
            frame = conversions.emg_to_ros(np.full((16, 1), i), 16 * i, 0, now - MS, "dev")
            writer.write("/emg/raw", serialize_message(frame), now)
            joint = JointState(name=["a"], position=[0.5])
            for name in ("/decoder/out_x_hat", "/perturbed/out_x_hat"):
                writer.write(name, serialize_message(joint), now)
    return tmp_path / "bag"


class Listener(Node):
    def __init__(self):
        super().__init__("listener")
        self.got = {}

    def listen(self, name, kind, profile):
        self.got[name] = []
        self.create_subscription(kind, name, self.got[name].append, profile)


def player(uri, **settings):
    overrides = [Parameter(k, value=v) for k, v in {"uri": str(uri), **settings}.items()]
    return BagPlayer(parameter_overrides=overrides)


@pytest.fixture
def graph():
    with Graph() as graph:
        graph.listener = graph.add(Listener())
        graph.listener.listen("/emg/raw", EmgFrame, qos.EMG)
        yield graph


def play(graph, uri, **settings):
    node = graph.add(player(uri, exit_at_end=False, wait_for=["/emg/raw"], **settings))
    assert node.start(), node.failure
    return node


def test_every_message_arrives_as_it_was_recorded(graph, bag):
    play(graph, bag)
    got = graph.listener.got["/emg/raw"]
    wait_until(lambda: len(got) == 20, "all frames arrive")
    assert [m.first_sample for m in got] == [16 * i for i in range(20)]
    assert conversions.time_to_ns(got[3].header.stamp) == T0 + 47 * MS


def test_latched_topics_reach_late_joiners(graph, bag):
    play(graph, bag)
    wait_until(lambda: len(graph.listener.got["/emg/raw"]) == 20, "all frames arrive")
    graph.listener.listen("/emg/info", EmgInfo, qos.LATCHED)
    wait_until(lambda: graph.listener.got["/emg/info"], "the info arrives")
    info = graph.listener.get_publishers_info_by_topic("/emg/info")[0]
    assert info.qos_profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL


def test_commands_and_the_emergency_stop_are_not_played_unasked(graph, bag):
    node = play(graph, bag)
    assert set(node._outlets) == {"/emg/raw", "/emg/info"}
    assert not graph.listener.get_publishers_info_by_topic("/estop")
    assert not graph.listener.get_publishers_info_by_topic("/decoder/out_x_hat")


def test_commands_are_played_when_asked(graph, bag):
    graph.listener.listen("/decoder/out_x_hat", JointState, qos.TICK)
    play(graph, bag, publish_commands=True)
    wait_until(lambda: len(graph.listener.got["/decoder/out_x_hat"]) >= 19, "they arrive")


def test_restamped_frames_are_fresh_and_evenly_spaced(graph, bag):
    play(graph, bag, restamp=True)
    got = graph.listener.got["/emg/raw"]
    wait_until(lambda: len(got) == 20, "all frames arrive")
    stamps = [conversions.time_to_ns(m.header.stamp) for m in got]
    assert {b - a for a, b in itertools.pairwise(stamps)} == {16 * MS}
    assert abs(time.time_ns() - stamps[-1]) < 1_000_000_000


def test_the_clock_is_published_and_pausing_stops_it(graph, bag):
    graph.listener.listen("/clock", Clock, qos.SLOW)
    node = play(graph, bag, clock_rate=100.0, rate=0.1)
    clocks = graph.listener.got["/clock"]
    wait_until(lambda: len(clocks) > 5, "the clock runs")
    client = graph.listener.create_client(Trigger, "/bag_player/pause")
    assert client.wait_for_service(5.0)
    assert graph.result(client.call_async(Trigger.Request()), "pause").success
    n = len(clocks)
    wait_until(lambda: len(clocks) > n + 5, "the clock is still published")
    assert clocks[-1] == clocks[-2]
    result = node.set_parameters([Parameter("rate", value=50.0)])[0]
    assert result.successful
    client = graph.listener.create_client(Trigger, "/bag_player/resume")
    assert client.wait_for_service(5.0)
    assert graph.result(client.call_async(Trigger.Request()), "resume").success
    wait_until(lambda: len(graph.listener.got["/emg/raw"]) == 20, "all frames arrive")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"topics": ["/nothing"]}, "nothing to play"),
        ({"topics": ["/estop"]}, "nothing to play"),
        ({"start_offset": 99.0}, "only lasts 0.3 s"),
    ],
)
def test_mistakes_are_told_in_a_sentence(graph, bag, settings, text):
    node = graph.add(player(bag, **settings))
    assert not node.start()
    assert text in node.failure


def test_a_bag_that_is_not_there_is_told_in_a_sentence(graph, tmp_path):
    node = graph.add(player(tmp_path / "no"))
    assert not node.start()
    assert "does not exist" in node.failure
