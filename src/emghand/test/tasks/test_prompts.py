import time

import numpy as np
import pytest

from emghand.activities.prompter import Prompter
from emghand.activities.scoring import TrialErrors
from emghand.dofs import Dof
from emghand.storage.recording import PeriodKind
from emghand.tasks.movements import Movement, MovementSet, Schedule

DOFS = (Dof("index_flex"), Dof("wrist_flex"))


@pytest.fixture
def schedule():
    movements = (
        Movement("point", {"index_flex": 1.0}, rise=0.1, hold=0.1, fall=0.1),
        Movement("bend", {"wrist_flex": -0.5}, rise=0.1, hold=0.1, fall=0.1),
    )
    return Schedule(MovementSet("short", DOFS, movements, repetitions=1, rest=0.05))


def run(schedule, show, stopping=lambda: False):
    """Prompts in real time; the prompter, and whether all were shown."""

    def pause(seconds):
        if seconds and not stopping():
            yield seconds
        return stopping()

    prompter = Prompter(schedule, 100.0, show, time.monotonic_ns, pause)
    course = prompter.run()
    while True:
        try:
            time.sleep(next(course))
        except StopIteration as end:
            return prompter, end.value


def test_prompts_come_at_absolute_deadlines_whatever_the_work_takes(schedule):
    shown, met = [], []

    def show(prompt):
        shown.append(prompt)
        met.append(time.monotonic_ns() - prompt.steady_ns)
        time.sleep(0.004)

    prompter, completed = run(schedule, show)
    assert completed
    due = np.array([s.steady_ns for s in shown])
    assert len(shown) == int(schedule.duration * 100) + 1 - prompter.left_out
    assert (np.diff(due) % 10_000_000 == 0).all()
    assert min(met) >= 0
    assert {s.prompt.period for s in shown} == {PeriodKind.REST, PeriodKind.MOVE, PeriodKind.HOLD}


def test_prompts_whose_time_has_passed_are_left_out(schedule):
    shown = []

    def show(prompt):
        if len(shown) == 3:
            time.sleep(0.105)
        shown.append(prompt.elapsed)

    prompter, _ = run(schedule, show)
    assert prompter.left_out >= 9
    assert shown[4] - shown[3] >= 0.095


def test_stopping_ends_the_prompts_at_once(schedule):
    shown = []
    _, completed = run(schedule, shown.append, lambda: bool(shown))
    assert not completed
    assert len(shown) == 1


def test_the_error_of_a_trial_counts_its_movement_only(schedule):
    start = 10**15
    errors = TrialErrors(schedule, start)
    trial = schedule.trials[0]
    for t in np.arange(0.0, schedule.duration, 0.01):
        x_d = schedule.at(t).x_d
        inside = trial.move <= t < trial.end
        values = [x_d[0] + (0.5 if inside else 100.0), 7.0, x_d[1]]
        errors.add(start + round(t * 1e9), ["index_flex", "tail", "wrist_flex"], values)
    assert errors.rmse(trial) == pytest.approx([0.5, 0.0], abs=1e-9)


def test_the_error_is_unknown_for_what_is_not_decoded(schedule):
    errors = TrialErrors(schedule, 0)
    first, second = schedule.trials
    errors.add(round(first.move * 1e9) + 1000, ["wrist_flex"], [0.0])
    rmse = errors.rmse(first)
    assert np.isnan(rmse[0]) and rmse[1] == 0.0
    assert errors.rmse(second).size == 0
