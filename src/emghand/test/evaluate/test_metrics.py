"""Measures on cases whose values are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import r2_score

from emghand.errors import UserError
from emghand.evaluate.metrics import score

NAMES = ("index_flex", "wrist_flex")


def test_a_perfect_estimate():
    X = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    found = score(X, X, NAMES)
    np.testing.assert_array_equal(found.rmse, 0.0)
    np.testing.assert_allclose(found.r2, 1.0)
    np.testing.assert_allclose(found.correlation, 1.0)


def test_values_worked_out_by_hand():
    X = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    P = np.array([[0.3, 0.0], [0.6, 0.2], [1.0, 0.1], [0.1, 0.5]])
    found = score(X, P, NAMES)
    np.testing.assert_allclose(found.rmse, np.sqrt([(0.09 + 0.16 + 0.01) / 4, 0.3 / 4]))
    np.testing.assert_allclose(found.nrmse, found.rmse)
    np.testing.assert_allclose(found.r2, [1 - 0.26 / 1.0, 1 - 0.3 / 0.75])
    np.testing.assert_allclose(found.intended, [np.sqrt(0.08), 0.5])
    np.testing.assert_allclose(found.unintended, [0.1, np.sqrt(0.05 / 2)])
    assert found.mean_r2 == pytest.approx((0.74 + 0.6) / 2)


def test_r2_and_correlation_agree_with_other_libraries():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (500, 2))
    P = 0.5 * X + rng.normal(0, 0.3, X.shape)
    found = score(X, P, NAMES)
    np.testing.assert_allclose(found.r2, r2_score(X, P, multioutput="raw_values"))
    expected = [np.corrcoef(X[:, i], P[:, i])[0, 1] for i in range(2)]
    np.testing.assert_allclose(found.correlation, expected)


def test_what_is_not_defined_is_none_in_json_and_left_out_of_the_mean():
    X = np.column_stack([np.linspace(-1, 1, 50), np.zeros(50)])
    found = score(X, X + 0.1, NAMES)
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["r2"]["wrist_flex"] is None
    assert plain["intended"]["wrist_flex"] is None
    assert plain["unintended"]["wrist_flex"] == pytest.approx(0.1)
    assert found.mean_r2 == pytest.approx(found.r2[0])


def test_rest_is_where_the_relaxed_hand_is():
    X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, -1.0]])
    P = np.array([[0.1, 0.0], [0.8, 0.1], [0.2, -0.5]])
    rest = np.array([0.25, -0.5])
    here, there = score(X, P, NAMES), score(X + rest, P + rest, NAMES, rest)
    np.testing.assert_allclose(there.intended, here.intended)
    np.testing.assert_allclose(there.unintended, here.unintended)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_an_error_and_takes_no_dof_out_of_the_mean(bad):
    X = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    P = X.copy()
    P[7, 1] = bad
    with pytest.raises(UserError, match="not finite"):
        score(X, P, NAMES)


@pytest.mark.parametrize(
    ("X", "P"), [(np.zeros((3, 2)), np.zeros((4, 2))), (np.zeros((0, 2)), np.zeros((0, 2)))]
)
def test_nothing_to_score_is_an_error(X, P):
    with pytest.raises(UserError, match="scores"):
        score(X, P, NAMES)
