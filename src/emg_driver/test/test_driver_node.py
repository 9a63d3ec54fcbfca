import time
from types import SimpleNamespace

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from emghand_interfaces.msg import EmgFrame, EmgInfo  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402

from emg_driver.node import EmgDriver  # noqa: E402
from emghand.errors import UserError  # noqa: E402
from emghand_ros import qos  # noqa: E402
from emghand_ros.conversions import emg_from_ros, time_to_ns  # noqa: E402
from emghand_ros.testing import Graph  # noqa: E402

pytestmark = pytest.mark.ros


class Listener:
    def __init__(self, node):
        self.frames, self.infos, self.statuses = [], [], []
        node.create_subscription(EmgFrame, "/emg/raw", self.frames.append, qos.EMG)
        node.create_subscription(EmgInfo, "/emg/info", self.infos.append, qos.LATCHED)
        node.create_subscription(
            DiagnosticArray,
            "/diagnostics",
            lambda m: self.statuses.extend(s for s in m.status if s.name == "emg_driver"),
            qos.SLOW,
        )

    def wait(self, condition, within_s=10.0):
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, (
                len(self.frames),
                [info.stream for info in self.infos],
                self.statuses[-1:],
            )
            time.sleep(0.01)

    def of(self, info):
        return [f for f in self.frames if f.header.frame_id == info.stream]


@pytest.fixture
def graph(monkeypatch):
    monkeypatch.setenv("ROS_PYTHON_CHECK_FIELDS", "1")
    with Graph() as graph:
        node = graph.add(rclpy.create_node("listener"))
        listener = Listener(node)

        def start(**parameters):
            overrides = [Parameter(k.replace("__", "."), value=v) for k, v in parameters.items()]
            overrides.append(Parameter("diagnostics_period", value=0.1))
            return graph.add(EmgDriver(parameter_overrides=overrides))

        yield SimpleNamespace(start=start, listener=listener, node=node)


def counters(status):
    return {v.key: v.value for v in status.values}


def test_synthetic_stream_is_described_stamped_and_complete(graph):
    driver = graph.start(synthetic__n_channels=8)
    assert driver.start()
    heard = graph.listener
    heard.wait(lambda: len(heard.frames) >= 40 and heard.infos)
    (info,) = heard.infos
    assert (info.device, info.rate, info.unit, info.block_size) == ("synthetic", 1000.0, "V", 16)
    assert info.stream.startswith("synthetic-") and len(info.channel_names) == 8
    frames = heard.of(info)
    assert np.diff([f.first_sample for f in frames]).tolist() == [16] * (len(frames) - 1)
    assert all(emg_from_ros(f).shape == (16, 8) and f.dropped == 0 for f in frames)
    stamps = np.array([time_to_ns(f.header.stamp) for f in frames])
    assert np.abs(np.diff(stamps) - 16e6).max() < 2e6
    now = driver.get_clock().now().nanoseconds
    assert 0 < now - stamps[-1] < 1e9


def test_prompts_reach_the_synthetic_person(graph):
    assert graph.start().start()
    heard = graph.listener
    task = graph.node.create_publisher(JointState, "/task/x_d", qos.TICK)
    prompt = JointState(name=["index_flex", "wrist_flex"], position=[1.0, -1.0])

    def loud():
        task.publish(prompt)
        return heard.frames and emg_from_ros(heard.frames[-1]).std() > 40e-6

    heard.wait(loud)


def test_losses_are_counted_and_announced(graph):
    graph.start(synthetic__loss=0.3).start()
    heard = graph.listener
    heard.wait(lambda: heard.frames and heard.frames[-1].dropped > 100)
    frames = heard.frames
    for before, after in zip(frames[:-1], frames[1:], strict=True):  # noqa: RUF007
        gap = after.first_sample - before.first_sample - 16
        assert after.dropped - before.dropped == gap
    heard.wait(lambda: int(counters(heard.statuses[-1])["dropped"]) > 100)


def test_unplugged_cyton_is_waited_for_and_comes_back_as_a_new_stream(graph, board):
    driver = graph.start(device="cyton", cyton__port=board.path, first_pause_s=0.05)
    assert driver.start()
    heard = graph.listener
    heard.wait(lambda: len(heard.frames) > 20)
    board.unplug()
    heard.wait(lambda: heard.statuses[-1].message.startswith("reconnecting"))
    assert heard.statuses[-1].level == DiagnosticStatus.WARN
    assert "plugged" in heard.statuses[-1].message
    board.plug_in()
    heard.wait(lambda: len(heard.infos) == 2)
    first, second = heard.infos
    assert first.stream != second.stream
    heard.wait(lambda: len(heard.of(second)) > 10)
    assert heard.of(second)[0].first_sample == 0
    assert heard.frames[-1].header.frame_id == second.stream
    heard.wait(lambda: heard.statuses[-1].level == DiagnosticStatus.OK)
    assert counters(heard.statuses[-1])["opened"] == "2"


def test_an_absent_device_is_waited_for_and_bad_settings_are_refused(graph, tmp_path):
    driver = graph.start(device="cyton", cyton__port=str(tmp_path / "none"))
    assert driver.start()
    heard = graph.listener
    heard.wait(lambda: heard.statuses and heard.statuses[-1].message.startswith("reconnecting"))
    driver.stop_safely()
    assert not graph.start(device="file", file__path=str(tmp_path / "none.npz")).start()
    with pytest.raises(UserError, match="device"):
        graph.start(device="toaster")


def test_it_stops_and_starts_again(graph):
    driver = graph.start()
    heard = graph.listener
    assert driver.start()
    heard.wait(lambda: len(heard.frames) > 5)
    driver.trigger_deactivate()
    count = len(heard.frames)
    time.sleep(0.1)
    assert len(heard.frames) <= count + 2
    driver.trigger_activate()
    heard.wait(lambda: len(heard.infos) == 2 and len(heard.of(heard.infos[-1])) > 5)
    assert heard.of(heard.infos[-1])[0].first_sample == 0
