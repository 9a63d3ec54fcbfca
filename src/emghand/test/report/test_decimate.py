"""Long traces keep their extremes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emghand.report.decimate import decimated, line


@given(st.integers(1, 3000), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_smallest_and_largest_of_every_span_are_kept(n, bins, seed):
    rng = np.random.default_rng(seed)
    t, y = np.cumsum(rng.random(n) + 1e-3), rng.normal(size=n)
    few_t, few_y = decimated(t, y, bins)
    assert len(few_t) <= max(2 * bins, 1)
    assert (np.diff(few_t) > 0).all()
    assert np.isin(few_t, t).all()
    np.testing.assert_array_equal(few_y, y[np.searchsorted(t, few_t)])
    edges = np.linspace(t[0], t[-1], bins + 1)[:-1]
    which, few_which = (np.searchsorted(edges, x, side="right") for x in (t, few_t))
    for b in np.unique(which):
        assert y[which == b].min() == few_y[few_which == b].min()
        assert y[which == b].max() == few_y[few_which == b].max()


def test_one_sample_peak_in_an_hour_is_drawn():
    t = np.arange(225_000) * 0.016
    y = np.zeros(len(t))
    y[123_457] = 1.0
    few_t, few_y = line(t, y, 1400)
    assert few_y.max() == 1.0
    assert few_t[np.argmax(few_y)] == t[123_457]


def test_line_is_interrupted_by_gaps_and_by_values_that_are_not_finite():
    t = np.concatenate([np.arange(10) * 0.1, 5.0 + np.arange(10) * 0.1])
    y = np.arange(20.0)
    few_t, few_y = line(t, y, 100)
    assert np.isnan(few_y).sum() == 1
    assert few_t[np.isnan(few_y)] == 0.9
    y[:10] = np.nan
    few_t, few_y = line(t, y, 100)
    assert few_t.min() == 5.0


def test_level_stretch_needs_only_its_ends():
    t = np.arange(100.0) * 0.1
    y = np.where((t > 3) & (t < 6), 1.0, 0.0)
    few_t, few_y = line(t, y, 1000)
    assert len(few_t) == 6
    np.testing.assert_array_equal(np.interp(t, few_t, few_y), y)


def test_nothing_gives_nothing():
    t, y = line(np.empty(0), np.empty(0), 10)
    assert len(t) == len(y) == 0
