"""The simulated user: late, noisy, correcting, learning; and the loop around them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.control.settings import OutputSettings
from emghand.errors import UserError
from emghand.simulate.acquire import run_trial, target, targets
from emghand.simulate.closed_loop import ClosedLoop
from emghand.simulate.ensemble import UserSweep, run
from emghand.simulate.hand import HandSettings, SimulatedHand
from emghand.simulate.unattended import Subject, scrambled
from emghand.simulate.user import DELAY_S, SimulatedUser, UserSettings
from emghand.sweep.sweep import make_sweep

RATE = 62.5
QUIET = UserSettings(noise=0.0)
GOAL = np.array([0.5, 0.0])


@pytest.fixture(scope="module")
def subject():
    return Subject(3, repetitions=2)


def use(user, seconds, gain=1.0, goal=GOAL):
    """Course of a hand that makes `gain` of an intention after the delay the user is used to."""
    way = [np.zeros(2)] * round(user.settings.loop_s * RATE)
    hands = []
    for _ in range(round(seconds * RATE)):
        hands.append(gain * way.pop(0) if way else np.zeros(2))
        way.append(user.step(goal, hands[-1]))
    return np.array(hands), np.array(way)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 0.5), st.integers(0, 10))
def test_nothing_moves_before_the_delay_has_passed(delay, seed):
    user = SimulatedUser(UserSettings(delay_s=delay, seed=seed), 2, RATE)
    moved = [user.step(GOAL).any() for _ in range(50)]
    assert moved.index(True) == round(delay * RATE)


def test_a_wrong_gain_of_the_hand_is_corrected_without_much_overshoot():
    hands, _ = use(SimulatedUser(QUIET, 2, RATE), 8.0, gain=0.7)
    assert abs(hands[-1, 0] - 0.5) < 0.02
    assert hands[:, 0].max() < 0.55
    blind = dataclasses.replace(QUIET, correction=0.0)
    hands, _ = use(SimulatedUser(blind, 2, RATE), 8.0, gain=0.7)
    assert hands[-1, 0] == pytest.approx(0.35, abs=1e-3)


def test_a_hand_that_does_as_expected_is_not_corrected():
    _, way = use(SimulatedUser(QUIET, 2, RATE), 3.0)
    np.testing.assert_allclose(way[-1], GOAL, atol=1e-3)


@pytest.mark.parametrize("gain", [0.0, -1.0])
def test_a_correction_never_winds_up_beyond_what_muscles_can_do(gain):
    user = SimulatedUser(QUIET, 2, RATE)
    use(user, 20.0, gain)
    assert np.abs(user.known @ GOAL + user._correction).max() <= 1.0 + 0.51
    for _ in range(round(2.0 * RATE)):
        last = user.step(np.zeros(2), np.zeros(2))
    assert np.abs(last).max() < 0.01


def test_noise_grows_with_the_effort_and_falls_with_practice():
    def spread(effort, trials):
        user = SimulatedUser(UserSettings(noise=0.05), 2, RATE)
        user.trials = trials
        course = [user.step(np.array([effort, 0.0])) for _ in range(4000)]
        return np.std(np.array(course)[200:, 0])

    assert spread(0.8, 0) == pytest.approx(2.0 * spread(0.4, 0), rel=0.05)
    assert spread(0.4, 1000) == pytest.approx(0.5 * spread(0.4, 0), rel=0.05)


def test_what_had_to_be_corrected_is_known_the_next_time():
    user = SimulatedUser(dataclasses.replace(QUIET, learning_rate=0.5), 2, RATE)
    first = []
    for _ in range(6):
        hands, _ = use(user, 6.0, gain=0.7)
        user.learn()
        user.relax()
        first.append(abs(hands[round(1.0 * RATE), 0] - 0.5))
    assert user.known[0, 0] == pytest.approx(1 / 0.7, rel=0.1)
    assert first[-1] < 0.5 * first[0]


def test_people_differ_and_their_delays_are_those_of_people():
    people = [UserSettings.drawn(seed) for seed in range(30)]
    delays = [p.delay_s for p in people]
    assert min(delays) >= DELAY_S[0] and max(delays) <= DELAY_S[1] and np.ptp(delays) > 0.05
    assert UserSettings.drawn(4) == UserSettings.drawn(4)


def test_the_hand_is_as_fast_as_its_bridge_lets_it_and_rests_without_commands():
    hand = SimulatedHand(HandSettings(), 1, RATE)
    course = np.array([hand.step(np.ones(1))[0] for _ in range(40)])
    assert np.diff(course).max() <= 6.0 / RATE + 1e-12
    assert course[-1] == pytest.approx(1.0)
    silent = np.array([hand.step(None)[0] for _ in range(100)])
    assert silent[4] > 0.99 and silent[-1] == pytest.approx(0.0, abs=1e-6)
    assert np.abs(np.diff(silent)).max() <= 1.0 / RATE + 1e-9


def test_the_same_seed_gives_the_same_bits(subject):
    def course():
        loop = subject.apart().loop(1)
        goal = np.array([0.0, 0.5, 0.0, 0.0, 0.0, -0.3])
        return np.array([np.r_[t.intention, t.hand] for t in (loop.step(goal) for _ in range(150))])

    first = course()
    assert first.tobytes() == course().tobytes()
    assert np.abs(first).max() > 0.2


def test_the_user_reaches_targets_and_nobody_does_with_a_scrambled_decoder(subject):
    some = targets(subject.person.dofs, np.random.default_rng(0), pairs=4)[:6]
    own = subject.apart()
    found = own.test(own.loop(1), some)
    assert sum(a.completed for a in found) >= 5
    assert own.user.trials == 6 and subject.user.trials == 0
    done = [a for a in found if a.completed]
    assert all(0.2 < a.reach_s <= a.measures.completion_time for a in done)
    assert all(0.1 < a.measures.path_efficiency <= 1.0 for a in done)
    own = subject.apart()
    short = [dataclasses.replace(t, bounds=(4.0,)) for t in some]
    assert sum(a.completed for a in own.test(own.loop(1, scrambled(own.model, 3)), short)) <= 1


def test_a_correcting_user_reaches_what_a_blind_one_misses(subject):
    weak = OutputSettings(gain_positive=(0.7,), gain_negative=(0.7,))
    spec = target(subject.person.dofs, (0.0, 0.5, 0.0, 0.0, 0.0, 0.0), dwell=0.5)
    outcomes = []
    for correction in (2.0, 0.0):
        changed = dataclasses.replace(subject.user.settings, correction=correction)
        user = SimulatedUser(changed, 6, RATE)
        person = dataclasses.replace(subject.person, run=1, variability=0.0)
        outcomes.append(run_trial(ClosedLoop(subject.model, user, person, weak), spec).completed)
    assert outcomes == [True, False]


def test_mistakes_are_told_in_a_sentence(subject):
    with pytest.raises(UserError, match="the user steps at 50 Hz"):
        ClosedLoop(subject.model, SimulatedUser(QUIET, 6, 50.0), subject.person)
    with pytest.raises(UserError, match="different DOFs"):
        ClosedLoop(subject.model, SimulatedUser(QUIET, 2, RATE), subject.person)
    with pytest.raises(UserError, match="condition 'hard': unknown"):
        make_sweep({"kind": "users", "conditions": ["hard"]})
    with pytest.raises(UserError, match="user: unknown"):
        make_sweep({"kind": "users", "user": 3})
    with pytest.raises(UserError, match="users: must be from 1 to"):
        make_sweep({"kind": "users", "users": 0})


def test_an_ensemble_gives_a_row_per_condition_and_kind_of_target():
    document = {"users": 1, "conditions": ["default"], "repetitions": 2, "pairs": 1}
    sweep = UserSweep.from_document(document, None)
    (task,) = sweep.tasks({})
    result = run(task.settings, [])
    assert result["default"]["single"]["trials"] == 12
    assert result["default"]["pair"]["trials"] == 1
    rows = sweep.table({task.key: result}, {})
    assert [(r["condition"], r["targets"]) for r in rows] == [
        ("default", "single"),
        ("default", "pair"),
    ]
    assert rows[0]["completed"] == rows[0]["completed_median"]
    assert sweep.table({}, {task.key: "lost"}) == [{"condition": "seed 1", "error": "lost"}]
