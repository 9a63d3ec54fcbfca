"""Protocols on real topics, services and actions."""

import threading
import time
from pathlib import Path

import pytest
from action_msgs.msg import GoalStatus
from emghand_interfaces.action import Calibrate, RunProtocol
from emghand_interfaces.msg import StageEvent
from rclpy.action import ActionServer, CancelResponse
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from emghand.storage.sessions import Session
from emghand_ros import qos
from emghand_ros.background import run_in_thread
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph, wait_until
from session_node.protocol_node import ProtocolNode

pytestmark = pytest.mark.ros

PROTOCOL = """
name: bench
stage:
  name: r
  stages:
  - {kind: run_action, name: calibrate, action: /bench/calibrate,
     type: emghand_interfaces/action/Calibrate, store: {file: uri},
     goal: {session: "${session}", subject: "${subject}", rest: 1}}
  - {kind: gate, name: armed, topic: /bench/armed, type: std_msgs/msg/Bool}
  - {kind: publish, name: tell, topic: /bench/word, type: std_msgs/msg/String,
     message: {data: "${file}"}}
  - {kind: call_service, name: ask, service: /bench/ask, type: std_srvs/srv/Trigger}
  - {kind: gate, name: closed, topic: /bench/hand, type: sensor_msgs/msg/JointState,
     field: "position[index_flex]", value: 0.8, hold_time: 0.2}
"""


class Bench:
    """A node that offers what the protocol asks for."""

    def __init__(self, graph, folder):
        self.graph, self.folder = graph, folder
        self.node = node = graph.add(EmghandNode("bench"))
        self.events, self.words, self.asked, self.goals = [], [], [], []
        self.success, self.go, self.cancelled = True, threading.Event(), threading.Event()
        self.go.set()
        node.create_subscription(StageEvent, "/protocol/event", self.events.append, qos.HISTORY)
        node.create_subscription(String, "/bench/word", lambda m: self.words.append(m.data), 10)
        node.create_service(Trigger, "/bench/ask", self._ask)
        self.server = ActionServer(
            node,
            Calibrate,
            "/bench/calibrate",
            self._calibrate,
            cancel_callback=lambda goal: self.cancelled.set() or CancelResponse.ACCEPT,
        )
        armed = node.create_publisher(Bool, "/bench/armed", qos.LATCHED)
        armed.publish(Bool(data=True))  # once, long before the gate
        self.hand = node.create_publisher(JointState, "/bench/hand", qos.TICK)
        self.position = 0.0
        node.create_timer(0.02, self._move)
        self.protocol = graph.add(
            ProtocolNode(parameter_overrides=[Parameter("discovery_wait", value=10.0)])
        )
        graph.call(self.protocol.start)
        self.client = graph.action_client(node, RunProtocol, "/session/run_protocol")
        assert self.client.wait_for_server(10.0)
        wait_until(lambda: self.protocol._events.get_subscription_count() >= 1, "the listener")
        (folder / "p.yaml").write_text(PROTOCOL)

    def _move(self):
        self.position = min(1.0, self.position + 0.02) if self.asked else 0.0
        names = ["thumb_flex", "index_flex"]
        self.hand.publish(JointState(name=names, position=[0.0, self.position]))

    def _ask(self, request, response):
        self.asked.append(time.monotonic())
        response.success, response.message = self.success, "done" if self.success else "not today"
        return response

    async def _calibrate(self, goal):
        self.goals.append(goal.request)
        await run_in_thread(self.node, self._work)
        if goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.succeed()
        return Calibrate.Result(success=not self.cancelled.is_set(), uri="rest.json")

    def _work(self):
        while not (self.go.wait(0.01) or self.cancelled.is_set()):
            pass

    def send(self, feedback=None, **changes):
        goal = RunProtocol.Goal(
            **{
                "protocol": str(self.folder / "p.yaml"),
                "session": str(self.folder / "s"),
                "subject": "s1",
                "seed": 5,
                **changes,
            }
        )
        return self.graph.send_goal(self.client, goal, feedback)

    def result(self, handle):
        return self.graph.result(handle.get_result_async(), "the result", 30.0)

    def ends(self):
        return [e.stage for e in self.events if e.trigger == "stage_end"]


@pytest.fixture
def bench(tmp_path):
    with Graph() as graph:
        made = Bench(graph, tmp_path)
        yield made
        made.go.set()


def test_a_protocol_acts_waits_publishes_and_calls_over_the_graph(bench):
    feedback = []
    answer = bench.result(bench.send(feedback=lambda m: feedback.append(m.feedback)))
    assert answer.status == GoalStatus.STATUS_SUCCEEDED, answer.result.message
    result = answer.result
    assert result.success and result.session == str(bench.folder / "s")
    wait_until(lambda: len(bench.events) == result.events, "every event")
    assert [e.index for e in bench.events] == list(range(result.events))
    assert bench.ends() == ["r/calibrate", "r/armed", "r/tell", "r/ask", "r/closed", "r"]
    assert (bench.goals[0].session, bench.goals[0].rest) == (result.session, 1.0)
    wait_until(lambda: bench.words == ["rest.json"], "the word")
    assert bench.position >= 0.8 and len(bench.asked) == 1
    assert {e.protocol for e in bench.events} == {"bench"}
    assert feedback[-1].stage == "r" and feedback[-1].event == "stage_end"
    session = Session.open(result.session)
    assert session.check() == []
    assert len(Path(result.log).read_text().splitlines()) == result.events + 1


def test_cancelling_a_protocol_cancels_the_action_it_waits_for(bench):
    bench.go.clear()
    handle = bench.send()
    wait_until(lambda: bench.goals, "the calibration")
    bench.graph.result(handle.cancel_goal_async(), "the cancellation")
    answer = bench.result(handle)
    assert answer.status == GoalStatus.STATUS_CANCELED and bench.cancelled.is_set()
    wait_until(lambda: bench.ends() == ["r/calibrate", "r"], "the ends")
    bench.cancelled.clear()
    bench.go.set()
    again = bench.result(bench.send(resume=True))
    assert again.result.success, again.result.message
    assert bench.ends()[-1] == "r" and len(bench.goals) == 2


def test_a_refusal_outside_fails_the_protocol_with_its_place(bench):
    bench.success = False
    result = bench.result(bench.send()).result
    assert not result.success and result.message == "r/ask: /bench/ask: not today"


RUN = (
    "stage: {name: a, kind: run_action, action: /session/collect_trials, "
    "type: emghand_interfaces/action/CollectTrials, goal: {GOAL}}"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stage: {name: a, kind: gate, topic: /x, type: no_msgs/msg/Bool}", "is not installed"),
        ("stage: {name: a, kind: gate, topic: /x, type: std_msgs/msg/Bool, field: x}", "no x"),
        (
            "stage: {name: a, kind: publish, topic: /x, type: std_msgs/msg/Bool, "
            "message: {data: 3}}",
            "Bool.data: 3 is no boolean",
        ),
        (RUN.replace("GOAL", "repetitions: some"), "Goal.repetitions: 'some' is no uint16"),
        (RUN.replace("GOAL", "repetitions: -1"), "Goal.repetitions: -1 is no uint16"),
        (RUN.replace("GOAL", "session: 3"), "Goal.session: 3 is no string"),
        ("stage: {name: a, kind: wait}", "kind: 'wait' is unknown"),
    ],
)
def test_mistakes_are_found_before_the_first_stage(bench, text, words):
    (bench.folder / "p.yaml").write_text(text)
    answer = bench.result(bench.send())
    assert answer.status == GoalStatus.STATUS_ABORTED and words in answer.result.message
    assert bench.events == []


WORDS = """
parameters: {word: nothing, times: 1}
stage:
  name: r
  stages:
  - {kind: run_action, name: calibrate, action: /bench/calibrate,
     type: emghand_interfaces/action/Calibrate, goal: {session: "${session}", rest: 1}}
  - {kind: publish, name: tell, topic: /bench/word, type: std_msgs/msg/String,
     message: {data: "${word}"}, repeat: "${times}"}
"""


def test_parameters_are_set_on_the_graph_and_kept_by_a_resume(bench):
    (bench.folder / "p.yaml").write_text(WORDS)
    bench.go.clear()
    handle = bench.send(parameters=["word=hello", "times=2"])
    wait_until(lambda: bench.goals, "the calibration")
    bench.graph.result(handle.cancel_goal_async(), "the cancellation")
    assert bench.result(handle).status == GoalStatus.STATUS_CANCELED
    bench.cancelled.clear()
    bench.go.set()
    refused = bench.result(bench.send(resume=True, parameters=["word=hello"])).result
    assert "the parameters of that time" in refused.message
    again = bench.result(bench.send(resume=True)).result
    assert again.success, again.message
    wait_until(lambda: bench.words == ["hello", "hello"], "the words")


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("phrase=hello", "no parameter phrase, known: word, times"),
        ("word", "write NAME=VALUE"),
        ("word=[", "is not YAML"),
        ("times=many", "repeat"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_before_the_first_stage(bench, parameter, words):
    (bench.folder / "p.yaml").write_text(WORDS)
    answer = bench.result(bench.send(parameters=[parameter]))
    assert answer.status == GoalStatus.STATUS_ABORTED and words in answer.result.message
    assert bench.events == [] and bench.goals == []
    assert not (bench.folder / "s").exists()


def test_python_protocols_need_permission(bench):
    (bench.folder / "p.py").write_text("raise SystemExit('it was run')")
    result = bench.result(bench.send(protocol=str(bench.folder / "p.py"))).result
    assert "allow_python" in result.message


def test_one_protocol_at_a_time(bench):
    bench.go.clear()
    first = bench.send()
    wait_until(lambda: bench.goals, "the calibration")
    assert "one protocol at a time" in bench.result(bench.send()).result.message
    bench.go.set()
    assert bench.result(first).result.success


def test_the_command_line_runs_a_protocol_with_its_events(bench, capsys):
    from emghand.cli.main import main

    path, session = str(bench.folder / "p.yaml"), str(bench.folder / "s")
    assert main(["protocol", "run", path, session, "--subject", "s1"]) == 0
    out = capsys.readouterr().out
    assert "calibrate" in out and "trial_end" in out and "bench: completed" in out
    (bench.folder / "p.yaml").write_text(WORDS)
    assert main(["protocol", "run", path, session, "--set", "word=so long"]) == 0
    wait_until(lambda: bench.words[-1] == "so long", "the word")


def test_a_server_that_came_back_without_the_goal_is_noticed(bench):
    bench.go.clear()
    handle = bench.send()
    wait_until(lambda: bench.goals, "the calibration")
    # As after kill -9: the old server is still believed to be there when the new one comes.
    again = bench.graph.add(EmghandNode("bench_again"))
    server = ActionServer(again, Calibrate, "/bench/calibrate", lambda goal: Calibrate.Result())
    message = bench.result(handle).result.message
    assert message == "r/calibrate: /bench/calibrate: the node that ran it was started again"
    bench.go.set()
    server.destroy()


def test_a_server_that_died_before_it_took_the_goal_is_noticed(bench):
    bench.graph.call(bench.server.destroy)
    # Nobody spins it: the goal arrives and is never answered.
    hung = EmghandNode("hung")
    servers = [ActionServer(hung, Calibrate, "/bench/calibrate", lambda goal: Calibrate.Result())]

    def offered_by():
        found = bench.node.get_publishers_info_by_topic("/bench/calibrate/_action/status")
        return [writer.node_name for writer in found]

    wait_until(lambda: offered_by() == ["hung"], "the server that hangs")
    handle = bench.send()
    wait_until(lambda: "calibrate" in [e.stage.split("/")[-1] for e in bench.events], "the stage")
    again = bench.graph.add(EmghandNode("bench_again"))
    servers.append(
        ActionServer(again, Calibrate, "/bench/calibrate", lambda goal: Calibrate.Result())
    )
    message = bench.result(handle).result.message
    assert message == "r/calibrate: /bench/calibrate: the node that ran it was started again"
    for server in servers:
        server.destroy()
    hung.destroy_node()


def test_an_action_nobody_offers_is_named(bench, monkeypatch):
    monkeypatch.setattr("session_node.ros_goal.ACTION_WAIT_S", 0.3)
    (bench.folder / "p.yaml").write_text(PROTOCOL.replace("/bench/calibrate", "/nobody"))
    message = bench.result(bench.send()).result.message
    assert message == "r/calibrate: /nobody: nobody offers this action"
