"""A protocol with a simulated person: unattended, real files, the same bits every time."""

import json
import shutil

import numpy as np
import pytest

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.evaluate.online_bag import read_trials
from emghand.protocol import load_protocol
from emghand.replay.check import check_bag
from emghand.storage.bags import BagReader
from emghand.storage.resume import runs_of
from emghand.storage.sessions import Session
from emghand.virtual.day import run_simulated

MOVEMENTS = """
dofs: [index_flex, wrist_flex]
repetitions: 2
rest: 0.4
rise: 0.3
hold: 0.5
fall: 0.3
movements:
  - {name: flex, targets: {index_flex: 1.0}}
  - {name: extend, targets: {index_flex: -1.0}}
  - {name: bend, targets: {wrist_flex: 1.0}}
  - {name: stretch, targets: {wrist_flex: -1.0}}
"""
TASK = """
kind: fitts
dofs: [index_flex, wrist_flex]
distances: [0.5]
radii: [0.2]
eval_directions: 4
dwell: 0.3
time_limit: 5.0
pause: 0.2
trials: 3
"""
DAY = """
name: short day
stage:
  name: day
  stages:
  - kind: run_action
    name: calibrate
    action: /session/calibrate
    type: emghand_interfaces/action/Calibrate
    goal: {session: "${session}", subject: "${subject}", rest: 1.0, contraction: 1.0}
  - kind: run_action
    name: collect
    action: /session/collect_trials
    type: emghand_interfaces/action/CollectTrials
    goal: {session: "${session}", movement_set: "${folder}/movements.yaml", shuffle: true,
           repetitions: 3, seed: "${draw}", record: true}
  - name: train
    order: parallel
    stages:
    - kind: run_action
      name: decoder
      action: /session/job
      type: emghand_interfaces/action/Job
      goal: {job: train, session: "${session}", options: '{"decoder": "ridge"}'}
      store: {model: uri}
    - {kind: uniform_random_delay, name: break, low: 0.1, high: 0.5}
  - kind: call_service
    name: load
    service: /decoder_node/load_model
    type: emghand_interfaces/srv/LoadModel
    request: {uri: "${model}"}
  - name: familiarise
    order: parallel
    complete_on: any
    stages:
    - kind: run_action
      name: control
      action: /session/control
      type: emghand_interfaces/action/FreeControl
      goal: {session: "${session}", duration: 60.0, ground_truth: glove, record: true}
    - {kind: gate, name: moved, topic: /hand/state, type: sensor_msgs/msg/JointState,
       field: "position[index_flex]", compare: ">", value: 0.2, hold_time: 0.1}
  - kind: run_action
    name: fitts
    action: /session/run_task
    type: emghand_interfaces/action/RunTask
    goal: {session: "${session}", task: "${folder}/task.yaml", seed: "${draw}", record: true,
           label: fitts}
  - kind: run_action
    name: test
    action: /session/run_test
    type: emghand_interfaces/action/RunTest
    goal: {session: "${session}", movement_set: "${folder}/movements.yaml", repetitions: 1,
           record: true}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("day")
    for name, text in (("movements", MOVEMENTS), ("task", TASK), ("day", DAY)):
        (folder / f"{name}.yaml").write_text(text)
    return folder


def run(folder, seed):
    """Run the day; what it left lies at the path that is returned."""
    path, events = folder / "session", []
    result = run_simulated(
        load_protocol(folder / "day.yaml"), path, seed=seed, on_event=events.append
    )
    kept = folder / f"kept_{len(list(folder.iterdir()))}"
    shutil.move(path, kept)
    return result, events, kept


@pytest.fixture(scope="module")
def day(folder):
    return run(folder, 3)


def messages(session, bag):
    with BagReader(session / "bags" / bag) as reader:
        return [(m.topic, m.log_time, bytes(m.data)) for m in reader.messages()]


def test_a_day_completes_unattended_and_writes_a_whole_session(day):
    result, events, path = day
    assert result.status == "complete", result.message
    session = Session.open(path)
    assert session.check() == []
    runs = runs_of(path)
    assert [r.activity for r in runs] == ["collect", "task", "test"]
    assert all(r.complete for r in runs)
    bags = {p.name for p in session.bags()}
    assert bags == {"collect", "control", "fitts", "test"}
    names = {p.name for p in (path / "results").iterdir()}
    assert {
        "calibration.emgcalibration",
        "collect_trials.json",
        "control.json",
        "fitts_trials.json",
        "test_trials.json",
        "protocol_events.csv",
        "train_ridge.json",
    } <= names
    assert (path / "models/ridge.emgmodel").exists()
    table = json.loads((path / "results/fitts_trials.json").read_text())
    assert table["status"] == "complete" and table["recording"]["lost"] == 0
    outcomes = [t["outcome"] for t in table["trials"]]
    assert len(outcomes) == 3 and outcomes.count("completed") >= 2
    # It took as long as it says, in virtual time: what a person would have needed.
    assert 40.0 < events[-1].time < 120.0


def test_measures_follow_from_the_bag_alone(day):
    _, _, path = day
    table = json.loads((path / "results/fitts_trials.json").read_text())
    found = read_trials(path / "bags/fitts")
    assert [t.measures.outcome for t in found] == [t["outcome"] for t in table["trials"]]
    for trial, row in zip(found, table["trials"], strict=True):
        assert trial.measures.longest_hold == pytest.approx(row["longest_hold"], abs=1e-6)


def test_a_bag_is_computed_again_bit_for_bit(day):
    _, _, path = day
    (model,) = (path / "models").glob("*.emgmodel")
    report = check_bag(path / "bags/fitts", model)
    assert report.passed and report.out_x_hat.compared > 100


def test_the_same_seed_gives_the_same_messages_in_the_same_order(day, folder):
    _, events, path = day
    again, same_events, other = run(folder, 3)
    assert again.status == "complete"
    assert same_events == events
    for bag in sorted(p.name for p in Session.open(path).bags()):
        first = messages(path, bag)
        assert len(first) > 500
        assert first == messages(other, bag)
    for name in ("fitts_trials.json", "collect_trials.json", "protocol_events.csv"):
        assert (path / "results" / name).read_bytes() == (other / "results" / name).read_bytes()


def test_another_seed_is_another_person(folder, tmp_path):
    text = DAY[: DAY.index("  - kind: run_action\n    name: collect")]
    (folder / "start.yaml").write_text(text)
    protocol = load_protocol(folder / "start.yaml")
    levels = []
    for seed in (3, 4):
        run_simulated(protocol, tmp_path / str(seed), seed=seed)
        (file,) = (tmp_path / str(seed) / "results").glob("calibration*")
        levels.append(file.read_bytes())
    assert levels[0] != levels[1]


def collect(folder, goal):
    path = folder / "p.yaml"
    path.write_text(
        "stage: {kind: run_action, name: a, action: /session/collect_trials, "
        f"type: emghand_interfaces/action/CollectTrials, goal: {goal}}}"
    )
    return run_simulated(load_protocol(path), folder / "s")


def test_what_is_not_simulated_or_known_is_named(tmp_path):
    text = "stage: {kind: call_service, name: a, service: /hand/grasp, type: std_srvs/srv/Trigger}"
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(UserError, match="service /hand/grasp: is not simulated, only: /decoder"):
        run_simulated(load_protocol(tmp_path / "p.yaml"), tmp_path / "s")
    with pytest.raises(UserError, match="CollectTrials has no field movments, only: session"):
        collect(tmp_path, "{movments: a}")
    result = collect(tmp_path, "{repetitions: some}")
    assert result.status == "failed" and "cannot be written" in result.message
    result = collect(tmp_path, "{movement_set: none.yaml}")
    assert result.status == "failed" and "none.yaml: cannot be read" in result.message


def test_the_command_runs_it(tmp_path, capsys):
    path = tmp_path / "p.yaml"
    path.write_text(
        "stage: {kind: run_action, name: a, action: /session/control, "
        "type: emghand_interfaces/action/FreeControl, goal: {session: '${session}', "
        "subject: '${subject}', duration: 1.0, ground_truth: glove}}"
    )
    words, how = ["protocol", "run", str(path)], ["--simulated", "--json"]
    assert main([*words, *how]) == 1
    assert "give the directory of the session" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "s"), *how, "--subject", "s7"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "complete" and found["events"] > 8
    assert Session.open(tmp_path / "s").subject == "s7"
    assert main([*words, str(tmp_path / "s"), *how, "--resume"]) == 1
    assert "run it anew" in capsys.readouterr().err


def test_a_cancelled_activity_leaves_a_whole_session(day):
    _, events, path = day
    table = json.loads((path / "results/control.json").read_text())
    assert table["status"] == "cancelled" and table["duration"] < 60.0
    assert table["recording"]["lost"] == 0
    assert np.isfinite(table["labels"]) and table["labels"] > 0
    assert any(e.trigger == "gate" for e in events)
