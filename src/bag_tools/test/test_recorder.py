import json
import signal
import subprocess
import sys
import time
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
from emghand_interfaces.msg import EmgFrame, EmgInfo, TrialResult
from emghand_interfaces.srv import StartRecording, StopRecording
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import serialize_message
from std_msgs.msg import Float64, String

from bag_tools import recorder
from bag_tools.recorder import BagRecorder
from bag_tools.recording import Tap
from emghand.client.domain import claim_domain
from emghand.storage.bags import BagReader, holding, read_recording, repair_bag
from emghand.storage.bags.repair import is_playable
from emghand_ros import conversions, qos
from emghand_ros.testing import Graph, process, wait_until

pytestmark = pytest.mark.ros


class Talker(Node):
    def __init__(self):
        super().__init__("talker")
        self.emg = self.create_publisher(EmgFrame, "/emg/raw", qos.EMG)
        self.info = self.create_publisher(EmgInfo, "/emg/info", qos.LATCHED)
        self.info.publish(
            EmgInfo(device="synthetic", stream="a", channel_names=["x", "y"], rate=1000.0)
        )

    def frame(self, i):
        block = np.full((16, 2), i)
        self.emg.publish(conversions.emg_to_ros(block, 16 * i, 0, i * 16_000_000, "synthetic"))


@pytest.fixture
def graph():
    with Graph() as graph:
        graph.talker = graph.add(Talker())
        graph.recorder = graph.add(BagRecorder())
        graph.recorder.start()
        yield graph


def call(graph, kind, name, **fields):
    client = graph.talker.create_client(kind, f"/bag_recorder/{name}")
    assert client.wait_for_service(5.0)
    return graph.result(client.call_async(kind.Request(**fields)), name)


def start(graph, path, topics=()):
    return call(graph, StartRecording, "start", uri=str(path), topics=list(topics))


def stop(graph):
    response = call(graph, StopRecording, "stop")
    assert response.success, response.message
    return json.loads(response.report)


def wait_for_match(publisher):
    wait_until(lambda: publisher.get_subscription_count() > 0, "the recorder subscribes")


def held_result(graph, path):
    """Record a first block and the result of a trial that ends after it; how many were written."""
    results = graph.talker.create_publisher(TrialResult, "/session/trial", qos.EVENT)
    assert start(graph, path).success
    for publisher in (graph.talker.emg, results):
        wait_for_match(publisher)
    counts = graph.recorder._recording._writer.counts
    graph.talker.frame(0)
    wait_until(lambda: counts.get("/emg/raw"), "samples")
    results.publish(TrialResult(trial=3, end=conversions.ns_to_time(20_000_000)))
    wait_until(lambda: graph.recorder._recording._hold, "the result is held")
    return counts


def test_what_is_published_between_start_and_stop_is_in_the_bag(graph, tmp_path):
    assert start(graph, tmp_path / "bag").success
    wait_for_match(graph.talker.emg)
    for i in range(200):
        graph.talker.frame(i)
        time.sleep(0.0005)
    wait_until(lambda: graph.recorder._recording.message_count > 200, "all messages are taken")
    report = stop(graph)
    assert report["lost"] == 0
    assert report["messages"]["/emg/raw"] == 200
    assert report["samples"]["/emg/raw"] == {
        "samples": 3200, "missing": 0, "restarts": 0, "gaps": []
    }  # fmt: skip
    assert is_playable(tmp_path / "bag")
    recording = read_recording(tmp_path / "bag")
    assert recording.stream.device == "synthetic"
    assert [b.first_sample for b in recording.blocks] == [16 * i for i in range(200)]
    assert recording.blocks[7].samples[0, 0] == 7


def test_the_bag_keeps_how_topics_were_offered(graph, tmp_path):
    start(graph, tmp_path / "bag")
    wait_until(lambda: "/emg/info" in graph.recorder._recording.topics, "the info is found")
    stop(graph)
    with BagReader(tmp_path / "bag") as reader:
        info = reader.topics["/emg/info"]
        assert info.qos[0].durability.name == "TRANSIENT_LOCAL"
        assert reader.topics["/emg/raw"].qos[0].durability.name == "VOLATILE"
        assert info.type_hash.startswith("RIHS01_")
        publisher = graph.talker.get_publishers_info_by_topic("/emg/info")[0]
        assert info.type_hash == str(publisher.topic_type_hash)


def test_publishers_that_appear_later_are_recorded_too(graph, tmp_path):
    start(graph, tmp_path / "bag")
    late = graph.talker.create_publisher(String, "/late", 10)
    wait_for_match(late)
    late.publish(String(data="hello"))
    wait_until(lambda: graph.recorder._recording._writer.counts.get("/late"), "it is taken")
    assert stop(graph)["messages"]["/late"] == 1


def test_times_of_arrival_keep_the_order_of_messages():
    tap = Tap(None, None, frozenset())
    arrivals, now = [1000, 1900, 1010, 1901], 2000
    assert [tap.in_order(t, now) for t in arrivals] == [1000, 1900, 1900, 1901]
    # The clock was set back: times go on from there.
    assert [tap.in_order(t, t + 5) for t in (300, 320)] == [300, 320]


class Taken:
    """Messages as the middleware hands them out."""

    def __init__(self, times):
        self.times = deque(times)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def take_message(self, kind, raw):
        if not self.times:
            return None
        value, arrived = self.times.popleft()
        times = {"received_timestamp": arrived, "source_timestamp": arrived}
        return serialize_message(Float64(data=float(value))), times


def test_a_bag_keeps_the_order_in_which_messages_are_handed_out(graph, tmp_path):
    graph.talker.create_publisher(Float64, "/x", 10)
    start(graph, tmp_path / "bag", ["/x"])
    recording = graph.recorder._recording
    wait_until(lambda: "/x" in recording.topics, "it subscribes")
    tap, now = recording._taps["/x"], time.time_ns()
    real = tap.subscription
    with recording._lock:
        tap.subscription = SimpleNamespace(
            handle=Taken([(1, now), (2, now - 900_000_000), (3, now + 1)]), msg_type=Float64
        )
    wait_until(lambda: recording.message_count == 3, "all are taken")
    with recording._lock:
        tap.subscription = real
    stop(graph)
    with BagReader(tmp_path / "bag") as reader:
        assert [reader.decode(m).data for m in reader.messages()] == [1.0, 2.0, 3.0]


def test_a_result_is_in_the_file_after_the_samples_of_its_trial(graph, tmp_path, monkeypatch):
    minute = 60_000_000_000
    monkeypatch.setattr(holding, "LONGEST_NS", minute)
    monkeypatch.setitem(holding.PATIENCE_NS, holding.EMG_TYPE, minute)
    marks = graph.talker.create_publisher(String, "/zz/mark", 10)
    counts = held_result(graph, tmp_path / "bag")
    wait_for_match(marks)
    marks.publish(String(data="later"))
    wait_until(lambda: counts.get("/zz/mark"), "what comes later is written")
    assert counts["/session/trial"] == 0
    graph.talker.frame(1)
    wait_until(lambda: counts["/emg/raw"] == 2, "the end of the trial")
    assert counts["/session/trial"] == 0  # whether it was all of it, the next block tells
    graph.talker.frame(2)
    wait_until(lambda: counts["/session/trial"], "the result")
    report = stop(graph)
    assert report["lost"] == 0 and report["messages"]["/session/trial"] == 1


def test_a_stop_waits_for_the_samples_of_the_last_trial(graph, tmp_path, monkeypatch):
    monkeypatch.setattr(holding, "LONGEST_NS", 3_000_000_000)
    monkeypatch.setitem(holding.PATIENCE_NS, holding.EMG_TYPE, 60_000_000_000)
    held_result(graph, tmp_path / "bag")
    assert stop(graph)["messages"]["/session/trial"] == 1  # there are none: it waits and writes it


def test_a_weaker_publisher_that_joins_is_heard(graph, tmp_path):
    strong = graph.talker.create_publisher(Float64, "/x", 10)
    start(graph, tmp_path / "bag", ["/x"])
    wait_for_match(strong)
    weak = graph.talker.create_publisher(
        Float64, "/x", QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    )
    wait_for_match(weak)
    weak.publish(Float64(data=1.0))
    wait_until(lambda: graph.recorder._recording.message_count, "it is taken")
    assert stop(graph)["messages"] == {"/x": 1}


def test_only_the_chosen_topics_are_recorded_and_silent_ones_are_named(graph, tmp_path):
    start(graph, tmp_path / "bag", ["/emg/info", "/nobody"])
    wait_until(lambda: graph.recorder._recording.message_count, "the latched info is taken")
    assert stop(graph)["messages"] == {"/emg/info": 1, "/nobody": 0}


def test_mistakes_are_answered_with_a_sentence(graph, tmp_path):
    assert "not recording" in call(graph, StopRecording, "stop").message
    assert "no bag was named" in start(graph, "").message
    (tmp_path / "there").mkdir()
    assert "exists already" in start(graph, tmp_path / "there").message
    assert start(graph, tmp_path / "bag").success
    assert "already recording" in start(graph, tmp_path / "bag2").message
    stop(graph)


def test_a_device_that_drops_samples_shows_in_the_report_but_not_as_a_loss(graph, tmp_path):
    start(graph, tmp_path / "bag", ["/emg/raw"])
    wait_for_match(graph.talker.emg)
    for i in (0, 1, 5, 6):
        graph.talker.frame(i)
    wait_until(lambda: graph.recorder._recording.message_count == 4, "all messages are taken")
    report = stop(graph)
    assert report["lost"] == 0
    assert report["samples"]["/emg/raw"]["gaps"] == [{"at": 32, "missing": 48}]


def test_too_little_space_refuses_to_start(tmp_path):
    with Graph() as graph:
        graph.talker = graph.add(Talker())
        recorder = graph.add(BagRecorder())
        recorder._settings.value = type(recorder._settings.value)(min_free=1e12)
        recorder.start()
        response = start(graph, tmp_path / "bag")
        assert not response.success
        assert "MB are free" in response.message


def test_a_recorder_killed_with_9_loses_nothing_older_than_a_fifth_of_a_second(tmp_path):
    with Graph() as graph:
        talker = graph.add(Talker())
        command = [sys.executable, "-m", "bag_tools.recorder", "--ros-args"]
        with process([*command, "-p", f"uri:={tmp_path}/b"]):
            wait_for_match(talker.emg)
            for i in range(100):
                talker.frame(i)
                time.sleep(0.005)
            time.sleep(0.2)
    assert not (tmp_path / "b/metadata.yaml").exists()
    assert repair_bag(tmp_path / "b").messages >= 101
    blocks = read_recording(tmp_path / "b").blocks
    assert [b.first_sample for b in blocks] == [16 * i for i in range(100)]
    assert is_playable(tmp_path / "b")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_bag(tmp_path, number):
    claim_domain()
    command = [sys.executable, "-m", "bag_tools.recorder", "--ros-args", "-p", f"uri:={tmp_path}/b"]
    with process(command, stderr=subprocess.PIPE, text=True) as started:
        wait_until(lambda: (tmp_path / "b" / "b_0.mcap").exists(), "it records")
        time.sleep(0.3)
        started.send_signal(number)
        assert started.wait(5.0) == 0
        assert "Traceback" not in started.stderr.read()
    assert is_playable(tmp_path / "b")


def test_a_recording_ends_when_nobody_is_left_who_could_end_it(graph, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "ALONE_S", 0.5)
    ender = graph.talker.create_client(StopRecording, "/bag_recorder/stop")
    assert start(graph, tmp_path / "bag").success
    wait_until(lambda: graph.recorder._company is not None, "company")
    graph.talker.destroy_client(ender)
    wait_until(lambda: is_playable(tmp_path / "bag"), "the end of the recording")
    assert graph.recorder.failure == "nobody is left who could end the recording"
    assert start(graph, tmp_path / "again").success and graph.recorder.failure == ""
