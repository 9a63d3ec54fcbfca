"""What a session_node does about recordings that another one has left behind, and real kills."""

import contextlib
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import live_kills
import pytest
from emghand_interfaces.action import CollectTrials
from emghand_interfaces.srv import StartRecording
from rclpy.parameter import Parameter

from bag_tools.recorder import BagRecorder
from emghand.cli.main import main
from emghand.storage.bags.repair import is_playable
from emghand.storage.resume import runs_of
from emghand.storage.session_repair import repair_session
from emghand.storage.sessions import Session
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph, process, wait_until
from session_node.node import SessionNode

pytestmark = pytest.mark.ros

LOOP = Path(live_kills.__file__)
SET = """
name: short
dofs: [index_flex]
rest: 0.05
rise: 0.05
hold: 0.05
fall: 0.05
movements:
  - {name: point, targets: {index_flex: 1.0}}
"""


@pytest.fixture
def bench(tmp_path):
    """A recorder that records, and no session_node yet."""
    with Graph() as graph:
        node = graph.add(EmghandNode("bench"))
        recorder = graph.add(
            BagRecorder(parameter_overrides=[Parameter("diagnostics_period", value=0.2)])
        )
        graph.call(recorder.start)
        client = node.create_client(StartRecording, "/bag_recorder/start")
        wait_until(client.service_is_ready, "the recorder")

        def record(path):
            request = StartRecording.Request(uri=str(path))
            assert graph.result(client.call_async(request), "the start").success

        session = Session.create(tmp_path / "s01", "p07")
        yield SimpleNamespace(
            graph=graph, node=node, recorder=recorder, record=record, session=session
        )


def add_session_node(graph):
    node = graph.add(SessionNode(parameter_overrides=[Parameter("lead", value=0.2)]))
    graph.call(node.start)
    return node


def collect(bench, folder):
    (folder / "set.yaml").write_text(SET)
    client = bench.graph.action_client(bench.node, CollectTrials, "/session/collect_trials")
    assert client.wait_for_server(10.0)
    goal = CollectTrials.Goal(
        session=str(bench.session.path),
        movement_set=str(folder / "set.yaml"),
        repetitions=2,
        record=True,
    )
    handle = bench.graph.send_goal(client, goal)
    return bench.graph.result(handle.get_result_async(), "the result", 20.0).result


def test_a_recording_that_was_left_behind_is_ended_and_entered(bench):
    bag = bench.session.new_bag_path("collect")
    bench.record(bag)
    add_session_node(bench.graph)
    listed = "bags/collect/metadata.yaml"
    wait_until(
        lambda: listed in Session.open(bench.session.path).manifest["files"], "the entry", 15.0
    )
    assert is_playable(bag) and bench.recorder._recording is None
    assert Session.open(bench.session.path).check() == []


def test_a_run_that_comes_at_once_begins_when_what_was_left_behind_has_ended(bench, tmp_path):
    bench.record(bench.session.new_bag_path("collect"))
    add_session_node(bench.graph)
    result = collect(bench, tmp_path)
    assert result.success, result.message
    assert result.bag.endswith("bags/collect_2")
    assert [is_playable(b) for b in bench.session.bags()] == [True, True]


def test_what_somebody_records_elsewhere_is_left_alone(bench, tmp_path):
    bench.record(tmp_path / "mine")
    add_session_node(bench.graph)
    result = collect(bench, tmp_path)
    assert not result.success
    assert f"already recording {tmp_path / 'mine'}" in result.message
    assert bench.recorder._recording is not None


PROTOCOL = """
name: short day
stage:
  name: day
  stages:
  - kind: run_action
    name: first
    action: /session/collect_trials
    type: emghand_interfaces/action/CollectTrials
    goal: &goal
      {session: "${session}", subject: "${subject}", movement_set: "${folder}/set.yaml",
       repetitions: 2, seed: "${draw}", record: true}
  - {kind: run_action, name: second, action: /session/collect_trials,
     type: emghand_interfaces/action/CollectTrials, goal: {<<: *goal, repetitions: 8}}
  - {kind: delay, name: rest, seconds: 0.1}
"""


@contextlib.contextmanager
def protocol_node():
    with process([sys.executable, "-m", "session_node.protocol_node"]):
        yield


def test_a_protocol_whose_node_was_killed_goes_on_where_it_was(bench, tmp_path, capsys):
    """And what the node had asked for does not keep it from doing so."""
    add_session_node(bench.graph)
    (tmp_path / "set.yaml").write_text(SET)
    (tmp_path / "day.yaml").write_text(PROTOCOL)
    session = bench.session.path
    run = ["protocol", "run", str(tmp_path / "day.yaml"), str(session)]
    codes = []
    with protocol_node():
        client = threading.Thread(target=lambda: codes.append(main(run)))
        client.start()
        second = session / "bags/collect_2"
        wait_until(second.exists, "the second collection", 20.0)
    with protocol_node():
        client.join(20.0)
        assert codes == [1] and "started again" in capsys.readouterr().err
        assert main([*run, "--resume"]) == 0
    # Its first activity was not repeated, and its second was, in full.
    tables = [json.loads(p.read_text()) for p in sorted(session.glob("results/*_trials.json"))]
    found = {t["bag"]: (t["status"], len(t["trials"])) for t in tables}
    assert found["bags/collect"] == ("complete", 2)
    assert found["bags/collect_2"][0] == "cancelled" and found["bags/collect_2"][1] < 8
    assert found["bags/collect_3"] == ("complete", 8)
    opened, findings = repair_session(session)
    assert all(f.what == "was not listed" for f in findings), findings
    assert opened.check() == []
    logs = sorted(session.glob("results/protocol_events*.csv"))
    assert len(logs) == 2
    assert runs_of(session)[-1].complete


def test_kills_of_the_live_nodes_lose_nothing(tmp_path):
    """More of them, with other seeds: benchmark/session_kills.py --live."""
    # A seed that kills session_node, then bag_recorder while it writes a result, and cancels.
    options = ["--kills", "3", "--seed", "46", "--trials", "6"]
    command = [sys.executable, str(LOOP), str(tmp_path), *options]
    with process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as loop:
        out, errors = loop.communicate(timeout=110)
    assert loop.returncode == 0, errors + (tmp_path / "log.txt").read_text()
    found = json.loads(out)
    reached = found["reached"]
    assert found["kills"] == 3 and reached["sessions"] >= 1
    assert reached["session_node"] == reached["result"] == reached["cancel"] == 1


def test_a_bench_that_fails_half_way_leaves_no_process(tmp_path, monkeypatch):
    def broken(**_):
        raise RuntimeError("no graph")

    sleeping = {name: ["-c", "import time; time.sleep(60)"] for name in live_kills.COMMANDS}
    monkeypatch.setattr(live_kills, "COMMANDS", sleeping)
    monkeypatch.setattr(live_kills, "Graph", broken)
    bench = live_kills.Bench(tmp_path, 1, 6, subprocess.DEVNULL)
    with pytest.raises(RuntimeError, match="no graph"), bench:
        pass
    assert len(bench.processes) == len(sleeping)
    assert all(one.poll() is not None for one in bench.processes.values())
