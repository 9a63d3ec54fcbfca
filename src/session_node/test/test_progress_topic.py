"""After a run in a study /session/progress says where its subject stands; nothing waits for it."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.action import CollectTrials, RunTask
from emghand_interfaces.msg import Progress
from rclpy.parameter import Parameter
from test_task_run import TASK, Follower

from emghand.activities.settings import SessionSettings
from emghand.progress.database import Store
from emghand.progress.standing import standing
from emghand.progress.study import open_study
from emghand.storage.sessions import Session
from emghand_ros import qos
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph, wait_until
from session_node.node import SessionNode
from session_node.progress import ProgressBoard

pytestmark = pytest.mark.ros
MOVEMENTS = (
    "{name: s, dofs: [wrist_flex, index_flex], rest: 0.1, rise: 0.1, hold: 0.1, fall: 0.1,"
    " movements: [{name: a, targets: {index_flex: 1.0}}]}"
)
COMPUTED_S = 60.0
"""A process that imports pandas, with least priority on a busy machine."""


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "task.yaml").write_text(TASK)
    (tmp_path / "set.yaml").write_text(MOVEMENTS)
    study = tmp_path / "study"
    study.mkdir()
    with Graph() as graph:
        node = graph.add(EmghandNode("bench"))
        Follower(node)
        heard = []
        node.create_subscription(Progress, "/session/progress", heard.append, qos.LATCHED)
        session = graph.add(SessionNode())
        graph.call(session.start)
        clients = {
            "task": graph.action_client(node, RunTask, "/session/run_task"),
            "collect": graph.action_client(node, CollectTrials, "/session/collect_trials"),
        }
        for client in clients.values():
            assert client.wait_for_server(10.0)
        yield SimpleNamespace(
            graph=graph,
            node=node,
            heard=heard,
            session=session,
            clients=clients,
            folder=tmp_path,
            study=study,
        )


def run(bench, what, session, **changes):
    """The result of a run in a session of the study."""
    fields = {"session": str(session), "subject": "s1", "record": False}
    if what == "task":
        goal = RunTask.Goal(**fields | {"task": str(bench.folder / "task.yaml")} | changes)
    else:
        movements = {"movement_set": str(bench.folder / "set.yaml")}
        goal = CollectTrials.Goal(**fields | movements | changes)
    handle = bench.graph.send_goal(bench.clients[what], goal)
    answer = bench.graph.result(handle.get_result_async(), "the result", 30.0)
    assert answer.result.success, answer.result.message
    return answer.result


def test_each_run_in_a_study_is_followed_by_where_its_subject_stands(bench):
    Store.open(bench.study)  # It is one from here on.
    run(bench, "collect", bench.study / "s1" / "day1", repetitions=1)
    wait_until(lambda: bench.heard, "the first progress", COMPUTED_S)
    first = bench.heard[0]
    assert (first.status, first.next_level) == ("fitting", "in_training")
    assert (first.study, first.subject) == (str(bench.study), "s1")
    assert first.session == str(bench.study / "s1" / "day1")

    run(bench, "task", bench.study / "s1" / "day1")
    wait_until(lambda: len(bench.heard) == 2, "the second progress", COMPUTED_S)
    second = bench.heard[1]
    assert (second.status, second.raw_status) == ("in_training", "in_training")
    assert second.next_level == "trained_basic"
    assert any(s.startswith("Scored trials on each date: 3; needs >= 30") for s in second.missing)
    assert list(second.reached) == ["in_training"], "a date is judged by all of its runs"
    assert list(second.reached_on) == [second.date]
    assert list(first.problems) == [] and second.header.stamp.sec > 0
    (problem,) = second.problems
    assert "nothing says what drove the hand" in problem, "nothing was recorded"

    late = []
    bench.graph.call(
        lambda: bench.node.create_subscription(
            Progress, "/session/progress", late.append, qos.LATCHED
        )
    )
    wait_until(lambda: late, "what was said before")
    assert late == [second]
    shown = standing(open_study(bench.study).store.dates("s1"))
    assert list(shown.sentences) == list(second.missing)


def test_a_failure_is_told_in_the_diagnostics_and_is_none_of_the_session(bench):
    (bench.study / "progress").mkdir()
    (bench.study / "progress" / "study.sqlite").write_bytes(b"no database" * 500)
    assert run(bench, "collect", bench.study / "day1", repetitions=1).trials == 1
    wait_until(
        lambda: bench.session.diagnose()[0] == DiagnosticStatus.WARN, "a warning", COMPUTED_S
    )
    assert "damaged" in bench.session.diagnose()[1] and not bench.heard


def test_outside_of_a_study_or_where_it_is_switched_off_nothing_is_computed(bench):
    run(bench, "collect", bench.folder / "alone", repetitions=1)
    Store.open(bench.study)
    bench.graph.call(lambda: bench.session.set_parameters([Parameter("study", value="")]))
    run(bench, "collect", bench.study / "day1", repetitions=1)
    bench.graph.call(
        lambda: bench.session.set_parameters([Parameter("study", value=str(bench.study))])
    )
    run(bench, "collect", bench.study / "day2", repetitions=1)
    wait_until(lambda: bench.heard, "the progress", COMPUTED_S)
    assert [m.session for m in bench.heard] == [str(bench.study / "day2")]
    run(bench, "collect", bench.folder / "alone", repetitions=1)
    wait_until(lambda: bench.session.diagnose()[0] == DiagnosticStatus.WARN, "a warning")
    assert "does not lie in the study" in bench.session.diagnose()[1]


def test_what_begins_while_the_node_ends_is_not_computed(tmp_path):
    session = Session.create(tmp_path / "day1", "s1")
    settings = SessionSettings(study=str(tmp_path))
    board = ProgressBoard(Mock(), lambda: settings)
    board.stop()
    assert board._compute(session.path) is None
    assert not (tmp_path / "progress").exists()
