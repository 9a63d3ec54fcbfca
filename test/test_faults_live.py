"""Faults in a running graph: what is killed, stopped or lies, and what the hand does then."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from emghand_interfaces.msg import EmgFrame, FeatureFrame, HandStatus, PipelineEvent
from sensor_msgs.msg import JointState
from system_bench import DOFS, REST, START_S, Ear, Up, largest_step, own_domain, run_emghand

from emghand.storage.bags import BagReader, read_recording
from emghand_ros import qos

pytestmark = pytest.mark.ros

FLEXED = {"index_flex": 1.0}
INDEX = DOFS.index("index_flex")
STARTS_WITHIN_S = 0.150
RAMP = 1.0
LIMIT = 6.0


class Live:
    """`emghand up live` with a model, and an ear in its domain."""

    def __init__(self, folder: Path, model: Path) -> None:
        env = own_domain()
        arguments = (f"model:={model}", "--runner", "own")
        self.ear = Ear(env)
        self.graph = Up(folder / "graph.log", env, "live", *arguments)

    @property
    def alive(self) -> bool:
        return self.graph.process.poll() is None

    def close(self) -> None:
        try:
            self.graph.end()
        finally:
            self.ear.close()

    def decoding(self) -> None:
        """Wait until the decoder follows the prompts to rest."""
        self.ear.intention = dict(REST)
        count = len(self.ear.out)

        def at_rest() -> bool:
            assert self.alive, self.graph.output
            fresh = [v for _, v in self.ear.out[count:]]
            return len(fresh) > 10 and max(map(abs, fresh[-1].values())) < 0.05

        self.ear.wait(at_rest, f"a decoder at rest\n{self.graph.output}", START_S)

    def flex(self, target: float = 0.8) -> None:
        """Arm, and let the person flex until the hand has followed."""
        answer = self.ear.arm()
        assert answer.success, answer.message
        self.ear.intention = dict(FLEXED)

        def settled() -> bool:
            index = np.array([p[INDEX] for _, p in self.ear.hand[-20:]])
            return index.min() > target and np.ptp(index) < 0.02

        self.ear.wait(settled, "a flexed hand")


@pytest.fixture(scope="module")
def lives(tmp_path_factory, model) -> Iterator[list[Live]]:
    """The graph that the tests of this module share; a test that ends it leaves the list empty."""
    shared: list[Live] = []
    with contextlib.ExitStack() as stack:

        def make() -> Live:
            live = Live(tmp_path_factory.mktemp("live"), model)
            stack.callback(live.close)
            return live

        yield [make, shared]


@pytest.fixture
def live(lives) -> Live:
    """A running graph: the person at rest, the decoder decoding, the hand at rest and disarmed."""
    make, shared = lives
    if not shared or not shared[0].alive:
        shared[:] = [make()]
    live = shared[0]
    live.decoding()
    if live.ear.state == HandStatus.ARMED:
        live.ear.wait(lambda: live.ear.at_rest, "the hand at rest")
    live.ear.reset_estop()
    live.ear.arm(False)
    live.ear.wait(lambda: live.ear.state == HandStatus.DISARMED, "a disarmed hand")
    return live


def nonsense(ear: Ear) -> Iterator[tuple[str, type, list]]:
    """Topic, type and messages that no node of the graph sends."""
    nan, last, frame = math.nan, ear.features[-1], ear.frames[-1]
    yield (
        "/emg/raw",
        EmgFrame,
        [
            EmgFrame(header=frame.header, first_sample=frame.first_sample, n_channels=0),
            EmgFrame(header=frame.header, first_sample=frame.first_sample, n_channels=5,
                     data=[0.0] * 16),
            EmgFrame(header=frame.header, first_sample=frame.first_sample, n_channels=4,
                     data=[nan] * 16),
        ],
    )  # fmt: skip
    yield (
        "/features",
        FeatureFrame,
        [
            FeatureFrame(header=last.header, tick=last.tick + 1, data=[nan] * len(last.data)),
            FeatureFrame(header=last.header, tick=last.tick + 1, data=[]),
            FeatureFrame(header=last.header, tick=2**63 - 1, data=[math.inf] * len(last.data)),
        ],
    )
    joints = [
        JointState(name=["index_flex"], position=[]),
        JointState(name=[], position=[1.0]),
        JointState(name=["index_flex", "index_flex"], position=[1.0, -1.0]),
        JointState(name=["nose"], position=[nan]),
        JointState(name=["index_flex"], position=[nan]),
        JointState(name=["index_flex"], position=[math.inf]),
    ]
    yield "/decoder/out_x_hat", JointState, joints
    details = ["", "{", "null", "[1]", '{"reason": 7}', "\x00" * 1000]
    events = [PipelineEvent(kind=kind, detail=d) for kind in ("gap", "", "?") for d in details]
    yield "/decoder/event", PipelineEvent, events
    yield "/task/x_d", JointState, joints


def assert_went_to_rest_by_a_ramp(ear: Ear, killed: float) -> None:
    ear.wait(lambda: ear.at_rest, "the hand at rest", 5.0)
    times, positions = ear.path(killed)
    index = positions[:, INDEX]
    faults = [t for t, s in ear.statuses if t >= killed and s.state == HandStatus.FAULT]
    started = times[np.argmax(index < index[times < faults[0]].min() - 0.01)]
    arrived = times[np.argmax(index < 0.02)]
    print(
        f"fault {1e3 * (faults[0] - killed):.0f} ms, moving {1e3 * (started - killed):.0f} ms, "
        f"at rest {1e3 * (arrived - killed):.0f} ms, fastest {ear.fastest(killed):.2f} /s"
    )
    assert faults[0] - killed < STARTS_WITHIN_S
    assert started - killed < STARTS_WITHIN_S
    assert ear.fastest(started) < 1.3 * RAMP
    assert arrived - started > 0.7 / RAMP


def test_a_killed_decoder_sends_the_hand_to_rest_and_comes_back_without_moving_it(live):
    ear = live.ear
    live.flex()
    before = len(ear.out)
    killed = live.graph.kill("decoder_node")
    assert_went_to_rest_by_a_ramp(ear, killed)
    assert ear.status.fault == "watchdog"
    # The person still flexes: the respawned decoder commands flexion, but is not the commander.
    ear.wait(lambda: len(ear.out) > before and ear.out[-1][1]["index_flex"] > 0.8, "respawn", 15.0)
    refused = ear.refusals["other_publisher"]
    ear.wait(lambda: ear.refusals["other_publisher"] > refused + 20, "refusals")
    assert ear.at_rest
    ear.estop()
    ear.wait(lambda: ear.state == HandStatus.ESTOP, "the emergency stop", 1.0)
    ear.reset_estop()
    again = time.monotonic()
    live.flex()
    assert ear.fastest(again) < LIMIT
    assert ear.fastest(again, 0.02) < 1.5 * LIMIT


def test_a_killed_emg_driver_sends_the_hand_to_rest_and_resumes_as_a_new_stream(live):
    ear = live.ear
    live.flex()
    old = ear.streams[-1]
    others = {n: live.graph.find(n).pid for n in ("feature_node", "decoder_node", "mujoco_bridge")}
    killed = live.graph.kill("emg_driver")
    assert_went_to_rest_by_a_ramp(ear, killed)
    ear.wait(lambda: ear.streams[-1] != old, "a new stream", 15.0)
    resumed = time.monotonic()
    ear.wait(lambda: ear.at("index_flex") > 0.8, "the hand follows again", 15.0)
    assert ear.state == HandStatus.ARMED
    assert ear.fastest(resumed) < LIMIT
    fresh = [v for t, v in ear.out if t > resumed]
    assert largest_step(fresh) < 0.5
    assert others == {n: live.graph.find(n).pid for n in others}


def test_a_killed_bridge_comes_back_disarmed_and_does_not_move(live):
    ear = live.ear
    live.flex()
    before = ear.status.accepted
    killed = live.graph.kill("mujoco_bridge")
    # What the old bridge had sent has arrived long before the new one can have started.
    respawned = killed + 0.3
    ear.wait(lambda: 30 < ear.status.accepted < before, "the respawned bridge hears commands", 15.0)
    # A lost packet of DDS discovery can leave one topic of a new node unheard for seconds.
    ear.wait(lambda: len(ear.path(respawned)[0]) > 30, "the respawned bridge is heard", 15.0)
    assert ear.state == HandStatus.DISARMED
    assert ear.out[-1][1]["index_flex"] > 0.8
    assert np.abs(ear.path(respawned)[1]).max() < 0.02
    live.flex()
    assert ear.fastest(respawned) < LIMIT


def test_a_second_publisher_moves_nothing_and_nothing_moves_before_arming(live):
    ear = live.ear
    rival = ear.node.create_publisher(JointState, "/decoder/out_x_hat", qos.TICK)
    ear.wait(lambda: rival.get_subscription_count() > 0, "the bridge hears the rival")
    ear.intention = dict(FLEXED)
    ear.wait(lambda: ear.out[-1][1]["index_flex"] > 0.8, "a decoder that commands flexion")
    accepted = ear.status.accepted
    ear.wait(lambda: ear.status.accepted > accepted + 30, "commands")
    assert ear.state == HandStatus.DISARMED
    assert ear.at_rest
    live.flex()
    before = ear.refusals["other_publisher"]
    flexed = time.monotonic()

    def contradict() -> bool:
        rival.publish(ear.joints({"index_flex": -1.0, "wrist_flex": 1.0}))
        time.sleep(0.016)
        return ear.refusals["other_publisher"] > before + 20

    ear.wait(contradict, "refusals")
    ear.wait(
        lambda: int(ear.diagnostics["mujoco_bridge"]["refused.other_publisher"]) > before,
        "refusals on /diagnostics",
    )
    assert ear.path(flexed)[1][:, INDEX].min() > 0.6
    assert np.abs(ear.path(flexed)[1][:, DOFS.index("wrist_flex")]).max() < 0.3
    ear.node.destroy_publisher(rival)


def test_messages_of_nonsense_move_nothing_and_end_no_process(live):
    ear = live.ear
    live.flex()
    alive = {p.pid for p in live.graph.processes()}
    refused = dict(ear.refusals)
    sent = time.monotonic()
    topics = {topic: (kind, messages) for topic, kind, messages in nonsense(ear)}
    publishers = {
        topic: ear.node.create_publisher(kind, topic, qos.EVENT)
        for topic, (kind, _) in topics.items()
    }
    for topic, publisher in publishers.items():
        ear.wait(lambda p=publisher: p.get_subscription_count() > 0, f"{topic} is heard")
        for message in topics[topic][1]:
            publisher.publish(message)
    ear.wait(lambda: ear.refusals["other_publisher"] > refused["other_publisher"], "refusals")
    ear.wait(
        lambda: int(ear.diagnostics.get("feature_node", {}).get("refused", 0)) > 0, "refused EMG"
    )
    ear.wait(
        lambda: (
            int(ear.diagnostics.get("decoder_node", {}).get("refused_nan", 0)) > 0
            and int(ear.diagnostics["decoder_node"]["refused_length"]) > 0
        ),
        "refused features",
    )
    for publisher in publishers.values():
        ear.node.destroy_publisher(publisher)
    assert np.isfinite([list(v.values()) for t, v in ear.out if t > sent + 0.5]).all()
    assert ear.path(sent)[1][:, INDEX].min() > 0.6
    assert {p.pid for p in live.graph.processes()} == alive
    assert "Traceback" not in live.graph.output


def test_a_killed_recorder_loses_only_what_it_had_not_yet_written(live, tmp_path):
    ear, bag = live.ear, tmp_path / "bag"
    ear.record(bag)
    before = len(ear.frames)
    ear.wait(lambda: len(ear.frames) > before + 200, "some seconds of EMG")
    killed = ear.node.get_clock().now().nanoseconds
    live.graph.kill("bag_recorder")
    heard = {f.first_sample for f in ear.frames if f.header.frame_id == ear.streams[-1]}
    done = run_emghand("session", "repair", bag)
    assert done.returncode == 0, done.stderr
    assert bag.with_name("bag.damaged").exists()
    reader = BagReader(bag)
    assert not reader.damaged
    recording = read_recording(bag)
    assert recording.stream.stream == ear.streams[-1]
    last = recording.blocks[-1]
    lost_s = (killed - last.stamp_ns) * 1e-9 - 0.016
    print(f"the last block in the bag ends {1e3 * lost_s:.0f} ms before the kill")
    assert lost_s < 0.5
    written = {b.first_sample for b in recording.blocks}
    first = min(written)
    assert {s for s in heard if first <= s <= last.first_sample} <= written
    assert run_emghand("replay-check", bag).returncode == 0


def test_the_local_stop_works_when_every_other_process_is_dead(live):
    ear = live.ear
    live.flex()
    bridge = live.graph.find("mujoco_bridge")
    doomed = [p for p in live.graph.processes() if p.pid != bridge.pid]
    # A supervisor that is killed takes the bridge with it, one that hangs does not.
    live.graph.process.send_signal(signal.SIGSTOP)
    for process in doomed:
        process.kill()
    killed = time.monotonic()
    ear.wait(lambda: ear.at("index_flex") < 0.6, "the ramp to rest")
    bridge.send_signal(signal.SIGUSR1)
    ear.wait(lambda: ear.state == HandStatus.ESTOP, "the stop", 1.0)
    assert "SIGUSR1" in ear.status.reason
    stopped = ear.statuses[-1][0]
    ear.wait(lambda: time.monotonic() > stopped + 0.3, "time")
    assert ear.at("index_flex") > 0.3
    assert np.ptp(ear.path(stopped + 0.1)[1], axis=0).max() < 0.01
    live.graph.end()
    assert ear.fastest(killed) < LIMIT
