"""An interrupted run goes on with its first trial that is not done."""

from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from session_maker import RunMaker, add_run

from emghand.cli.main import main
from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.storage.bags import BagWriter
from emghand.storage.resume import runs_of, write_plan
from emghand.storage.session_repair import repair_session
from emghand.storage.sessions import Session
from emghand.tasks.movements import Movement, MovementSet, Schedule


@pytest.fixture
def session(tmp_path):
    return Session.create(tmp_path / "s01", "p07")


def test_the_table_tells_after_a_cancel(session, capsys):
    add_run(session, n_trials=4, done=3)
    (run,) = runs_of(session.path)
    assert (run.activity, run.first, run.n_trials, run.complete) == ("collect", 3, 4, False)
    assert main(["session", "resume", str(session.path)]) == 0
    assert "3 of 4 trials are done; the next one is --first 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change", [{"n_trials": "many"}, {"n_trials": None}, {"trials": [{"trial": "x"}]}]
)
def test_the_bag_tells_when_somebody_has_damaged_the_plan_or_the_table(session, change):
    add_run(session, n_trials=4, done=3)
    for path in (session.path / "results").glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    (run,) = runs_of(session.path)
    assert (run.activity, run.first) == ("collect", 3)


def test_the_bag_tells_after_a_crash_before_and_after_its_repair(session):
    bag = add_run(session, n_trials=9, done=5, table=False)
    file = next(bag.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:-1500])
    (bag / "metadata.yaml").unlink()
    (before,) = runs_of(session.path)
    assert before.n_trials == 9 and 0 < before.first <= 5
    repair_session(session.path)
    (after,) = runs_of(session.path)
    assert (after.first, after.done) == (before.first, before.done)


def test_a_run_that_was_resumed_is_counted_over_all_of_its_bags(session, capsys):
    add_run(session, n_trials=4, done=2, table=False)
    assert runs_of(session.path)[0].first == 2
    bag = session.new_bag_path("collect")
    with BagWriter(bag) as writer:
        maker = RunMaker(writer)
        maker.trial(2)
        maker.trial(3, outcome="cancelled")
    plan = json.loads((session.path / "results/collect_plan.json").read_text())
    plan["bag"] = "bags/collect_2"
    session.keep("results", "collect_2_plan.json", json.dumps(plan).encode())
    (run,) = runs_of(session.path)
    assert run.bags == ["bags/collect", "bags/collect_2"]
    assert (run.done, run.first) == ({0, 1, 2}, 3)
    add_run(session, n_trials=4, done=4, seed=7)
    assert [r.complete for r in runs_of(session.path)] == [False, True]
    assert main(["session", "resume", str(session.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["next"]["first"] == 3
    assert found["next"]["goal"]["seed"] == 0
    assert len(found["runs"]) == 2


def test_a_task_without_a_plan_is_counted_from_its_bag(session):
    with BagWriter(session.new_bag_path("task")) as writer:
        maker = RunMaker(writer)
        maker.state(2)
        maker.trial(0)
        maker.trial(1)
    (run,) = runs_of(session.path, "task")
    assert (run.first, run.goal, run.bags) == (2, {}, ["bags/task"])
    assert runs_of(session.path, "collect") == []


def test_killed_before_the_first_byte_it_begins_at_its_begin(session):
    bag = add_run(session, table=False)
    for file in bag.iterdir():
        file.unlink()
    assert runs_of(session.path)[0].first == 0
    bag.rmdir()
    assert runs_of(session.path)[0].first == 0


def test_states_of_what_was_done_before_make_no_run_of_a_recording(session):
    # The recorder gets the last states of /session/state, which is latched.
    bag = session.new_bag_path("control")
    with BagWriter(bag) as writer:
        maker = RunMaker(writer)
        maker.state(1, trial=8, n_trials=9)
        maker.state(0, activity="", n_trials=0)
        maker.state(0, activity="control", n_trials=0)
        maker.state(0, activity="", n_trials=0)
    session.add_file(bag.absolute())
    assert runs_of(session.path) == []


@pytest.mark.parametrize("before", ["collect", "test"])
def test_a_bag_alone_tells_the_number_of_its_own_trials(session, before):
    bag = session.new_bag_path("collect")
    with BagWriter(bag) as writer:
        maker = RunMaker(writer)
        maker.state(1, trial=8, n_trials=9, activity=before)
        if before == "collect":
            maker.state(0, activity="", n_trials=0)
        maker.state(1, n_trials=3)
        maker.trial(0)
        maker.state(1, trial=1, n_trials=3)
        maker.state(0, activity="", n_trials=0)
        maker.state(0, activity="", n_trials=0)  # of a node that was started again
    (run,) = runs_of(session.path)
    assert (run.activity, run.n_trials, run.done) == ("collect", 3, {0})


def test_nothing_to_resume_is_said(session, capsys):
    add_run(session, n_trials=2, done=2)
    assert main(["session", "resume", str(session.path)]) == 1
    assert "1 run is complete" in capsys.readouterr().out
    assert main(["session", "resume", str(session.path), "--run"]) == 1
    assert "complete" in capsys.readouterr().err


def test_a_session_without_runs_has_nothing_to_resume(session, capsys):
    assert main(["session", "resume", str(session.path)]) == 1
    assert "no collection, test or task" in capsys.readouterr().out
    assert main(["session", "resume", str(session.path), "--run"]) == 1
    assert "no collection, test or task" in capsys.readouterr().err


@pytest.mark.parametrize("bag", ["", "/data/s1/bags/collect"])
def test_a_run_that_was_cancelled_says_how_to_go_on(monkeypatch, capsys, bag):
    class Graph(contextlib.AbstractContextManager):
        interrupted = True

        def __exit__(self, *_):
            return None

        def collect(self, show, **goal):
            message = "cancelled after 2 of 9 trials"
            return SimpleNamespace(
                success=False, message=message, report="", bag=bag, session="/data/s1"
            )

    monkeypatch.setattr("emghand.client.GraphClient", Graph)
    assert main(["collect", "/data/s1", "short.yaml"]) == 130
    said = capsys.readouterr().err
    assert "error: cancelled after 2 of 9 trials" in said
    assert ("go on with: emghand session resume /data/s1 --run" in said) == bool(bag)


def test_run_starts_what_is_left_with_the_same_goal(session, monkeypatch):
    started = []

    def run_activity(args, activity):
        started.append((activity, vars(args)))
        return 0

    monkeypatch.setattr("emghand.cli.activity.run_activity", run_activity)
    add_run(session, n_trials=4, done=3, seed=8)
    assert main(["session", "resume", str(session.path), "--run"]) == 0
    ((activity, fields),) = started
    assert (activity, fields["first"], fields["seed"]) == ("collect", 3, 8)
    assert fields["movements"] == str(session.path / "movements/short.yaml")


def test_a_schedule_from_its_middle_keeps_numbers_and_order():
    movements = tuple(Movement(n, {"a": 1.0}) for n in ("one", "two", "three"))
    movement_set = MovementSet("m", (Dof("a"),), movements, repetitions=3)
    whole = Schedule(movement_set, shuffle=True, seed=4)
    for first in range(9):
        rest = Schedule(movement_set, shuffle=True, seed=4, first=first)
        assert rest.n_trials == 9
        key = [(t.index, t.movement_index, t.repetition) for t in whole.trials[first:]]
        assert [(t.index, t.movement_index, t.repetition) for t in rest.trials] == key
        assert rest.trials[0].start == whole.trials[0].start
        np.testing.assert_array_equal(rest.at(2.0).x_d, whole.at(2.0).x_d)
    with pytest.raises(UserError, match="no trial 9"):
        Schedule(movement_set, first=9)


def test_trials_that_no_bag_holds_are_not_done(session):
    """The recorder was lost after three trials; the run went on until it noticed."""
    bag = add_run(session, n_trials=8, done=3, table=False)
    table = {
        "activity": "collect",
        "status": "failed",
        "bag": "bags/collect",
        "recording": None,
        "n_trials": 8,
        "trials": [{"trial": number} for number in range(5)],
    }
    session.keep("results", "collect_trials.json", json.dumps(table).encode())
    assert runs_of(session.path)[0].done == {0, 1, 2}
    for file in bag.iterdir():
        file.unlink()
    repair_session(session.path)  # Nothing is left of the bag.
    assert runs_of(session.path)[0].done == set()


def test_a_trial_whose_start_was_not_taken_up_is_not_shown_again(session):
    with BagWriter(session.new_bag_path("task")) as writer:
        maker = RunMaker(writer)
        maker.state(5)
        for number, outcome in enumerate(("completed", "cancelled", "timed_out", "cancelled")):
            maker.trial(number, outcome)
    # The last one is what was interrupted.
    assert runs_of(session.path)[0].done == {0, 1, 2}


def test_free_control_is_nothing_to_resume(session):
    add_run(session, n_trials=4, done=2)
    with BagWriter(session.new_bag_path("control")) as writer:
        RunMaker(writer).state(0, activity="control", n_trials=0)
    assert [r.activity for r in runs_of(session.path)] == ["collect"]


def test_run_starts_a_task_as_it_was_begun(session, monkeypatch):
    started = []
    monkeypatch.setattr("emghand.cli.commands.task.run", lambda args: started.append(args) or 0)
    goal = {"task": "settings/reach.yaml", "trials": 6, "validation": False, "seed": 4}
    goal |= {"perturbations": ["pull"], "label": "reach"}
    write_plan(session, "task", "bags/reach", 6, goal)
    with BagWriter(session.new_bag_path("reach")) as writer:
        RunMaker(writer).trial(0)
    assert main(["session", "resume", str(session.path), "--run"]) == 0
    (args,) = started
    assert args.file == str(session.path / "settings/reach.yaml")
    assert (args.first, args.seed, args.trials, args.perturb) == (1, 4, 6, ["pull"])
    assert args.session == str(session.path) and args.label == "reach"


def test_a_run_without_a_plan_is_not_started(session, capsys):
    with BagWriter(session.new_bag_path("task")) as writer:
        RunMaker(writer).trial(0)
    assert main(["session", "resume", str(session.path), "--run"]) == 1
    assert "left no plan" in capsys.readouterr().err
