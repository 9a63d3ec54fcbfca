import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from action_msgs.msg import GoalStatus
from emghand_interfaces.action import RunTask
from emghand_interfaces.msg import (
    EmgFrame,
    EmgInfo,
    FeatureInfo,
    HandStatus,
    SessionState,
    TrialResult,
    TrialSpec,
)
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from bag_tools.recorder import BagRecorder
from emghand.cli.main import main
from emghand.client import Session as ClientSession
from emghand.errors import UserError
from emghand.evaluate.online import NUMBERS
from emghand.evaluate.online_bag import read_trials
from emghand.storage.bags import BagReader
from emghand.storage.resume import runs_of
from emghand.storage.sessions import Session
from emghand.tasks import load_task, task_from_mapping
from emghand_ros import qos
from emghand_ros.conversions import (
    dofs_to_ros,
    emg_from_ros,
    emg_to_ros,
    ns_to_time,
    time_to_ns,
)
from emghand_ros.node import EmghandNode
from emghand_ros.task_messages import perturbations_to_text, spec_from_ros, spec_to_ros
from emghand_ros.testing import Graph, wait_until
from session_node import perturbation_node
from session_node.node import SessionNode
from session_node.perturbation_node import PerturbationNode

pytestmark = pytest.mark.ros

DOFS = ("wrist_flex", "index_flex")
MARGIN_NS = 250_000_000
"""From a tick to the switch that follows it, on a busy machine."""
TASK = """
kind: simple_reach
name: short
dofs: [index_flex, wrist_flex]
from_rest: true
dwell: 0.1
time_limit: 3.0
acquire: 3.0
acquire_hold: 0.05
pause: 0.05
trials: 3
eval_directions: 4
perturbations:
  - {label: dead, kind: dead, channels: [1]}
  - {label: pull, kind: bias, dofs: [index_flex], strength: 0.3}
schedule:
  dead: {every: 2}
  pull: {every: 2}
"""


class Follower:
    """A hand that goes where the prompt is, at a limited speed."""

    def __init__(self, node):
        self.node = node
        self.x = np.zeros(2)
        self.goal = np.zeros(2)
        self.follows = True
        self.states = node.create_publisher(JointState, "/hand/state", qos.TICK)
        self.status = node.create_publisher(HandStatus, "/hand/status", qos.LATCHED)
        node.create_subscription(JointState, "/task/x_d", self.on_x_d, qos.TICK)
        node.create_timer(1 / 62.5, self.tick)

    def on_x_d(self, message):
        self.goal = np.array([message.position[list(message.name).index(d)] for d in DOFS])

    def tick(self):
        if self.follows:
            self.x = self.x + np.clip(self.goal - self.x, -0.04, 0.04)
        stamp = self.node.get_clock().now().to_msg()
        self.states.publish(dofs_to_ros(DOFS, self.x, stamp))


@pytest.fixture
def bench(tmp_path):
    with Graph() as graph:
        node = graph.add(EmghandNode("bench"))
        heard = {"spec": [], "state": [], "trial": [], "x_d": []}
        node.create_subscription(TrialSpec, "/session/spec", heard["spec"].append, qos.EVENT)
        node.create_subscription(SessionState, "/session/state", heard["state"].append, qos.STATE)
        node.create_subscription(TrialResult, "/session/trial", heard["trial"].append, qos.EVENT)
        hand = Follower(node)
        session = graph.add(SessionNode(parameter_overrides=[Parameter("lead", value=0.5)]))
        graph.call(session.start)
        client = graph.action_client(node, RunTask, "/session/run_task")
        assert client.wait_for_server(10.0)
        (tmp_path / "task.yaml").write_text(TASK)
        yield SimpleNamespace(
            graph=graph,
            node=node,
            heard=heard,
            session=session,
            hand=hand,
            client=client,
            folder=tmp_path,
        )


def send(bench, feedback=None, **changes):
    fields = {
        "session": str(bench.folder / "session"),
        "subject": "s1",
        "task": str(bench.folder / "task.yaml"),
        "record": False,
    }
    return bench.graph.send_goal(bench.client, RunTask.Goal(**(fields | changes)), feedback)


def result(bench, handle, timeout=30.0):
    return bench.graph.result(handle.get_result_async(), "the result", timeout)


def table_of(bench):
    session = Session.open(bench.folder / "session")
    assert session.check() == []
    return json.loads((session.path / "results/task_trials.json").read_text())


def test_a_task_is_run_recorded_and_measured_the_same_from_its_bag(bench):
    recorder = bench.graph.add(BagRecorder())
    bench.graph.call(recorder.start)
    feedback = []
    answer = result(bench, send(bench, feedback.append, record=True, seed=4))
    assert answer.status == GoalStatus.STATUS_SUCCEEDED, answer.result.message
    done = answer.result
    assert (done.success, done.trials, done.completed) == (True, 3, 3)
    assert json.loads(done.measures)["completion_rate"] == 1.0
    assert {f.feedback.epoch for f in feedback} == {"acquire", "movement"}
    wait_until(lambda: len(bench.heard["trial"]) == 3, "the results")

    task = load_task(bench.folder / "task.yaml")
    asked = [task.trial(i, 4) for i in range(3)]
    assert [spec_from_ros(m) for m in bench.heard["spec"]] == asked
    found = read_trials(done.bag)
    assert [t.spec for t in found] == asked
    for trial, message in zip(found, bench.heard["trial"], strict=True):
        assert message.id == trial.spec.id and message.outcome == "completed"
        for name in NUMBERS:
            assert getattr(trial.measures, name) == getattr(message, name), name
        assert dict(trial.measures.details) == json.loads(message.details)
        assert message.path_efficiency > 0.7 and message.throughput > 0
    table = table_of(bench)
    assert table["status"] == "complete" and len(table["validation_sha256"]) == 64
    assert [t["id"] for t in table["trials"]] == [s.id for s in asked]
    with BagReader(done.bag) as reader:
        assert reader.counts["/session/spec"] == 3 and reader.counts["/task/x_d"] > 50
    P = SessionState
    wait_until(lambda: bench.heard["state"][-1].period == P.IDLE, "rest")
    periods = [s.period for s in bench.heard["state"] if s.activity == "task"]
    assert periods == [P.PROMPT, P.MOVE, P.REST] * 2 + [P.PROMPT, P.MOVE]


def test_the_validation_set_is_resumed_at_the_trial_that_is_named(bench):
    answer = result(bench, send(bench, validation=True, first=2))
    assert answer.result.trials == 2, answer.result.message
    wait_until(lambda: len(bench.heard["trial"]) == 2, "the results")
    assert [m.trial for m in bench.heard["spec"]] == [2, 3]
    assert all(m.validation for m in bench.heard["spec"])


def test_a_cancelled_task_leaves_a_result_and_a_valid_session(bench):
    handle = send(bench, trials=50)
    wait_until(lambda: bench.heard["trial"], "the first trial")
    bench.hand.follows = False
    n = len(bench.heard["trial"])
    wait_until(
        lambda: bench.heard["state"][-1].period in (SessionState.PROMPT, SessionState.MOVE),
        "a trial that is under way",
    )
    bench.graph.result(handle.cancel_goal_async(), "the cancellation")
    answer = result(bench, handle)
    assert answer.status == GoalStatus.STATUS_CANCELED and "ended after" in answer.result.message
    table = table_of(bench)
    assert table["status"] == "cancelled" and len(table["trials"]) == answer.result.trials >= n
    wait_until(lambda: len(bench.heard["trial"]) == answer.result.trials, "every result")
    assert len(bench.heard["spec"]) == answer.result.trials
    wait_until(lambda: bench.heard["state"][-1].period == SessionState.IDLE, "rest")


def test_a_script_runs_a_task_and_goes_on_with_it_after_an_interruption(bench):
    recorder = bench.graph.add(BagRecorder())
    bench.graph.call(recorder.start)
    fractions = []

    def press(step):
        fractions.append(step.fraction)
        if step.fraction == 0.5 and fractions.count(0.5) == 1:
            raise KeyboardInterrupt

    file, path = bench.folder / "task.yaml", bench.folder / "session"
    with ClientSession(path, "s1", press) as session:
        done = session.task(file, trials=4, seed=4)
        assert session.interrupted and not done.success and "ended after" in done.message
        file.write_text("kind: reach elsewhere")  # The session has its own copy.
        rest = session.resume()
        assert rest.success and 0 < rest.trials == rest.completed == rest.values["trials"]
        with pytest.raises(UserError, match="every run in it is complete"):
            session.resume()
    (run,) = runs_of(path)
    assert run.complete and run.bags == ["bags/task", "bags/task_2"]
    assert (run.goal["task"], run.goal["seed"]) == ("settings/task.yaml", 4)
    task = load_task(path / "settings/task.yaml")
    found = [t.spec for bag in run.bags for t in read_trials(path / bag)]
    ended = [t for t in bench.heard["trial"] if t.outcome != "cancelled"]
    assert [t.trial for t in ended] == [0, 1, 2, 3]
    assert {s.trial: s for s in found} == {i: task.trial(i, 4) for i in range(4)}
    assert Session.open(path).check() == []


def test_a_hand_that_stops_following_ends_the_task_with_the_reason(bench):
    handle = send(bench, trials=50)
    wait_until(lambda: bench.heard["spec"], "the first trial")
    stopped = HandStatus(state=HandStatus.ESTOP, reason="emergency stop")
    bench.graph.call(lambda: bench.hand.status.publish(stopped))
    answer = result(bench, handle)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert "the hand does not follow: emergency stop" in answer.result.message
    assert table_of(bench)["trials"][-1]["outcome"] in ("cancelled", "completed")


def test_a_fault_of_the_hand_that_passes_is_told_with_its_trial(bench):
    handle = send(bench, trials=2)
    wait_until(lambda: bench.heard["spec"], "the first trial")
    fault = HandStatus(state=HandStatus.FAULT, fault="watchdog", reason="no command for 103 ms")
    for status in (fault, HandStatus(state=HandStatus.ARMED)):
        bench.graph.call(lambda status=status: bench.hand.status.publish(status))
    assert result(bench, handle).result.completed == 2
    wait_until(lambda: len(bench.heard["trial"]) == 2, "the results")
    told = [json.loads(m.details).get("hand_faults") for m in bench.heard["trial"]]
    assert told == [["watchdog"], None]


def test_a_fault_that_lasts_ends_the_task_with_the_reason(bench, monkeypatch):
    monkeypatch.setattr("emghand.activities.task.FAULT_S", 0.2)
    handle = send(bench, trials=50)
    wait_until(lambda: bench.heard["spec"], "the first trial")
    fault = HandStatus(state=HandStatus.FAULT, fault="watchdog", reason="no command for 103 ms")
    bench.graph.call(lambda: bench.hand.status.publish(fault))
    answer = result(bench, handle)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert "the hand stays in a fault (no command for 103 ms)" in answer.result.message
    assert table_of(bench)["status"] == "failed"


def test_a_start_that_is_never_taken_up_is_no_scored_trial(bench):
    text = TASK.replace("acquire: 3.0", "acquire: 0.2")
    (bench.folder / "task.yaml").write_text(text)
    bench.hand.follows = False
    bench.hand.x = np.array([0.9, 0.9])
    answer = result(bench, send(bench, trials=2))
    assert answer.result.success and answer.result.completed == 0
    assert "in 2 the start was not taken up" in answer.result.message
    measures = json.loads(answer.result.measures)
    assert (measures["trials"], measures["cancelled"]) == (0, 2)
    assert bench.heard["spec"] == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": "/nowhere.yaml"}, "/nowhere.yaml: cannot be read"),
        ({"session": ""}, "name the directory"),
        ({"first": 3}, "there are 3 trials"),
        ({"perturbations": ["push"]}, "perturbation 'push': unknown"),
        ({"perturbations": ["dead"]}, "start the graph with perturbation_node"),
        ({"trials": 2, "validation": True}, "run as a whole"),
        ({"trials": 4_000_000_000}, "at most"),
    ],
)
def test_a_goal_that_cannot_be_followed_is_aborted_with_the_reason(bench, changes, reason):
    bench.graph.call(lambda: bench.session.set_parameters([Parameter("decoder_wait", value=0.3)]))
    answer = result(bench, send(bench, **changes))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert reason in answer.result.message
    assert bench.heard["spec"] == []


def test_the_graph_for_tasks_leads_emg_and_estimates_through_the_perturbation_node(capsys):
    launch = Path(__file__).resolve().parents[3] / "launch/task.launch.yaml"
    assert main(["up", str(launch), "--runner", "own", "--dry-run"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert "emg/raw:=emg/clean" in lines["emg_driver"]
    assert "decoder/out_x_hat:=perturbed/out_x_hat" in lines["mujoco_bridge"]
    assert "out_x_hat:=" not in lines["decoder_node"] and "emg/raw" not in lines["feature_node"]
    assert "perturbation_node" in lines


def test_a_perturbation_ends_by_itself_when_its_trial_has_no_result(monkeypatch):
    monkeypatch.setattr(perturbation_node, "GRACE_S", 0.1)
    with Graph() as graph:
        node = graph.add(EmghandNode("bench"))
        perturber = graph.add_apart(PerturbationNode())
        graph.call(perturber.start)
        states = []
        node.create_subscription(
            String, "/perturbation/state", lambda m: states.append(json.loads(m.data)), qos.EVENT
        )
        specs = node.create_publisher(TrialSpec, "/session/spec", qos.EVENT)
        texts = node.create_publisher(String, "/session/perturbations", qos.LATCHED)
        task = task_from_mapping(yaml.safe_load(TASK) | {"time_limit": 0.3}).activate(["pull"])
        texts.publish(String(data=perturbations_to_text(task.perturbations)))
        wait_until(lambda: states and states[-1]["known"] == ["dead", "pull"], "the definitions")
        wait_until(lambda: specs.get_subscription_count() == 1, "the perturbation node")
        specs.publish(spec_to_ros(task.trial(0, 1), "s", 10**18))
        wait_until(lambda: ["pull"] in [s["active"] for s in states], "the perturbation")
        wait_until(lambda: states[-1]["active"] == [], "its end")
        texts.publish(String(data="[{"))
        wait_until(lambda: "definitions of perturbations" in states[-1]["problem"], "a reason")


def test_perturbations_are_in_force_in_their_trials_and_only_there(bench):
    node, graph = bench.node, bench.graph
    perturber = graph.add_apart(PerturbationNode())
    graph.call(perturber.start)
    frames, outs, states = [], [], []
    node.create_subscription(EmgFrame, "/emg/raw", frames.append, qos.EMG)
    node.create_subscription(JointState, "/perturbed/out_x_hat", outs.append, qos.TICK)
    node.create_subscription(
        String, "/perturbation/state", lambda m: states.append(json.loads(m.data)), qos.EVENT
    )
    clean = node.create_publisher(EmgFrame, "/emg/clean", qos.EMG)
    commands = node.create_publisher(JointState, "/decoder/out_x_hat", qos.TICK)
    info = node.create_publisher(EmgInfo, "/emg/info", qos.LATCHED)
    features = node.create_publisher(FeatureInfo, "/features/info", qos.LATCHED)
    names = ["a", "b", "c"]
    info.publish(EmgInfo(stream="s", channel_names=names, rate=1000.0, block_size=16, unit="V"))
    features.publish(FeatureInfo(rate=1000.0, hop=16))
    count = itertools.count()

    def flow():
        i = next(count)
        stamp = node.get_clock().now()
        ns = stamp.nanoseconds
        clean.publish(emg_to_ros(np.ones((16, 3)), 16 * i, 0, ns, "s"))
        commands.publish(dofs_to_ros(DOFS, np.array([0.1, 0.2]), stamp.to_msg()))

    node.create_timer(0.016, flow)
    wait_until(lambda: frames and outs, "signals that pass")
    assert (emg_from_ros(frames[-1]) == 1.0).all()
    bench.hand.follows = True
    answer = result(bench, send(bench, perturbations=["*"]))
    assert answer.result.success, answer.result.message
    wait_until(lambda: len(bench.heard["trial"]) == 3, "the results")
    wait_until(lambda: states[-1]["active"] == [], "the end of the perturbations")
    end_ns = time_to_ns(bench.heard["trial"][-1].end) + MARGIN_NS
    wait_until(lambda: time_to_ns(frames[-1].header.stamp) > end_ns, "what follows")
    wait_until(lambda: time_to_ns(outs[-1].header.stamp) > end_ns, "what follows")
    passed, sent = list(frames), list(outs)  # more arrive all the time
    assert [list(m.perturbations) for m in bench.heard["spec"]] == [
        ["dead", "pull"],
        [],
        ["dead", "pull"],
    ]

    def stamps(messages, dead):
        return [time_to_ns(m.header.stamp) for m in messages if dead(m)]

    dead = stamps(passed, lambda m: (emg_from_ros(m)[:, 1] == 0).all())
    pulled = stamps(sent, lambda m: list(m.position) == pytest.approx([0.1, 0.5]))
    assert len(passed) == len(stamps(passed, lambda m: (emg_from_ros(m)[:, [0, 2]] == 1).all()))
    trials = [(time_to_ns(m.start), time_to_ns(m.end)) for m in bench.heard["trial"]]
    for found in (dead, pulled):
        inside = [
            [a - MARGIN_NS <= s <= b + MARGIN_NS for s in found] for a, b in (trials[0], trials[2])
        ]
        assert all(any(row) for row in inside)
        assert all(np.any(inside, axis=0))
    assert states[-1]["problem"] == ""
    assert (emg_from_ros(frames[-1]) == 1.0).all()


def test_what_was_wrong_with_the_definitions_of_a_run_does_not_refuse_the_next(bench):
    node, graph = bench.node, bench.graph
    perturber = graph.add_apart(PerturbationNode())
    graph.call(perturber.start)
    info = node.create_publisher(EmgInfo, "/emg/info", qos.LATCHED)
    info.publish(EmgInfo(stream="s", channel_names=["a", "b"], rate=1000.0, block_size=16))
    wait_until(lambda: perturber._emg is not None, "the stream")
    (bench.folder / "task.yaml").write_text(TASK.replace("channels: [1]", "channels: [2]"))
    answer = result(bench, send(bench, trials=1, perturbations=["dead"]))
    assert "perturbation dead: there are 2 channels" in answer.result.message
    (bench.folder / "task.yaml").write_text(TASK)
    answer = result(bench, send(bench, trials=1, perturbations=["dead"]))
    assert answer.result.success, answer.result.message


class Relayed:
    """Estimates on their way through the node; what leaves it, by who sent it."""

    def __init__(self, graph):
        self.node = graph.add(EmghandNode("bench"))
        self.perturber = graph.add_apart(PerturbationNode())
        graph.call(self.perturber.start)
        # An executor that tells who sent a message.
        self.hand = graph.add_apart(EmghandNode("hand"))
        self.heard = []
        self.hand.create_subscription(
            JointState, "/perturbed/out_x_hat", self.on_command, qos.COMMAND
        )

    def on_command(self, message, info):
        gid = bytes(info["publisher_gid"]["data"])
        self.heard.append((time_to_ns(message.header.stamp), gid, list(message.position)))

    def sender(self, stamp_ns):
        """Somebody who estimates, and whom the hand has heard; `stamp_ns`: one of their own."""
        made = self.node.create_publisher(JointState, "/decoder/out_x_hat", qos.TICK)

        def heard():
            made.publish(dofs_to_ros(DOFS, np.zeros(2), ns_to_time(stamp_ns)))
            return stamp_ns in [stamp for stamp, _, _ in self.heard]

        wait_until(heard, "the first estimate")
        return made

    def send(self, sender, value, stamp_ns):
        """What arrives of an estimate: its publisher and the positions."""
        sender.publish(dofs_to_ros(DOFS, np.full(2, value), ns_to_time(stamp_ns)))
        wait_until(lambda: self.heard[-1][0] == stamp_ns, f"an estimate of {value}")
        return self.heard[-1][1:]


def test_behind_the_perturbation_node_a_hand_still_tells_commanders_apart():
    with Graph() as graph:
        relayed = Relayed(graph)
        first, second = relayed.sender(1), relayed.sender(2)
        one, x = relayed.send(first, 0.1, 10**18)
        other, y = relayed.send(second, 0.9, 10**18 + 1)
        assert one != other and (x, y) == ([0.1, 0.1], [0.9, 0.9])
        assert relayed.send(first, 0.2, 10**18 + 2)[0] == one
        # One that leaves takes its publisher with it; one that comes back is another one.
        topic = "/perturbed/out_x_hat"
        graph.call(lambda: relayed.node.destroy_publisher(first))
        wait_until(lambda: relayed.hand.count_publishers(topic) == 1, "the end of the first")
        again, _ = relayed.send(relayed.sender(3), 0.3, 10**18 + 3)
        assert again not in (one, other)


def test_a_delayed_estimate_from_before_a_silence_never_reaches_the_hand():
    with Graph() as graph:
        relayed = Relayed(graph)
        node = relayed.node
        states = []
        node.create_subscription(
            String, "/perturbation/state", lambda m: states.append(json.loads(m.data)), qos.EVENT
        )
        sender = relayed.sender(1)
        specs = node.create_publisher(TrialSpec, "/session/spec", qos.EVENT)
        texts = node.create_publisher(String, "/session/perturbations", qos.LATCHED)
        features = node.create_publisher(FeatureInfo, "/features/info", qos.LATCHED)
        features.publish(FeatureInfo(rate=1000.0, hop=16))
        late = {"label": "late", "kind": "latency", "delay": 1.0}
        task = yaml.safe_load(TASK) | {"perturbations": [late], "schedule": {}}
        task = task_from_mapping(task).activate(["late"])
        texts.publish(String(data=perturbations_to_text(task.perturbations)))
        wait_until(lambda: states and states[-1]["known"] == ["late"], "the definitions")
        wait_until(lambda: specs.get_subscription_count() == 1, "the perturbation node")
        specs.publish(spec_to_ros(task.trial(0, 1), "s", 10**18))
        wait_until(lambda: states[-1]["active"] == ["late"], "the perturbation")
        relayed.send(sender, 0.9, 10**18)
        assert relayed.send(sender, 0.5, 10**18 + 16_000_000)[1] == [0.9, 0.9], "delayed"
        assert relayed.send(sender, 0.1, 10**18 + 500_000_000)[1] == [0.1, 0.1]
