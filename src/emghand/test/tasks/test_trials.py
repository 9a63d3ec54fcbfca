import itertools
import random

import numpy as np
import pytest

from emghand.errors import UserError
from emghand.tasks.delayed import STEPS
from emghand.tasks.loader import task_from_mapping
from emghand.tasks.spec import TrialSpec
from emghand.tasks.trial import Acquisition, TrialRun, play

RATE = 50.0
REST, GOAL = np.zeros(2), np.array([0.6, 0.0])


def spec(kind="simple_reach", **changes):
    fields = {
        "task": "t",
        "kind": kind,
        "trial": 0,
        "seed": 1,
        "dofs": ("a", "b"),
        "start": (0.0, 0.0),
        "goal": (0.6, 0.0),
        "active": (True, True),
        "radius": 0.1,
        "dwell": 0.2,
        "epochs": ("movement",),
        "bounds": (2.0,),
    }
    return TrialSpec(**(fields | changes))


def delayed(**changes):
    epochs = ("fixation", "cue", "delay", "movement")
    return spec("delayed_reach", epochs=epochs, bounds=(0.1, 0.3, 0.6, 2.0), **changes)


def run(trial, positions):
    progress = [trial.step(x) for x in positions if not trial.outcome]
    return progress


def test_a_trial_is_completed_when_the_target_was_kept_for_the_dwell():
    trial = TrialRun(spec(), RATE)
    progress = run(trial, [REST] * 5 + [GOAL] * 50)
    assert progress[-1].outcome == "completed" and progress[-1].done
    # Entered at tick 5, and 0.2 s are 10 periods.
    assert len(progress) == 5 + 11 and trial.entered == pytest.approx(0.1)
    assert [p.distance for p in progress[:6]] == pytest.approx([0.6] * 5 + [0.0])


def test_the_edge_of_the_target_belongs_to_it():
    for distance, reached in ((0.1, True), (0.10001, False)):
        trial = TrialRun(spec(), RATE)
        run(trial, [GOAL + np.array([0.0, distance])] * 200)
        assert (trial.outcome == "completed") is reached


def test_leaving_the_target_starts_the_dwell_anew():
    trial = TrialRun(spec(), RATE)
    run(trial, [REST] + [GOAL] * 9 + [REST] + [GOAL] * 50)
    assert trial.entered == pytest.approx(11 / RATE) and len(trial.times) == 22


def test_a_trial_ends_at_its_time_limit():
    trial = TrialRun(spec(), RATE)
    progress = run(trial, [REST] * 500)
    assert progress[-1].outcome == "timeout" and progress[-1].elapsed == pytest.approx(2.0)
    with pytest.raises(ValueError, match="done"):
        trial.step(REST)


def test_a_delayed_reach_shows_its_target_in_the_cue_only():
    progress = run(TrialRun(delayed(), RATE), [REST] * 40)
    epochs = [p.epoch for p in progress]
    assert epochs == ["fixation"] * 5 + ["cue"] * 10 + ["delay"] * 15 + ["movement"] * 10
    assert [p.target_on for p in progress] == [e == "cue" for e in epochs]
    assert [p.hold for p in progress] == [e != "movement" for e in epochs]
    assert [p.goal for p in progress] == [
        (0.6, 0.0) if e == "movement" else (0.0, 0.0) for e in epochs
    ]


def test_moving_early_is_counted_by_excursion_and_is_a_violation():
    early = [REST] * 10 + [GOAL] * 3 + [REST] * 4 + [GOAL] * 100
    trial = TrialRun(delayed(), RATE)
    progress = run(trial, early)
    assert trial.violations == 2 and progress[-1].outcome == "violation"
    # The stay counts from the go on, however early the hand was there.
    assert trial.entered == pytest.approx(0.6)


def test_a_tremor_within_the_radius_is_no_violation():
    trial = TrialRun(delayed(), RATE)
    run(trial, [REST + np.array([0.099, 0.0])] * 30 + [GOAL] * 50)
    assert trial.violations == 0 and trial.outcome == "completed"


def test_a_hold_runs_to_its_end_and_leaving_is_a_violation():
    keep = spec("hold", start=(0.6, 0.0), dwell=0.0, epochs=("hold",))
    trial = TrialRun(keep, RATE)
    progress = run(trial, [GOAL] * 500)
    assert trial.outcome == "completed" and progress[-1].elapsed == pytest.approx(2.0)
    trial = TrialRun(keep, RATE)
    run(trial, [GOAL] * 10 + [REST] * 5 + [GOAL] * 500)
    assert (trial.outcome, trial.violations) == ("violation", 1)


def test_every_dof_must_be_within_its_tolerance_in_tac():
    both = np.array([0.69, 0.09])  # 0.127 away in all, each less than 0.1
    assert spec("tac").inside(both) and not spec().inside(both)
    assert not spec("tac").inside(np.array([0.6, 0.11]))


def test_going_further_is_no_mistake_in_a_motion_test():
    motion = spec("motion", active=(True, False))
    assert motion.inside(np.array([1.0, -0.8])) and not motion.inside(np.array([0.4, 0.0]))
    assert motion.distance(np.array([0.2, 0.0])) == pytest.approx(0.4)


def test_the_start_is_acquired_first_and_the_trial_begins_then():
    trial = TrialRun(spec(), RATE, Acquisition(limit=1.0, hold=0.1))
    progress = run(trial, [GOAL] * 10 + [REST] * 10)
    assert [p.started for p in progress].index(True) == 10 + 5
    assert [p.epoch for p in progress[:15]] == ["acquire"] * 15
    assert not progress[3].target_on and progress[3].goal == (0.0, 0.0)
    assert trial.times == pytest.approx([0.0, 0.02, 0.04, 0.06, 0.08])


def test_a_start_that_is_not_acquired_cancels_the_trial():
    trial = TrialRun(spec(), RATE, Acquisition(limit=1.0, hold=0.1))
    progress = run(trial, [GOAL] * 200)
    assert trial.outcome == "cancelled" and len(progress) == 51 and trial.times == []


def test_positions_that_make_no_sense_are_refused():
    trial = TrialRun(spec(), RATE)
    trial.step(REST, 1000)
    for x, stamp in ((np.zeros(3), 2000), (np.array([np.nan, 0.0]), 2000), (REST, 1000)):
        with pytest.raises(ValueError):
            trial.step(x, stamp)


@pytest.mark.parametrize(
    "changes",
    [
        {"goal": (0.1,)},
        {"radius": 0.0},
        {"bounds": (2.0, 1.0), "epochs": ("a", "b")},
        {"active": (False, False)},
        {"start": (float("nan"), 0.0)},
        {"kind": "other"},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(changes):
    with pytest.raises(UserError):
        spec(**changes)


def steps_task(seed=0):
    return task_from_mapping(
        {
            "kind": "delayed_reach",
            "epoch_ranges": list(STEPS),
            "step_rate": 60.0,
            "time_limit": 100 / 60,
            "dwell": 0.05,
            "seed_validation": seed,
        }
    )


def test_epochs_in_steps_are_those_of_an_independent_enumeration():
    task = steps_task()
    allowed = set(itertools.product(range(5, 15), range(10, 20), range(10, 25)))
    seen = set()
    for index in range(1500):
        trial = task.trial(index, 3)
        ends = [round(b * 60) for b in trial.bounds]
        assert np.allclose(np.array(ends) / 60, trial.bounds, atol=1e-6)
        lengths = tuple(np.diff([0, *ends[:3]]).tolist())
        assert lengths in allowed and ends[3] == 100
        seen.add(lengths)
        if index % 100:
            continue
        # Label by label, as a loop over steps would write them.
        labels = []
        for name, n in zip(("fixation", "cue", "delay"), lengths, strict=True):
            labels += [name] * n
        labels += ["movement"] * (100 - len(labels))
        machine = TrialRun(trial, 60.0)
        found = [machine.step(np.array(trial.start)) for _ in range(100)]
        assert [p.epoch for p in found] == labels
        assert machine.violations == 0
    for place, (low, high) in enumerate(((5, 15), (10, 20), (10, 25))):
        assert {lengths[place] for lengths in seen} == set(range(low, high))


def test_epochs_in_seconds_stay_in_their_ranges():
    task = task_from_mapping({"kind": "delayed_reach", "time_limit": 6.0})
    rng = random.Random(1)
    lengths = np.array([np.diff([0.0, *task.timing(rng).bounds]) for _ in range(2000)])
    low, high = np.array([[0.25, 0.5, 0.5], [0.75, 1.0, 1.25]])
    assert (lengths[:, :3] >= low - 1e-9).all() and (lengths[:, :3] < high + 1e-6).all()
    assert np.allclose(lengths[:, :3].mean(axis=0), (low + high) / 2, atol=0.02)
    assert np.allclose(lengths.sum(axis=1), 6.0)


@pytest.mark.parametrize(
    "kind", ["simple_reach", "delayed_reach", "hold", "fitts", "tac", "motion"]
)
@pytest.mark.parametrize("follows", [True, False])
def test_whoever_goes_where_the_task_says_completes_it_and_nobody_else_does(kind, follows):
    task = task_from_mapping({"kind": kind, "time_limit": 6.0, "acquire": 2.0})
    for asked in task.validation():
        x = np.full(len(asked.dofs), -0.05)

        def hand(progress, x=x):
            if progress is not None and follows:
                x += np.clip(np.array(progress.goal) - x, -0.05, 0.05)
            return x

        done = play(TrialRun(asked, RATE, task.acquisition), hand)
        if follows:
            assert done.outcome == "completed"
        else:
            assert done.outcome != "completed" or kind == "hold"
