import itertools
import json
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from emghand_interfaces.action import CollectTrials, RunTest
from emghand_interfaces.msg import EmgFrame, SessionState, TrialResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from bag_tools.recorder import BagRecorder
from bag_tools.recording import Recording
from emghand.activities.emg_watch import EMG_LOST
from emghand.storage.bags import BagReader
from emghand.storage.resume import runs_of
from emghand.storage.sessions import Session
from emghand.tasks.movements import Schedule, load_movement_set
from emghand_ros import qos
from emghand_ros.conversions import dofs_to_ros, emg_to_ros, time_to_ns
from emghand_ros.node import EmghandNode, ear_of
from emghand_ros.testing import Graph, wait_until
from session_node import recorder_client
from session_node.node import SessionNode

pytestmark = pytest.mark.ros

SET = """
name: short
dofs: [index_flex, wrist_flex]
rest: 0.1
prompt: 0.1
rise: 0.1
hold: 0.1
fall: 0.1
repetitions: 2
movements:
  - {name: point, targets: {index_flex: 1.0}}
  - {name: bend, targets: {wrist_flex: -0.5}}
"""


@pytest.fixture
def bench(tmp_path):
    with Graph() as graph:
        node = graph.add(EmghandNode("bench"))
        heard = {"x_d": [], "state": [], "trial": []}
        node.create_subscription(JointState, "/task/x_d", heard["x_d"].append, qos.TICK)
        node.create_subscription(SessionState, "/session/state", heard["state"].append, qos.STATE)
        node.create_subscription(TrialResult, "/session/trial", heard["trial"].append, qos.EVENT)
        recorder = graph.add(BagRecorder())
        session = graph.add(SessionNode(parameter_overrides=[Parameter("lead", value=0.3)]))
        graph.call(recorder.start)
        graph.call(session.start)
        clients = {
            "collect": graph.action_client(node, CollectTrials, "/session/collect_trials"),
            "test": graph.action_client(node, RunTest, "/session/run_test"),
        }
        for client in clients.values():
            assert client.wait_for_server(10.0)
        wait_until(lambda: session._x_d.get_subscription_count() == 1, "the listener")
        (tmp_path / "set.yaml").write_text(SET)
        yield SimpleNamespace(
            graph=graph,
            node=node,
            heard=heard,
            session=session,
            recorder=recorder,
            clients=clients,
            folder=tmp_path,
        )


def goal(bench, kind=CollectTrials, **changes):
    fields = {
        "session": str(bench.folder / "session"),
        "subject": "s1",
        "movement_set": str(bench.folder / "set.yaml"),
        "record": True,
    }
    return kind.Goal(**(fields | changes))


def send(bench, request, name="collect", feedback=None):
    return bench.graph.send_goal(bench.clients[name], request, feedback)


def result(bench, handle):
    return bench.graph.result(handle.get_result_async(), "the result", 20.0)


def test_a_collection_prompts_records_and_writes_its_table(bench):
    feedback = []
    answer = result(bench, send(bench, goal(bench), feedback=feedback.append))
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert (answer.result.success, answer.result.trials) == (True, 4)
    states, x_d = bench.heard["state"], bench.heard["x_d"]
    wait_until(lambda: len(bench.heard["trial"]) == 4, "the results of the trials")
    wait_until(lambda: states[-1].period == SessionState.IDLE, "rest")
    P = SessionState
    of_trial = [P.PROMPT, P.MOVE, P.HOLD, P.MOVE, P.REST]
    assert [s.period for s in states if s.activity] == [P.REST, *(of_trial * 4)]
    stamps = np.array([time_to_ns(m.header.stamp) for m in x_d])
    assert np.median(np.diff(stamps)) == pytest.approx(1e9 / 60, rel=1e-3)
    values = np.array([m.position for m in x_d])
    assert values.max(axis=0).tolist() == [1.0, 0.0] and values.min(axis=0).tolist() == [0.0, -0.5]
    assert feedback[-1].feedback.n_trials == 4

    session = Session.open(bench.folder / "session")
    assert session.check() == []
    table = json.loads((session.path / "results/collect_trials.json").read_text())
    assert table["status"] == "complete" and table["recording"]["lost"] == 0
    assert [(t["movement"], t["repetition"]) for t in table["trials"]] == [
        ("point", 0),
        ("bend", 0),
        ("point", 1),
        ("bend", 1),
    ]
    with BagReader(session.path / table["bag"]) as reader:
        assert reader.counts["/task/x_d"] == len(x_d)
        assert reader.counts["/session/trial"] == 4
        assert reader.counts["/session/state"] >= 22


def test_a_blocked_set_is_prompted_in_shuffled_blocks_and_the_table_says_so(bench):
    (bench.folder / "set.yaml").write_text(f"{SET}order: blocked\n")
    answer = result(bench, send(bench, goal(bench, shuffle=True, seed=3, record=False)))
    assert answer.result.success
    table = json.loads((bench.folder / "session/results/collect_trials.json").read_text())
    assert (table["order"], table["seed"], table["shuffle"]) == ("blocked_random", 3, True)
    trials = [(t["movement"], t["repetition"]) for t in table["trials"]]
    schedule = Schedule(load_movement_set(bench.folder / "set.yaml"), shuffle=True, seed=3)
    assert trials == [(t.movement.name, t.repetition) for t in schedule.trials]
    assert trials == [("bend", 0), ("bend", 1), ("point", 0), ("point", 1)]


def test_a_cancelled_collection_goes_on_with_its_next_trial(bench):
    handle = send(bench, goal(bench, shuffle=True, seed=5))
    wait_until(lambda: len(bench.heard["trial"]) >= 2, "two trials")
    bench.graph.result(handle.cancel_goal_async(), "the cancellation")
    done = result(bench, handle).result.trials
    folder = bench.folder / "session"
    (run,) = runs_of(folder)
    assert (run.first, run.n_trials, run.complete) == (done, 4, False)
    fields = run.goal | {"movement_set": str(folder / run.goal["movement_set"])}
    answer = result(bench, send(bench, goal(bench, **fields, first=run.first)))
    assert (answer.result.success, answer.result.trials) == (True, 4 - done)
    (run,) = runs_of(folder)
    assert run.complete and run.bags == ["bags/collect", "bags/collect_2"]
    whole = Schedule(load_movement_set(bench.folder / "set.yaml"), shuffle=True, seed=5)
    shown = [(t.trial, t.movement, t.repetition) for t in bench.heard["trial"]]
    assert shown == [(t.index, t.movement.name, t.repetition) for t in whole.trials]
    refused = result(bench, send(bench, goal(bench, first=4)))
    assert "no trial 4" in refused.result.message


def test_nothing_is_prompted_at_rest(bench):
    wait_until(lambda: bench.heard["state"], "the state")
    assert bench.heard["state"][-1].period == SessionState.IDLE
    assert bench.heard["x_d"] == []


def test_a_cancelled_collection_leaves_a_valid_session(bench):
    handle = send(bench, goal(bench, repetitions=20))
    wait_until(lambda: len(bench.heard["trial"]) >= 1, "the first trial")
    ended = threading.Event()
    future = handle.get_result_async()
    future.add_done_callback(lambda _: ended.set())
    bench.graph.result(handle.cancel_goal_async(), "the cancellation")
    assert ended.wait(2.0)
    answer = future.result()
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert "cancelled after" in answer.result.message and not answer.result.success
    session = Session.open(bench.folder / "session")
    assert session.check() == []
    table = json.loads((session.path / "results/collect_trials.json").read_text())
    assert table["status"] == "cancelled"
    assert len(table["trials"]) == answer.result.trials >= 1
    with BagReader(session.path / table["bag"]) as reader:
        assert not reader.damaged and reader.counts["/task/x_d"] > 10
    wait_until(lambda: bench.heard["state"][-1].period == SessionState.IDLE, "rest")


def test_a_second_run_gets_a_bag_of_its_own_and_a_second_goal_meanwhile_a_reason(bench):
    first = send(bench, goal(bench, repetitions=1))
    second = result(bench, send(bench, goal(bench)))
    assert second.status == GoalStatus.STATUS_ABORTED
    assert second.result.message == "busy with: collect; one activity at a time"
    assert result(bench, first).result.success
    again = result(bench, send(bench, goal(bench, repetitions=1)))
    assert again.result.bag.endswith("collect_2")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"movement_set": "/nowhere.yaml"}, "/nowhere.yaml"),
        ({"session": ""}, "name the directory"),
        ({"subject": "Jane Doe"}, "subject 'Jane Doe'"),
        ({"label": "../bad"}, "label"),
    ],
)
def test_a_bad_goal_is_aborted_with_the_reason(bench, changes, reason):
    answer = result(bench, send(bench, goal(bench, **changes)))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert reason in answer.result.message
    assert bench.heard["x_d"] == []


def test_a_session_that_is_a_file_is_refused_with_the_reason(bench):
    answer = result(bench, send(bench, goal(bench, session=str(bench.folder / "set.yaml"))))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert "set.yaml: is no directory that can be read" in answer.result.message


@pytest.mark.parametrize("gone", [False, True])
def test_a_collection_ends_soon_after_its_recorder(bench, monkeypatch, gone):
    monkeypatch.setattr(recorder_client, "MISSED_REPORTS", 2)
    handle = send(bench, goal(bench, repetitions=50))
    wait_until(lambda: bench.heard["x_d"], "the first prompt")
    if gone:
        bench.graph.call(lambda: bench.graph.executor.remove_node(bench.recorder))
    else:
        bench.graph.call(bench.recorder.stop_recording)
    answer = result(bench, handle)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert not answer.result.success and answer.result.trials < 20
    table = json.loads((bench.folder / "session/results/collect_trials.json").read_text())
    assert table["status"] == "failed" and len(table["trials"]) == answer.result.trials
    why = "recorder bag_recorder has gone" if gone else "recorder: not recording"
    assert why in answer.result.message


def test_a_collection_ends_soon_after_its_raw_emg(bench):
    emg = bench.node.create_publisher(EmgFrame, "/emg/raw", qos.EMG)
    blocks = itertools.count()

    def publish():
        i, now = next(blocks), bench.node.get_clock().now().nanoseconds
        emg.publish(emg_to_ros(np.zeros((16, 2)), 16 * i, 0, now, "synthetic"))

    device = bench.node.create_timer(0.016, publish)
    handle = send(bench, goal(bench, repetitions=50))
    wait_until(lambda: len(bench.heard["trial"]) >= 2, "two trials")
    bench.graph.call(device.cancel)
    answer = result(bench, handle)
    assert not answer.result.success and EMG_LOST in answer.result.message
    (run,) = runs_of(bench.folder / "session")
    assert 2 <= run.first < 50 and sorted(run.done) == list(range(run.first))
    wait_until(lambda: len(bench.heard["trial"]) == run.first, "the results of the trials")


def test_a_test_that_waits_for_a_decoder_can_be_cancelled(bench):
    bench.graph.call(lambda: bench.session.set_parameters([Parameter("decoder_wait", value=60.0)]))
    handle = send(bench, goal(bench, RunTest), "test")
    bench.graph.result(handle.cancel_goal_async(), "the answer to the cancellation")
    answer = result(bench, handle)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.message == "cancelled while waiting for the decoder"


def test_a_session_of_another_subject_is_left_alone(bench):
    Session.create(bench.folder / "session", "s2")
    answer = result(bench, send(bench, goal(bench)))
    assert "belongs to subject s2" in answer.result.message


def test_a_test_needs_a_decoder_that_decodes(bench):
    bench.graph.call(lambda: bench.session.set_parameters([Parameter("decoder_wait", value=0.1)]))
    answer = result(bench, send(bench, goal(bench, RunTest), "test"))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert "nothing is decoded" in answer.result.message


def test_a_test_scores_each_trial(bench):
    outs = bench.node.create_publisher(JointState, "/decoder/out_x_hat", qos.TICK)
    names = ("index_flex", "wrist_flex")

    def decode():
        stamp = bench.node.get_clock().now().to_msg()
        outs.publish(dofs_to_ros(names, np.array([0.0, 0.0]), stamp))

    bench.node.create_timer(0.01, decode)
    answer = result(bench, send(bench, goal(bench, RunTest, record=False, repetitions=1), "test"))
    assert answer.result.success and answer.result.bag == ""
    wait_until(lambda: len(bench.heard["trial"]) == 2, "the results of the trials")
    point, bend = bench.heard["trial"]
    assert 0.4 < point.rmse[0] < 0.9 and point.rmse[1] == 0.0
    assert bend.rmse[0] == 0.0 and 0.2 < bend.rmse[1] < 0.45
    table = json.loads((bench.folder / "session/results/test_trials.json").read_text())
    assert table["trials"][0]["rmse"]["index_flex"] == point.rmse[0]


def leave_ears(bench):
    """What is listed for some time of a recorder that was killed."""
    gone = Node(ear_of("bag_recorder"))
    topics = ("/task/x_d", "/session/state", "/session/trial", "/emg/raw")
    kinds = (JointState, SessionState, TrialResult, EmgFrame)
    for kind, topic in zip(kinds, topics, strict=True):
        gone.create_subscription(kind, topic, lambda _: None, qos.EVENT)
    bench.graph.add(gone)
    listed = bench.session.get_subscriptions_info_by_topic
    for topic in topics:
        wait_until(lambda t=topic: any(i.node_name == gone.get_name() for i in listed(t)), "an ear")


@pytest.mark.parametrize("deaf_to", ["", "/emg/raw"])
def test_trials_begin_when_the_recorder_hears_of_them(bench, monkeypatch, deaf_to):
    looks, hears = itertools.count(1), threading.Event()
    bench.node.create_publisher(EmgFrame, "/emg/raw", qos.EMG)
    wait_until(lambda: bench.session.count_publishers("/emg/raw"), "raw EMG")
    follow = Recording.follow_graph

    def follow_late(recording):
        bench.looks = next(looks)
        recording._unusable = {deaf_to} if not hears.is_set() else set()
        if deaf_to or hears.is_set():
            follow(recording)

    monkeypatch.setattr(Recording, "follow_graph", follow_late)
    leave_ears(bench)
    handle = send(bench, goal(bench, repetitions=1))
    wait_until(lambda: getattr(bench, "looks", 0) > 8, "time in which a trial could have begun")
    assert bench.heard["x_d"] == []
    hears.set()
    assert result(bench, handle).result.trials == 2
    with BagReader(bench.folder / "session/bags/collect") as reader:
        assert reader.counts["/session/trial"] == 2


@pytest.mark.parametrize("name", ["bag_recorder", "/lab/bag_recorder"])
def test_a_recorder_in_a_namespace_is_heard(tmp_path, name):
    (tmp_path / "set.yaml").write_text(SET)
    with Graph() as graph:
        recorder = graph.add(BagRecorder(namespace="/lab"))
        overrides = [Parameter("recorder", value=name), Parameter("lead", value=0.3)]
        session = graph.add(SessionNode(namespace="/lab", parameter_overrides=overrides))
        graph.call(recorder.start)
        graph.call(session.start)
        node = graph.add(EmghandNode("bench"))
        bench = SimpleNamespace(graph=graph, folder=tmp_path, clients={})
        kind = "/lab/session/collect_trials"
        bench.clients["collect"] = graph.action_client(node, CollectTrials, kind)
        assert bench.clients["collect"].wait_for_server(10.0)
        answer = result(bench, send(bench, goal(bench, repetitions=1)))
        assert answer.result.success, answer.result.message
        with BagReader(tmp_path / "session/bags/collect") as reader:
            assert reader.counts["/lab/session/trial"] == 2


def test_a_recorder_that_hears_nothing_is_refused(bench, monkeypatch):
    monkeypatch.setattr(recorder_client, "DISCOVERY_S", 0.5)
    monkeypatch.setattr(Recording, "follow_graph", lambda _: None)
    answer = result(bench, send(bench, goal(bench)))
    assert answer.status == GoalStatus.STATUS_ABORTED
    why = "recorder bag_recorder does not hear /task/x_d, /session/state, /session/trial"
    assert why in answer.result.message and bench.heard["x_d"] == []
    wait_until(lambda: bench.recorder._recording is None, "the end of the recording")


def test_deactivation_stops_a_run_and_writes_its_table(bench):
    send(bench, goal(bench, repetitions=20))
    wait_until(lambda: bench.heard["x_d"], "the first prompt")
    bench.graph.call(bench.session.trigger_deactivate)
    path = bench.folder / "session/results/collect_trials.json"
    wait_until(path.exists, "the table")
    assert json.loads(path.read_text())["status"] == "cancelled"
    wait_until(lambda: bench.recorder._recording is None, "the end of the recording")
