"""How the client follows a goal: Ctrl-C while much is written, and servers that come and go."""

import threading

import pytest
from emghand_interfaces.action import Calibrate
from rclpy.action import ActionServer, CancelResponse

from emghand.client import GraphClient
from emghand.client import goal as goals
from emghand.errors import UserError
from emghand.protocol.world import Need
from emghand_ros.background import run_in_thread
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph, wait_until
from session_node import ros_goal, ros_world

pytestmark = pytest.mark.ros
NAME = "/bench/calibrate"


class Worker:
    """A node that works until it may end, and takes its time to end when it was cancelled."""

    def __init__(self, graph, name="bench"):
        self.node = graph.add(EmghandNode(name))
        self.cancelled, self.may_end, self.begun = (threading.Event() for _ in range(3))
        self.server = ActionServer(
            self.node,
            Calibrate,
            NAME,
            self._execute,
            cancel_callback=lambda goal: self.cancelled.set() or CancelResponse.ACCEPT,
        )

    async def _execute(self, goal):
        self.begun.set()
        goal.publish_feedback(Calibrate.Feedback(period="rest"))
        await run_in_thread(self.node, lambda: self.may_end.wait(30.0))
        if goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.succeed()
        return Calibrate.Result(message="cancelled after 3 of 9", uri="rest.json")


@pytest.fixture
def graph():
    with Graph() as made:
        yield made


@pytest.fixture
def worker(graph):
    made = Worker(graph)
    yield made
    made.may_end.set()
    made.server.destroy()


def press(feedback):
    raise KeyboardInterrupt


def test_ctrl_c_waits_as_long_as_the_end_takes_and_says_for_what(worker, monkeypatch):
    monkeypatch.setattr(goals, "NOTICE_S", 0.1)
    monkeypatch.setattr(goals, "NOTICE_EVERY_S", 0.5)
    said = []

    def notice(text):
        said.append(text)
        if len(said) == 4:  # longer than four times the time-out
            worker.may_end.set()

    def press_when_it_works(feedback):
        client.timeout = 0.3
        press(feedback)

    with GraphClient(on_notice=notice) as client:
        result = client.act(Calibrate, NAME, {"session": "s"}, press_when_it_works)
        assert client.interrupted
    assert worker.cancelled.is_set() and result.message == "cancelled after 3 of 9"
    assert len(said) == 4 and all("what was recorded is being written" in text for text in said)


def test_a_second_ctrl_c_leaves_at_once_and_says_how_to_look_after_it(worker, monkeypatch):
    monkeypatch.setattr(goals, "NOTICE_S", 0.1)
    said = []

    def notice(text):
        said.append(text)
        if len(said) == 1:
            raise KeyboardInterrupt

    with GraphClient(on_notice=notice) as client, pytest.raises(KeyboardInterrupt):
        client.act(Calibrate, NAME, {"session": "sessions/s01"}, press)
    assert worker.cancelled.is_set()
    assert "is still being ended" in said[-1] and "emghand status sessions/s01" in said[-1]


def appear_late(monkeypatch, owner):
    """Let the second look find one server more, as when it was discovered late."""
    present, looks = owner._present, []

    def found(self):
        looks.append(None)
        return present(self) | ({(1,)} if len(looks) > 1 else set())

    monkeypatch.setattr(owner, "_present", found)
    return looks


def end_after(worker, looks):
    wait_until(lambda: len(looks) > 15, "looks")
    worker.may_end.set()


def test_a_server_that_was_discovered_late_is_not_taken_for_one_that_was_started_again(
    worker, monkeypatch
):
    monkeypatch.setattr(goals, "ASK_S", 0.1)
    looks = appear_late(monkeypatch, goals.Goal)
    with GraphClient() as client:
        thread = threading.Thread(target=end_after, args=(worker, looks))
        thread.start()
        assert client.act(Calibrate, NAME, {}).uri == "rest.json"
        thread.join()


def test_a_protocol_does_not_take_one_for_the_other_either(graph, worker, monkeypatch):
    monkeypatch.setattr(ros_goal, "LOOK_S", 0.1)
    looks = appear_late(monkeypatch, ros_goal.ActionGoal)
    world = ros_world.RosWorld(graph.add(EmghandNode("asks")))
    kind = "emghand_interfaces/action/Calibrate"
    world.prepare([Need("action", NAME, kind)])
    answers = []
    world.act(NAME, kind, {}, answers.append)

    def let_it_end():
        if len(looks) > ros_goal.ASKS + 3:
            worker.may_end.set()
        else:
            world.schedule(0.05, let_it_end)

    let_it_end()
    world.run(lambda: bool(answers))
    graph.call(world.close)
    assert [a.values["uri"] for a in answers] == ["rest.json"]


def test_a_server_that_came_back_without_the_goal_is_noticed_by_the_client(graph, worker):
    def restart(feedback):
        graph.call(lambda: others.append(Worker(graph, "again")))

    others = []
    restarted = pytest.raises(UserError, match="the node that ran it was started again")
    with GraphClient() as client, restarted:
        client.act(Calibrate, NAME, {}, restart)
    assert not others[0].begun.is_set()
    others[0].server.destroy()
