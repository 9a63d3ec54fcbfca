import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from emghand.errors import UserError
from emghand.progress.curve import PARAMETERS, CurveSettings, counts, fit_curve, success

LEVELS = np.array([0.8, 1.2, 1.6, 2.0, 2.6, 3.2])
TRUTH = np.array([2.0, 0.7, 0.05, 0.1])


def trials(seed, n, truth=TRUTH):
    difficulty = np.repeat(LEVELS, n)
    reached = np.random.default_rng(seed).random(len(difficulty)) < success(truth, difficulty)
    return difficulty, reached


def test_many_trials_give_back_the_curve_they_came_from():
    curve = fit_curve(*trials(1, 20_000))
    found = [getattr(curve, name) for name in PARAMETERS]
    np.testing.assert_allclose(found, TRUTH, atol=0.03)
    np.testing.assert_allclose(curve(LEVELS), success(TRUTH, LEVELS), atol=0.01)


def test_the_band_and_the_interval_of_the_bias_hold_the_truth_as_often_as_they_say():
    curves = [fit_curve(*trials(seed, 20)) for seed in range(25)]
    low, high = np.array([c.intervals["bias"] for c in curves]).T
    assert ((low <= TRUTH[0]) & (TRUTH[0] <= high)).sum() >= 21
    truth = success(TRUTH, curves[0].difficulty)
    held = [((c.band[0] <= truth) & (truth <= c.band[1])).mean() for c in curves]
    assert np.mean(held) > 0.88


@pytest.mark.parametrize("name", PARAMETERS[:2])
def test_an_end_of_an_interval_is_where_the_profile_likelihood_has_fallen(name):
    difficulty, reached = trials(3, 60)
    curve = fit_curve(difficulty, reached)
    levels, n_reached, n_trials = counts(difficulty, reached)
    place = PARAMETERS.index(name)
    bounds = [(0.0, 4.5), (0.1, 6.0), (0.0, 0.5), (0.0, 0.5)]

    def profile(value):
        def cost(rest):
            p = np.clip(success(np.insert(rest, place, value), levels), 1e-9, 1 - 1e-9)
            return -(n_reached * np.log(p) + (n_trials - n_reached) * np.log(1 - p)).sum()

        start = np.delete([curve.bias, curve.threshold, 0.1, 0.1], place)
        return -minimize(cost, start, bounds=np.delete(bounds, place, axis=0)).fun

    for end, is_open in zip(curve.intervals[name], curve.open_ends[name], strict=True):
        assert not is_open
        # The search may stop a little short of the end: here by up to an eighth of the half width.
        assert 1.45 < curve.log_likelihood - profile(end) < 1.93


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(4, 30), st.floats(0.5, 3.5), st.floats(0.1, 2.0))
def test_the_best_curve_lies_in_its_band_and_falls(seed, n, bias, threshold):
    difficulty, reached = trials(seed, n, np.array([bias, threshold, 0.05, 0.05]))
    if reached.all() or not reached.any():
        return
    curve = fit_curve(difficulty, reached)
    p = curve(curve.difficulty)
    assert (curve.band[0] - 1e-12 <= p).all() and (p <= curve.band[1] + 1e-12).all()
    assert (np.diff(p) <= 1e-12).all()
    for name in PARAMETERS:
        low, high = curve.intervals[name]
        assert low <= getattr(curve, name) <= high
    order = np.random.default_rng(seed).permutation(len(reached))
    again = fit_curve(difficulty[order], reached[order])
    assert (again.band == curve.band).all() and again.intervals == curve.intervals


def test_where_the_trials_say_nothing_the_interval_is_open():
    reached = np.ones(60, bool)
    reached[[3, 17]] = False
    curve = fit_curve(np.repeat(LEVELS, 10), reached)
    assert curve.open_ends["bias"][1]


@pytest.mark.parametrize(
    "difficulty, reached, said",
    [
        (np.ones(5), np.ones(5), "5 trials are too few"),
        (np.repeat([1.0, 2.0], 20), np.tile([0, 1], 20), "3 difficulties"),
        (np.repeat(LEVELS, 5), np.ones(30), "came out the same"),
        (np.repeat(LEVELS, 5), np.zeros(30), "came out the same"),
        (np.append(np.repeat(LEVELS, 5), np.nan), np.ones(31), "not a number"),
    ],
)
def test_trials_that_make_no_curve_are_refused_with_the_reason(difficulty, reached, said):
    with pytest.raises(UserError, match=said):
        fit_curve(difficulty, reached)


def test_a_higher_confidence_widens_the_band():
    given_trials = trials(5, 30)
    narrow, wide = (fit_curve(*given_trials, CurveSettings(confidence=c)) for c in (0.8, 0.99))
    assert (np.diff(wide.band, axis=0) >= np.diff(narrow.band, axis=0)).all()
