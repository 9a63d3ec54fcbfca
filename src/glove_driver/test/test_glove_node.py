from types import SimpleNamespace

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402

from emghand_ros import qos  # noqa: E402
from emghand_ros.conversions import time_to_ns  # noqa: E402
from emghand_ros.testing import Graph, wait_until  # noqa: E402
from glove_driver.node import GloveDriver  # noqa: E402

pytestmark = pytest.mark.ros


@pytest.fixture
def graph(monkeypatch):
    monkeypatch.setenv("ROS_PYTHON_CHECK_FIELDS", "1")
    with Graph() as graph:
        node = graph.add(rclpy.create_node("listener"))
        heard = []
        node.create_subscription(JointState, "/glove/dof", heard.append, qos.TICK)

        def start(make=GloveDriver, **parameters):
            overrides = [Parameter(k.replace("__", "."), value=v) for k, v in parameters.items()]
            return graph.add(make(parameter_overrides=overrides))

        yield SimpleNamespace(start=start, heard=heard, node=node)


def test_synthetic_glove_publishes_what_is_prompted(graph):
    assert graph.start(synthetic__reaction_s=0.0).start()
    task = graph.node.create_publisher(JointState, "/task/x_d", qos.TICK)

    def followed():
        task.publish(JointState(name=["thumb_flex"], position=[0.7]))
        return graph.heard and abs(graph.heard[-1].position[0] - 0.7) < 0.1

    wait_until(followed, "the prompt")
    assert graph.heard[-1].name[0] == "thumb_flex" and len(graph.heard[-1].name) == 6
    stamps = np.array([time_to_ns(m.header.stamp) for m in graph.heard])
    assert np.abs(np.diff(stamps) - 1e9 / 60).max() < 5e6


def test_unplugged_glove_is_waited_for_and_comes_back(graph, glove):
    glove.message = b"A4095B4095C4095D4095E4095\n"
    glove.plug_in()
    driver = graph.start(device="opengloves", opengloves__port=glove.path, first_pause_s=0.05)
    assert driver.start()
    wait_until(lambda: len(graph.heard) > 5, "the glove")
    assert list(graph.heard[-1].position) == [1.0] * 5
    glove.unplug()
    wait_until(lambda: driver.diagnose()[1].startswith("reconnecting"), "the loss of the glove")
    count = len(graph.heard)
    glove.plug_in()
    wait_until(lambda: len(graph.heard) > count + 5, "the glove again")
    assert driver.diagnose()[1] == "streaming"


def test_emg_and_kinematics_of_one_recording_stay_in_step(graph, tmp_path):
    emg_driver = pytest.importorskip("emg_driver.node")
    path = str(tmp_path / "a.npz")
    np.savez(
        path,
        emg=np.arange(4000.0)[:, None],
        rate=1000.0,
        x_d=[[0.0], [1.0]],
        x_d_names=["fist"],
        x_d_time=[0.0, 4.0],
    )
    glove = graph.start(device="file", file__path=path)
    assert glove.start()
    emg = graph.start(
        emg_driver.EmgDriver, device="file", file__path=path, file__speed=2.0, file__start="50%"
    )
    frames = {}
    graph.node.create_subscription(
        emg_driver.EmgFrame,
        "/emg/raw",
        lambda m: frames.setdefault(time_to_ns(m.header.stamp) // 10_000, m.first_sample),
        qos.EMG,
    )
    assert emg.start()
    wait_until(lambda: len(graph.heard) >= 100 and len(frames) >= 100, "both streams")
    matched = 0
    for reading in graph.heard:
        # The same moment to 0.01 ms on both topics, and there the same place in the recording.
        key = time_to_ns(reading.header.stamp) // 10_000
        samples = {frames[k] for k in (key - 1, key, key + 1) if k in frames}
        if samples:
            matched += 1
            assert min(abs(reading.position[0] - s / 4000.0) for s in samples) < 1e-6
    assert matched > 80
