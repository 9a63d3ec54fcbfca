"""Beginnings matched with true ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from emghand.evaluate.onsets import movements_of_course, score_onsets


def test_each_true_one_is_matched_once_with_the_nearest():
    scores = score_onsets([1.1, 1.2, 5.0, 9.0], [1.0, 3.0, 5.1], tolerance_s=0.3)
    assert (scores.hits, scores.false, scores.missed) == (2, 2, 1)
    np.testing.assert_allclose(scores.errors_s, [0.1, -0.1])
    assert scores.f1 == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert scores.precision == 0.5
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.error_s == pytest.approx(0.1)


def test_a_spare_one_counts_neither_way():
    assert score_onsets([2.0], [], [2.1]).false == 0
    assert score_onsets([], [], [2.1]).missed == 0


def test_nothing_at_all_has_no_scores():
    assert math.isnan(score_onsets([], []).f1)
    assert math.isnan(score_onsets([], []).error_s)


def test_scores_of_several_recordings_are_counted_together():
    whole = score_onsets([1.0], [1.1]).plus(score_onsets([], [1.0]))
    assert (whole.hits, whole.missed) == (1, 1)
    assert whole.recall == 0.5


def test_movements_of_a_course_are_where_it_changes():
    x = np.zeros((100, 2))
    x[21:, 0] = np.minimum(np.arange(79) * 0.1, 0.5)
    x[60:, 1] = -0.4
    found = movements_of_course(x, 10.0)
    assert [(m.start_s, m.end_s) for m in found] == [(2.1, 2.6), (5.9, 6.0)]
    assert [m.displacement for m in found] == [0.5, 0.4]
    assert [m.from_rest for m in found] == [True, False]
