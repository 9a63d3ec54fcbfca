"""Every capability that works on stored data, through the action interface."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from emghand_interfaces.action import Calibrate, CollectTrials, Job
from emghand_interfaces.msg import SessionState, SessionStatus
from emghand_interfaces.srv import GetStatus
from simulated_sessions import ACTIONS, make_session, simulated, write_bag

from emghand.actions import load_action_map
from emghand.storage.datasets import read_any
from emghand.storage.encoders import load_encoder
from emghand.storage.models import load_model
from emghand.storage.sessions import Session
from emghand.training.calibration import load_calibration
from emghand_ros import qos
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph, wait_until
from session_node.node import SessionNode

pytestmark = pytest.mark.ros
RESULT_S = 60.0


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    folder = tmp_path_factory.mktemp("room")
    session = make_session(folder / "s01")
    with Graph() as graph:
        node = graph.add(EmghandNode("bench"))
        statuses = []
        node.create_subscription(SessionStatus, "/session/status", statuses.append, qos.LATCHED)
        runner = graph.add(SessionNode())
        graph.call(runner.start)
        kinds = {"job": Job, "calibrate": Calibrate, "collect_trials": CollectTrials}
        clients = {n: graph.action_client(node, k, f"/session/{n}") for n, k in kinds.items()}
        for client in clients.values():
            assert client.wait_for_server(10.0)
        asks = node.create_client(GetStatus, "/session/get_status")
        assert asks.wait_for_service(10.0)
        yield SimpleNamespace(
            graph=graph, session=session, clients=clients, statuses=statuses, asks=asks, node=node
        )


def send(room, goal, name="job", feedback=None):
    return room.graph.send_goal(room.clients[name], goal, feedback)


def result(room, handle):
    return room.graph.result(handle.get_result_async(), "the result", RESULT_S)


def do(room, job, sources=(), feedback=None, **options):
    goal = Job.Goal(
        job=job,
        session=str(room.session.path),
        sources=[str(s) for s in sources],
        options=json.dumps(options),
    )
    answer = result(room, send(room, goal, feedback=feedback))
    assert answer.result.success, answer.result.message
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert Session.open(room.session.path).check() == []
    return answer.result


def status(room, session=""):
    request = GetStatus.Request(session=session)
    return room.graph.result(room.asks.call_async(request), "the status", 20.0)


@pytest.fixture(scope="module")
def trained(room):
    feedback = []
    done = do(room, "train", feedback=feedback.append, decoder="ridge", fit={"delays": [6]})
    return SimpleNamespace(uri=done.uri, result=json.loads(done.result), feedback=feedback)


def test_training_writes_a_model_and_tells_how_far_it_is(trained):
    model = load_model(trained.uri)
    assert model.model_id == trained.result["model_id"]
    assert model.decoder.kind == "ridge"
    stages = [m.feedback.stage for m in trained.feedback]
    assert "fitting to all repetitions" in stages
    fractions = [m.feedback.fraction for m in trained.feedback]
    assert fractions == sorted(fractions) and fractions[-1] <= 1.0


def test_features_are_computed_anew_with_other_settings(room):
    done = do(room, "refilter", set={"window_hops": 10, "features": ["mav", "wl"]})
    (table,) = json.loads(done.result)["tables"]
    assert table["n_features"] == 16
    with np.load(done.uri) as arrays:
        assert json.loads(str(arrays["settings"]))["window_hops"] == 10


def test_cross_validation_holds_out_what_is_asked(room):
    done = do(room, "cross_validate", scheme="last", decoder=["ridge"])
    (found,) = json.loads(done.result)["results"]
    assert done.uri.endswith("results/crossval.json")
    assert "last" in json.dumps(found)


def test_a_model_is_evaluated_on_unseen_data(room, trained):
    unseen = write_bag(room.session.new_bag_path("test"), simulated(run=1, repetitions=1))
    room.session.add_file(unseen)
    done = do(room, "evaluate", model=trained.uri)
    assert json.loads(done.result)["bags"] == [str(unseen)]


def test_movements_are_detected(room, trained):
    bag = room.session.path / "bags" / "collect"
    done = do(room, "detect_movements", [bag], model=trained.uri)
    (found,) = json.loads(done.result)["recordings"]
    assert found["prompted"] == 18, "ways there and back"


def test_actions_are_selected(room):
    done = do(room, "select_actions", choose=2, jobs=1, dofs=["index_flex", "wrist_flex"])
    chosen = [drive.action for drive in load_action_map(done.uri).drives]
    assert len(chosen) == 2 and set(chosen) <= set(ACTIONS)


def test_emg_and_estimates_are_simulated(room, trained, tmp_path):
    (tmp_path / "set.yaml").write_text(
        "{name: s, dofs: [flex_index], rest: 0.3, rise: 0.2, hold: 0.3, fall: 0.2,"
        " movements: [{name: a, targets: {flex_index: 1.0}}]}"
    )
    done = do(
        room,
        "simulate",
        [tmp_path / "set.yaml"],
        model=trained.uri,
        repetitions=2,
        set={"n_channels": 8, "dofs": list(ACTIONS)},
    )
    recording = read_any(done.uri)
    assert recording.x_hat is not None and recording.out_x_hat is not None
    assert len({p.trial for p in recording.periods if p.movement}) == 2


def test_an_autoencoder_is_learned_alone_and_a_decoder_behind_it(room):
    done = do(room, "autoencoder", size=3)
    encoder = load_encoder(done.uri)
    assert encoder.encoder.size == 3 and 0.0 < encoder.error < 0.6
    refused = result(
        room,
        send(
            room,
            Job.Goal(
                job="train",
                session=str(room.session.path),
                options=json.dumps({"encoder_from": done.uri}),
            ),
        ),
    )
    assert refused.status == GoalStatus.STATUS_ABORTED
    assert "no score would be honest" in refused.result.message


def test_a_calibration_of_stored_data_serves_the_training(room):
    goal = Calibrate.Goal(
        session=str(room.session.path),
        recording=str(room.session.path / "bags" / "collect"),
        rest=1.0,
        contraction=1.0,
    )
    answer = result(room, send(room, goal, "calibrate"))
    assert answer.result.success, answer.result.message
    calibration = load_calibration(answer.result.uri)
    assert json.loads(answer.result.values)["rest_ticks"] == calibration.rest_ticks > 30
    done = do(room, "train", decoder="ridge", calibration=answer.result.uri)
    model = load_model(done.uri)
    np.testing.assert_array_equal(model.normaliser.mean, calibration.rest)
    np.testing.assert_allclose(model.normaliser.scale * calibration.contraction, 1.0)


def test_a_cancelled_job_leaves_nothing(room):
    heard = []
    options = {"decoder": ["mlp", "tcn"]}
    goal = Job.Goal(
        job="cross_validate", session=str(room.session.path), options=json.dumps(options)
    )
    before = sorted(p for p in room.session.path.rglob("*"))
    handle = send(room, goal, feedback=heard.append)
    wait_until(lambda: heard, "the first step", 20.0)
    room.graph.result(handle.cancel_goal_async(), "the answer to the cancellation")
    answer = result(room, handle)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.message == "cancelled; nothing was written"
    assert sorted(p for p in room.session.path.rglob("*")) == before


def test_a_job_runs_beside_prompts_but_not_beside_a_job(room, tmp_path):
    (tmp_path / "set.yaml").write_text(
        "{name: s, dofs: [index_flex], rest: 0.1, rise: 0.1, hold: 0.1, fall: 0.1,"
        " movements: [{name: a, targets: {index_flex: 1.0}}]}"
    )
    states, heard = [], []
    listening = room.node.create_subscription(
        SessionState, "/session/state", states.append, qos.STATE
    )
    goal = Job.Goal(
        job="cross_validate",
        session=str(room.session.path),
        options='{"decoder": ["mlp", "tcn"]}',
    )
    job = send(room, goal, feedback=heard.append)
    second = result(room, send(room, goal))
    assert second.result.message == "busy with: job; one job at a time"
    prompts = CollectTrials.Goal(
        session=str(tmp_path / "s02"),
        subject="p2",
        movement_set=str(tmp_path / "set.yaml"),
        repetitions=2,
    )
    collected = result(room, send(room, prompts, "collect_trials"))
    assert collected.result.success and collected.result.trials == 2
    room.graph.result(job.cancel_goal_async(), "the answer to the cancellation")
    assert result(room, job).status == GoalStatus.STATUS_CANCELED
    assert len(states) > 5
    room.node.destroy_subscription(listening)


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        ({"job": "dance"}, "unknown, choose from"),
        ({"job": "train", "options": "[]"}, "must be a JSON mapping"),
        ({"job": "train", "options": "{"}, "are no JSON"),
        ({"job": "train", "session": "/nowhere"}, "is no session"),
    ],
)
def test_a_job_that_cannot_be_done_is_aborted_with_the_reason(room, goal, text):
    answer = result(room, send(room, Job.Goal(**goal)))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert text in answer.result.message


def test_the_status_says_what_is_there_and_what_went_stale_and_why(room, tmp_path):
    session = make_session(tmp_path / "s03")
    path = str(session.path)
    fresh = status(room, path).status
    assert (fresh.data, fresh.decoder, fresh.subject) == ("ready", "none", "p01")
    assert list(fresh.why) == ["no decoder is trained"]
    goal = Job.Goal(job="train", session=path, options='{"decoder": "ridge"}')
    assert result(room, send(room, goal)).result.success
    wait_until(
        lambda: room.statuses[-1].session == path and room.statuses[-1].decoder == "ready",
        "the status of the open session",
    )
    assert list(room.statuses[-1].why) == []
    # A date says nothing.
    bag = session.path / "bags" / "collect"
    for file in bag.iterdir():
        file.touch()
    assert status(room).status.decoder == "ready"
    more = write_bag(session.new_bag_path("collect"), simulated(run=4, repetitions=1))
    session.add_file(more)
    stale = status(room).status
    assert (stale.data, stale.decoder) == ("ready", "stale")
    assert list(stale.why) == ["ridge.emgmodel: has not learned from bags/collect_2"]
    with next(more.glob("*.mcap")).open("ab") as file:
        file.write(b"x")
    assert "bags/collect_2: has changed since it was recorded" in status(room).status.why
    assert status(room).status.data == "stale"
    assert "is no session" in status(room, "/nowhere").message
