"""Prompts of movement sets against values worked out by hand, and the order of trials."""

from __future__ import annotations

import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emghand.dofs import Dof
from emghand.storage.recording import PeriodKind
from emghand.tasks.movements import Movement, MovementSet, Schedule, Timing, load_movement_set

PROMPT, MOVE, HOLD, REST = PeriodKind.PROMPT, PeriodKind.MOVE, PeriodKind.HOLD, PeriodKind.REST
DOFS = (Dof("thumb_flex"), Dof("index_flex"))

# Minimum jerk s^3 (10 - 15 s + 6 s^2): at 1/4 is 53/512, at 1/2 is 1/2, at 3/4 is 459/512.
QUARTER, HALF, THREE = 53 / 512, 0.5, 459 / 512


@pytest.fixture
def pinch():
    """Rest 1, prompt 0.5; the thumb follows the index half a second later and falls slowly."""
    movement = Movement(
        "pinch",
        {"thumb_flex": 1.0, "index_flex": -0.8},
        rise=0.4,
        hold=1.0,
        fall=0.4,
        timing={"thumb_flex": Timing(0.5, 0.8, 0.2, 1.6)},
    )
    return Schedule(MovementSet("set", DOFS, (movement,), 1, prompt=0.5, rest=1.0))


def test_prompts_have_the_values_worked_out_by_hand(pinch):
    # The movement starts at 1.5. Index: rises to 0.4, held to 1.4, at rest from 1.8 on.
    # Thumb: starts at 0.5, up at 1.3, held to 1.5, at rest at 3.1.
    table = [
        (0.0, 0.0, 0.0, REST),
        (1.2, 0.0, 0.0, PROMPT),
        (1.5, 0.0, 0.0, MOVE),
        (1.6, 0.0, -0.8 * QUARTER, MOVE),
        (1.7, 0.0, -0.8 * HALF, MOVE),
        (1.8, 0.0, -0.8 * THREE, MOVE),
        (1.95, 0.0, -0.8, HOLD),
        (2.2, QUARTER, -0.8, MOVE),
        (2.4, HALF, -0.8, MOVE),
        (2.85, 1.0, -0.8, HOLD),
        (2.95, 1.0, -0.8 * (1 - np.polyval([6, -15, 10, 0, 0, 0], 0.125)), MOVE),
        (3.0, 1.0, -0.8 * (1 - QUARTER), MOVE),
        (3.1, 1 - np.polyval([6, -15, 10, 0, 0, 0], 1 / 16), -0.8 * HALF, MOVE),
        (3.4, 1 - QUARTER, 0.0, MOVE),
        (3.8, HALF, 0.0, MOVE),
        (4.2, QUARTER, 0.0, MOVE),
        (4.7, 0.0, 0.0, REST),
        (5.7, 0.0, 0.0, REST),
    ]
    for t, thumb, index, period in table:
        prompt = pinch.at(t)
        assert prompt.period is period, t
        assert prompt.x_d == pytest.approx([thumb, index], abs=1e-9), t
    assert pinch.trials[0].end == pytest.approx(1.5 + 3.1)
    assert pinch.duration == pytest.approx(5.6)


def test_a_dof_that_waits_for_another_rests_and_the_movement_goes_on():
    timing = {"index_flex": Timing(2.0, 0.5, 0.5, 0.5)}
    targets = {"thumb_flex": 1.0, "index_flex": 1.0}
    movement = Movement("in turn", targets, 0.5, 0.5, 0.5, timing)
    assert movement.duration == 3.5
    kinds = [movement.at(t)[1] for t in (0.2, 0.7, 1.2, 1.7, 2.2, 2.7, 3.2)]
    assert kinds == [MOVE, HOLD, MOVE, REST, MOVE, HOLD, MOVE]


def test_without_timing_of_its_own_every_dof_moves_alike():
    movement = Movement("fist", {"thumb_flex": 1.0, "index_flex": 0.5}, 0.4, 1.0, 0.8)
    assert movement.duration == pytest.approx(2.2)
    for t, level, period in [
        (0.1, QUARTER, MOVE),
        (0.3, THREE, MOVE),
        (0.9, 1.0, HOLD),
        (1.6, 1 - QUARTER, MOVE),
        (2.0, 1 - THREE, MOVE),
    ]:
        targets, kind = movement.at(t)
        assert kind is period
        assert targets == pytest.approx({"thumb_flex": level, "index_flex": level / 2})


times = st.floats(0.05, 2.0)


@given(st.lists(st.builds(Timing, times, times, times, times), min_size=2, max_size=2), times)
def test_prompts_are_smooth_and_never_beyond_their_target(timings, start):
    timing = dict(zip(("thumb_flex", "index_flex"), timings, strict=True))
    movement = Movement("m", {"thumb_flex": 1.0, "index_flex": -0.5}, timing=timing)
    step, t, before = 1e-3, start, None
    fastest = 15 / 8 * step / min(min(x.rise, x.fall) for x in timings) + 1e-9
    while t < start + 0.2:
        targets, kind = movement.at(t)
        assert 0 <= targets["thumb_flex"] <= 1 and -0.5 <= targets["index_flex"] <= 0
        if kind is REST:
            assert not any(targets.values())
        if before is not None:
            assert all(abs(targets[n] - before[n]) <= fastest for n in targets)
        before, t = targets, t + step


def orders(order, shuffle, seed, repetitions=3):
    movements = tuple(Movement(name, {"thumb_flex": 1.0}) for name in "abcde")
    made = MovementSet("set", DOFS, movements, repetitions, order=order)
    schedule = Schedule(made, shuffle=shuffle, seed=seed)
    text = "".join(t.movement.name for t in schedule.trials)
    seen = collections.Counter()
    for trial in schedule.trials:
        assert trial.repetition == seen[trial.movement_index]
        seen[trial.movement_index] += 1
    assert set(seen.values()) == {repetitions}
    return schedule.order, text


def test_trials_come_as_listed_or_in_blocks():
    assert orders("listed", False, 1) == ("listed", "abcde" * 3)
    assert orders("blocked", False, 1) == ("blocked", "aaabbbcccdddeee")


def test_shuffling_keeps_repetitions_or_blocks_together():
    name, text = orders("listed", True, 1)
    assert name == "random" and text == orders("random", False, 1)[1]
    assert text != "abcde" * 3
    assert all(sorted(text[i : i + 5]) == list("abcde") for i in (0, 5, 10))
    name, text = orders("blocked", True, 1)
    assert name == "blocked_random" and text != "aaabbbcccdddeee"
    assert text == "".join(letter * 3 for letter in text[::3])


@pytest.mark.parametrize("order", ["random", "blocked"])
def test_the_seed_decides_the_order(order):
    assert orders(order, True, 7) == orders(order, True, 7)
    assert len({orders(order, True, seed) for seed in range(5)}) > 1


def test_the_order_of_a_seed_stays_as_it_was():
    # Recorded when shuffling was first released: old tables name the seed only.
    assert orders("listed", True, 5, 2)[1] == "edbcabecda"


def test_yaml_names_timing_where_it_differs(tmp_path):
    path = tmp_path / "set.yaml"
    path.write_text(
        "dofs: [thumb_flex, index_flex]\n"
        "rise: 0.4\nhold: 1.0\nfall: 0.6\nradius: 0.1\norder: blocked\n"
        "movements:\n"
        "- name: pinch\n"
        "  targets:\n"
        "    index_flex: 0.8\n"
        "    thumb_flex: {amplitude: 1.0, delay: 0.5, hold: 0.2}\n"
    )
    made = load_movement_set(path)
    (pinch,) = made.movements
    assert pinch.timing_of("index_flex") == Timing(0.0, 0.4, 1.0, 0.6)
    assert pinch.timing_of("thumb_flex") == Timing(0.5, 0.4, 0.2, 0.6)
    assert (pinch.radius, made.order) == (0.1, "blocked")
