"""Ports and the virtual board, in virtual time."""

import itertools

import pytest

from emghand.errors import UserError
from emghand.ports import Port, VirtualBoard, VirtualSettings
from emghand.settings import SettingsError

SECOND = 1_000_000_000


def test_an_input_follows_the_output_it_is_wired_to_and_both_changes_are_told_once():
    settings = VirtualSettings(wires=("motor>photobeam", "dac>adc"))
    board = VirtualBoard(settings, 0)
    readings = board.set({"motor": 1.0}, 5)
    assert [(r.port, r.time_ns, r.values) for r in readings] == [
        ("out", 5, (1.0,)),
        ("in", 5, (1.0,)),
    ]
    assert board.set({"motor": 1.0}, 6) == []
    assert [r.port for r in board.set({"dac": 2.5}, 7)] == ["analog", "adc"]
    assert board.state("adc", 8).values == (2.5,)


def test_random_inputs_change_at_the_same_times_for_the_same_seed_however_time_advances():
    settings = VirtualSettings(random=("photobeam",), seed=7)
    at_once, in_steps = VirtualBoard(settings, 0), VirtualBoard(settings, 0)
    whole = at_once.advance(600 * SECOND)
    parts = [r for t in range(0, 601, 3) for r in in_steps.advance(t * SECOND)]
    assert whole == parts
    assert len(whole) > 20
    values = [r.values[0] for r in whole]
    assert all(a != b for a, b in itertools.pairwise(values))
    times = [r.time_ns for r in whole]
    assert min(b - a for a, b in itertools.pairwise(times)) >= SECOND


@pytest.mark.parametrize(
    ("port", "channels", "values", "says"),
    [
        (Port("in", "digital", ("a",), False), ["a"], [1], "is an input"),
        (Port("out", "digital", ("a",), True), ["b"], [1], "no channel 'b', but: a"),
        (Port("out", "digital", ("a",), True), ["a"], [0.5], "neither 0 nor 1"),
        (Port("out", "digital", ("a",), True), ["a", "a"], [1, 0], "twice"),
        (Port("out", "digital", ("a",), True), [], [], "0 channels"),
        (Port("dac", "analog", ("a",), True, 5.0), ["a"], [5.1], "not between 0 and 5 V"),
        (Port("dac", "analog", ("a",), True, 5.0), ["a"], [float("nan")], "not between"),
    ],
)
def test_what_cannot_be_set_is_refused_with_the_reason(port, channels, values, says):
    with pytest.raises(UserError, match=says):
        port.check(channels, values)


@pytest.mark.parametrize(
    "wrong",
    [
        {"wires": ("motor>adc",)},
        {"digital_in": ("motor",)},
        {"random": ("motor",)},
        {"shortest_s": 3.0, "longest_s": 2.0},
    ],
)
def test_a_board_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(SettingsError):
        VirtualSettings(**wrong)
