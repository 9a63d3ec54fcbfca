"""Recorded estimates as commands: nothing jumps, nothing is made up, nothing is repeated."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emghand.errors import UserError
from emghand.replay.course import APPROACH_SPEED, GAP_S, approach, course
from emghand.storage.recording import Series

RATE = 60.0
postures = st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3).map(np.array)


def series(values, stamps=None, names=("a", "b")):
    values = np.asarray(values, float)
    n = len(values)
    stamps = np.arange(n) * 16_000_000 + 10**18 if stamps is None else np.asarray(stamps)
    return Series(names, stamps.astype(np.int64), values)


@settings(deadline=None)
@given(postures, postures, st.floats(0.0, 3.0))
@example(np.zeros(3), np.array([0.0, 0.0, 0.041015625]), 0.0)
def test_an_approach_begins_and_ends_where_it_should_and_is_never_too_fast(start, goal, seconds):
    way = approach(("a", "b", "c"), start, goal, seconds, RATE)
    np.testing.assert_allclose(way.x[[0, -1]], [start, goal], atol=1e-12)
    speed = np.abs(np.diff(way.x, axis=0)) / np.diff(way.times)[:, None]
    assert speed.max() <= APPROACH_SPEED * (1 + 1e-9)
    assert way.duration >= seconds - 1e-9


def test_in_real_time_every_estimate_is_a_command_to_the_bit():
    values = np.random.default_rng(1).uniform(-1, 1, (50, 2))
    made = course(series(values), None, 1.0, RATE)
    assert made.x.tobytes() == values.tobytes()
    np.testing.assert_allclose(np.diff(made.times), 0.016)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([0.1, 0.5, 2.0, 7.0]), st.integers(0, 2**32 - 1))
def test_at_another_speed_commands_keep_the_rate_and_the_range(rate, seed):
    values = np.random.default_rng(seed).uniform(-1, 1, (80, 2))
    made = course(series(values), None, rate, RATE)
    np.testing.assert_allclose(np.diff(made.times), 1 / RATE, atol=1e-6)
    assert made.duration == pytest.approx(79 * 0.016 / rate, abs=1.5 / RATE)
    assert made.x.min() >= values.min() and made.x.max() <= values.max()


@pytest.mark.parametrize("rate", [0.5, 1.0, 3.0])
def test_nothing_is_sent_where_nothing_was_decoded(rate):
    stamps = np.concatenate([np.arange(30), np.arange(30) + 120]) * 16_000_000
    made = course(series(np.ones((60, 2)), stamps), None, rate, RATE)
    gaps = np.diff(made.times) * rate
    assert (gaps > GAP_S).sum() == 1
    assert gaps.max() == pytest.approx(91 * 0.016, abs=2 * rate / RATE)


def test_labels_go_with_the_commands_and_are_absent_where_unknown():
    estimates = series(np.zeros((10, 2)))
    x_d = Series(("c",), estimates.stamps_ns[2:8], np.arange(6.0)[:, None])
    made = course(estimates, x_d, 1.0, RATE)
    assert made.x_d_dofs == ("c",)
    assert np.isnan(made.x_d[[0, 1, 8, 9]]).all()
    np.testing.assert_allclose(made.x_d[2:8, 0], np.arange(6.0))


@pytest.mark.parametrize(
    ("estimates", "text"),
    [
        (series([[0.0, np.nan], [0.0, 0.0]]), "not finite"),
        (series(np.zeros((3, 2)), [3, 2, 1]), "do not increase"),
    ],
)
def test_estimates_that_no_hand_should_get_are_refused(estimates, text):
    with pytest.raises(UserError, match=text):
        course(estimates, None, 1.0, RATE)


def test_estimates_that_are_all_far_apart_cannot_be_played_faster():
    with pytest.raises(UserError, match="too far apart"):
        course(series(np.zeros((3, 2)), np.arange(3) * 10**9), None, 2.0, RATE)
