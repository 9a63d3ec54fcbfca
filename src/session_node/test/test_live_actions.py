"""Free control, calibration and replay through their actions, and the examples of the docs."""

import json
import re
import threading
import types
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from emghand_interfaces.action import Calibrate, FreeControl, Replay
from emghand_interfaces.msg import (
    EmgFrame,
    EmgInfo,
    FeatureFrame,
    FeatureInfo,
    HandStatus,
    ModelInfo,
)
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from simulated_sessions import FEATURES, simulated, write_bag
from std_msgs.msg import Bool

from bag_tools.recorder import BagRecorder
from emghand.client import Session as ClientSession
from emghand.errors import UserError
from emghand.pipeline import Pipeline, feature_pipeline
from emghand.settings import digest, to_json
from emghand.simulate import SyntheticEmg, SyntheticSettings
from emghand.storage.bags import BagReader
from emghand.storage.datasets import read_any
from emghand.storage.models import load_model, save_model
from emghand.storage.recording import Stream
from emghand.storage.sessions import Session
from emghand.training import TrainSettings, dataset_from_recording, train
from emghand.training.calibration import load_calibration
from emghand_ros import qos
from emghand_ros.conversions import (
    dofs_to_ros,
    emg_to_ros,
    features_to_ros,
    stream_to_ros,
    time_to_ns,
)
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph, wait_until
from session_node.node import SessionNode

pytestmark = pytest.mark.ros
DOFS = ("index_flex", "wrist_flex")
PAGE = Path(__file__).parents[3] / "docs" / "session_actions.md"
SET = """
name: short
dofs: [index_flex, wrist_flex]
rest: 0.3
rise: 0.2
hold: 0.3
fall: 0.2
repetitions: 3
movements:
  - {name: point, targets: {index_flex: 1.0}}
  - {name: bend, targets: {wrist_flex: -1.0}}
"""


class Arm(EmghandNode):
    """A person with electrodes, glove and a perfect decoder: all topics, as far as switched on."""

    def __init__(self):
        super().__init__("arm")
        self.decodes = True
        self.intention = np.zeros(2)
        self.emg = SyntheticEmg(SyntheticSettings(n_channels=8, dofs=DOFS))
        self.sample = 0
        self.stream = Stream("synthetic", "s1", self.emg.channel_names, 1000.0, 16, "V", 0.01)
        self.pipeline = feature_pipeline(FEATURES, self.stream)
        make = self.create_publisher
        self.raw = make(EmgFrame, "/emg/raw", qos.EMG)
        self.features = make(FeatureFrame, "/features", qos.TICK)
        names = ("/decoder/x_hat", "/decoder/out_x_hat", "/glove/dof")
        self.outs = {name: make(JointState, name, qos.TICK) for name in names}
        self.infos = (
            make(EmgInfo, "/emg/info", qos.LATCHED),
            make(FeatureInfo, "/features/info", qos.LATCHED),
        )
        self.infos[0].publish(stream_to_ros(self.stream))
        self.infos[1].publish(
            FeatureInfo(
                stream="s1",
                names=list(self.pipeline.names),
                rate=1000.0,
                hop=FEATURES.hop,
                window_hops=FEATURES.window_hops,
                settings=to_json(FEATURES),
                settings_hash=digest(FEATURES),
            )
        )
        self.x_d = []
        self.create_subscription(JointState, "/task/x_d", self._follow, qos.TICK)
        self.create_timer(0.016, self._live)

    def _follow(self, message):
        self.x_d.append(message)
        if tuple(message.name) == DOFS:
            self.intention = np.array(message.position)

    def _live(self):
        now = self.get_clock().now()
        samples = self.emg.push(np.tile(self.intention, (16, 1)))
        stamp = now.nanoseconds - 16_000_000
        self.raw.publish(emg_to_ros(samples, self.sample, 0, stamp, "s1"))
        for tick in self.pipeline.push(samples, self.sample):
            self.features.publish(features_to_ros(tick.z, tick.tick, now.to_msg()))
        self.sample += 16
        for name, out in self.outs.items():
            if self.decodes or name == "/glove/dof":
                out.publish(dofs_to_ros(DOFS, self.intention, now.to_msg()))


class Hand(EmghandNode):
    """What a bridge shows, without one."""

    def __init__(self):
        super().__init__("hand")
        self.position = [0.5, 0.0]
        self.state = HandStatus.ARMED
        self.commander = ""
        self.commands = []
        self.status = self.create_publisher(HandStatus, "/hand/status", qos.LATCHED)
        self.states = self.create_publisher(JointState, "/hand/state", qos.TICK)
        self.create_subscription(JointState, "/decoder/out_x_hat", self.commands.append, qos.TICK)
        self.estop = self.create_publisher(Bool, "/estop", qos.LATCHED)
        self.create_timer(0.02, self._show)

    def _show(self):
        self.status.publish(HandStatus(state=self.state, commander=self.commander))
        stamp = self.get_clock().now().to_msg()
        self.states.publish(dofs_to_ros(DOFS, np.array(self.position), stamp))


@pytest.fixture
def bench(tmp_path):
    with Graph() as graph:
        arm, recorder = graph.add(Arm()), graph.add(BagRecorder())
        runner = graph.add(SessionNode(parameter_overrides=[Parameter("lead", value=0.3)]))
        graph.call(recorder.start)
        graph.call(runner.start)
        kinds = {"control": FreeControl, "calibrate": Calibrate, "replay": Replay}
        clients = {n: graph.action_client(arm, k, f"/session/{n}") for n, k in kinds.items()}
        for client in clients.values():
            assert client.wait_for_server(10.0)
        (tmp_path / "set.yaml").write_text(SET)
        yield SimpleNamespace(
            graph=graph, arm=arm, clients=clients, folder=tmp_path, path=tmp_path / "s01"
        )


def send(bench, name, feedback=None, **fields):
    goal = bench.clients[name]._action_type.Goal(**fields)
    return bench.graph.send_goal(bench.clients[name], goal, feedback)


def result(bench, handle):
    return bench.graph.result(handle.get_result_async(), "the result", 20.0)


def control(bench, feedback=None, **fields):
    own = {"session": str(bench.path), "subject": "p1", "record": True}
    return send(bench, "control", feedback, **(own | fields))


@pytest.mark.parametrize("truth", ["glove", "own", "none"])
def test_free_control_records_its_ground_truth(bench, truth):
    bench.arm.intention = np.array([0.5, -0.25])
    bench.arm.decodes = truth != "glove"
    feedback = []
    answer = result(bench, control(bench, feedback.append, duration=0.6, ground_truth=truth))
    assert answer.result.success, answer.result.message
    assert answer.result.bag.endswith("bags/control")
    assert feedback[-1].feedback.remaining == 0.0
    session = Session.open(bench.path)
    assert session.check() == []
    table = json.loads((bench.path / "results/control.json").read_text())
    assert (table["status"], table["ground_truth"]) == ("complete", truth)
    assert table["duration"] == pytest.approx(0.6, abs=0.3)
    recording = read_any(answer.result.bag, quiet=True)
    if truth == "none":
        assert table["labels"] == 0 and bench.arm.x_d == []
        return
    assert table["labels"] > 20
    with BagReader(answer.result.bag) as reader:
        kind = "/glove/dof" if truth == "glove" else "/decoder/x_hat"
        heard = {
            topic: {
                time_to_ns(m.header.stamp): list(m.position)
                for m in (reader.decode(raw) for raw in reader.messages([topic]))
            }
            for topic in ("/task/x_d", kind)
        }
    assert heard["/task/x_d"].items() <= heard[kind].items()
    assert recording.x_d.names == DOFS
    assert all(period.movement == "" for period in recording.periods)


def test_open_ended_control_ends_with_success_when_it_is_cancelled(bench):
    feedback = []
    handle = control(bench, feedback.append, record=False)
    wait_until(lambda: len(feedback) > 2, "control")
    assert np.isnan(feedback[-1].feedback.remaining)
    bench.graph.result(handle.cancel_goal_async(), "the answer to the cancellation")
    answer = result(bench, handle)
    assert answer.result.success and "of free control" in answer.result.message


def test_timed_control_that_is_cancelled_keeps_what_was_recorded(bench):
    handle = control(bench, duration=60.0, ground_truth="own")
    wait_until(lambda: len(bench.arm.x_d) > 10, "control")
    bench.graph.result(handle.cancel_goal_async(), "the answer to the cancellation")
    answer = result(bench, handle)
    assert answer.status == GoalStatus.STATUS_CANCELED and not answer.result.success
    assert Session.open(bench.path).check() == []
    assert json.loads((bench.path / "results/control.json").read_text())["status"] == "cancelled"
    with BagReader(answer.result.bag) as reader:
        assert not reader.damaged and reader.counts["/task/x_d"] > 5


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"ground_truth": "magic"}, "choose from: glove, own, none"),
        ({"duration": -1.0}, "give seconds"),
        ({"duration": float("nan")}, "give seconds"),
        ({"subject": ""}, "name its subject"),
    ],
)
def test_control_that_makes_no_sense_is_aborted_with_the_reason(bench, fields, text):
    answer = result(bench, control(bench, **fields))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert text in answer.result.message


def test_a_live_calibration_measures_rest_and_contraction(bench):
    goal = {"session": str(bench.path), "subject": "p1", "rest": 1.5, "contraction": 1.5}
    feedback = []

    def obey(message):
        feedback.append(message.feedback.period)
        contracts = message.feedback.period == "contraction"
        bench.arm.intention = np.array([1.0, 1.0]) * contracts

    answer = result(bench, send(bench, "calibrate", obey, **goal))
    assert answer.result.success, answer.result.message
    assert list(dict.fromkeys(feedback)) == ["rest", "get ready", "contraction"]
    calibration = load_calibration(answer.result.uri)
    assert calibration.names == bench.arm.pipeline.names
    assert calibration.rest_ticks > 30 and calibration.contraction_ticks > 30
    assert np.median(calibration.contraction / calibration.rest) > 5.0
    assert Session.open(bench.path).check() == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"rest": 0.0, "contraction": 0.0}, "neither rest nor contraction"),
        ({"rest": 50.0, "contraction": 20.0}, "at most 60 s"),
        ({"rest": -1.0, "contraction": 1.0}, "give seconds"),
        ({"rest": 1.0, "recording": "/nowhere"}, "does not exist"),
    ],
)
def test_a_calibration_that_makes_no_sense_is_aborted_with_the_reason(bench, fields, text):
    goal = {"session": str(bench.path), "subject": "p1"} | fields
    answer = result(bench, send(bench, "calibrate", **goal))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert text in answer.result.message


@pytest.fixture
def played(bench):
    bench.arm.decodes = False
    bench.hand = bench.graph.add(Hand())
    recording = simulated(names=DOFS, repetitions=1)
    estimates = 0.8 * recording.x_d.values
    bench.recorded = estimates
    bench.bag = write_bag(bench.folder / "played", recording, estimates)
    return bench


def replay(bench, feedback=None, **fields):
    return send(bench, "replay", feedback, **({"recording": str(bench.bag)} | fields))


def assert_sent_as_they_were(bench, ticks, estimates):
    """In order and to the bit; on a busy machine some whose time has passed are left out."""
    rows = iter([row.tobytes() for row in estimates])
    commands = [np.array(m.position).tobytes() for m in bench.hand.commands]
    # Behind the end of the approach, in front of the way back.
    start = commands.index(estimates[0].tobytes()) + 1
    assert all(any(row == command for row in rows) for command in commands[start:][:ticks])
    assert 0.8 * len(estimates) < ticks <= len(estimates)


def test_a_replay_goes_to_the_first_posture_plays_every_estimate_and_ends_at_rest(played):
    answer = result(played, replay(played, ramp=0.1))
    assert answer.result.success, answer.result.message
    assert_sent_as_they_were(played, answer.result.ticks, played.recorded)
    commands = played.hand.commands
    sent = np.array([m.position for m in commands])
    np.testing.assert_allclose(sent[0], [0.5, 0.0], atol=1e-9)
    assert (sent[-1] == 0.0).all()
    # A few ticks may be left out; the whole way is 0.5.
    assert np.abs(np.diff(sent[:30, 0])).max() < 0.1, "a ramp, not a jump"
    stamps = np.array([time_to_ns(m.header.stamp) for m in commands])
    assert (np.diff(stamps) > 0).all()
    assert played.arm.x_d


def test_a_replay_decodes_with_the_model_that_runs_as_the_pipeline_does(played):
    recording = read_any(played.bag, quiet=True)
    dataset = dataset_from_recording(simulated(names=DOFS), FEATURES)
    model = train(dataset, TrainSettings("ridge"))
    save_model(model, played.folder / "m.emgmodel")
    answer = result(played, replay(played, what="decode"))
    assert "no model runs: load one" in answer.result.message
    infos = played.arm.create_publisher(ModelInfo, "/decoder/model", qos.LATCHED)
    uri = str(played.folder / "m.emgmodel")
    infos.publish(ModelInfo(model_id="0" * 64, uri=uri))
    assert "not the model that runs" in result(played, replay(played, what="decode")).result.message
    infos.publish(ModelInfo(model_id=model.model_id, uri=uri))
    answer = result(played, replay(played, what="decode", ramp=0.1))
    assert answer.result.success, answer.result.message
    run = Pipeline(model, recording.stream).run(recording)
    assert_sent_as_they_were(played, answer.result.ticks, run.out_x_hat)


def test_a_cancel_is_heard_while_a_recording_is_decoded(played, monkeypatch):
    dataset = dataset_from_recording(simulated(names=DOFS), FEATURES)
    model = train(dataset, TrainSettings("ridge"))
    save_model(model, played.folder / "m.emgmodel")
    info = ModelInfo(model_id=model.model_id, uri=str(played.folder / "m.emgmodel"))
    played.arm.create_publisher(ModelInfo, "/decoder/model", qos.LATCHED).publish(info)
    ticks, cancelled, push = [], threading.Event(), Pipeline._push

    def wait_after_the_first_tick(self, block):
        for tick in push(self, block):
            ticks.append(tick)
            yield tick
            assert cancelled.wait(20.0)

    monkeypatch.setattr(Pipeline, "_push", wait_after_the_first_tick)
    handle = replay(played, what="decode")
    wait_until(lambda: ticks, "the first tick")
    played.graph.result(handle.cancel_goal_async(), "the cancellation")
    cancelled.set()
    answer = result(played, handle)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.message == "cancelled before it began"
    assert len(ticks) == 2 and played.hand.commands == []


def test_a_replay_refuses_a_second_commander(played):
    played.arm.decodes = True
    answer = result(played, replay(played))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert "a decoder commands the hand" in answer.result.message
    assert answer.result.ticks == 0


def test_a_replay_refuses_a_hand_that_follows_somebody_else(played):
    played.hand.commander = "ab12"
    for what in ("estimates", "decode"):
        answer = result(played, replay(played, what=what))
        assert "the hand follows another commander" in answer.result.message
    assert played.hand.commands == []


@pytest.mark.parametrize("how", ["topic", "status", "decoder"])
def test_a_replay_ends_at_once_with_the_emergency_stop_or_a_second_commander(played, how):
    handle = replay(played)
    wait_until(lambda: len(played.hand.commands) > 20, "the replay")
    if how == "topic":
        played.hand.estop.publish(Bool(data=True))
    elif how == "status":
        played.hand.state = HandStatus.ESTOP
    else:
        played.arm.decodes = True
    answer = result(played, handle)
    assert answer.status == GoalStatus.STATUS_ABORTED
    reason = "a decoder commands the hand as well" if how == "decoder" else "stop"
    assert reason in answer.result.message
    assert answer.result.ticks < len(played.recorded)


def test_a_replay_of_an_unarmed_hand_says_that_nothing_moved_and_slow_ones_interpolate(played):
    played.hand.state = HandStatus.DISARMED
    answer = result(played, replay(played, rate=4.0, ramp=0.1))
    assert answer.result.success
    assert "no hand was armed, nothing moved" in answer.result.message
    assert answer.result.ticks < len(played.recorded) / 2


def test_ctrl_c_of_a_script_ends_an_activity_and_gives_back_what_was_finished(bench):
    steps = []

    def press(step):
        steps.append(step)
        if len(steps) == 3:
            raise KeyboardInterrupt

    with ClientSession(bench.path, "p1", press) as session:
        used = session.control(0.0, "own")
        assert session.interrupted and used.success and used.report["lost"] == 0
        steps.clear()
        collected = session.collect(bench.folder / "set.yaml", repetitions=50)
        assert session.interrupted and not collected.success
        assert "cancelled after" in collected.message
        steps.extend([None] * 9)
        with pytest.raises(UserError, match="unknown, choose from: glove, own, none"):
            session.control(1.0, "magic")
        for repetitions in ("many", -1, 2**16):
            with pytest.raises(UserError, match=r"repetitions: .* is no uint16"):
                session.collect(bench.folder / "set.yaml", repetitions=repetitions)
        assert not session.interrupted
        assert session.status().recordings == ["bags/collect", "bags/control"]


def test_the_examples_of_the_docs_run(bench):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    page = types.ModuleType("page")
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), vars(page))
    model, trials = page.first_sitting(str(bench.path), str(bench.folder / "set.yaml"))
    assert load_model(model).decoder.kind == "ridge" and trials == 2
    used, labelled = page.free_time(str(bench.path))
    assert (Path(used).name, Path(labelled).name) == ("control", "collect_2")
    bench.arm.decodes = False
    assert page.watch_again(str(bench.path)) > 20
    comparison, decoder = page.study_of_decoders(str(bench.path))
    assert comparison and decoder == "stale"
    assert Session.open(bench.path).check() == []
