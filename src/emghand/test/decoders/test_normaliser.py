"""Normalisation with statistics of the training part."""

from __future__ import annotations

import numpy as np
import pytest

from emghand.decoders.normaliser import Normaliser
from emghand.errors import UserError


def data():
    return np.random.default_rng(0).normal(5.0, [1.0, 1e-6, 100.0], size=(500, 3))


def test_z_scores_have_mean_zero_and_spread_one():
    Z = data()
    applied = Normaliser.fit(Z).apply(Z)
    np.testing.assert_allclose(applied.mean(axis=0), 0.0, atol=1e-8)
    np.testing.assert_allclose(applied.std(axis=0), 1.0, rtol=1e-8)


def test_rest_baseline_is_zero_at_rest():
    Z, rest = data(), np.arange(500) < 100
    applied = Normaliser.fit(Z, rest, "rest").apply(Z)
    np.testing.assert_allclose(applied[rest].mean(axis=0), 0.0, atol=1e-8)
    np.testing.assert_allclose(applied.std(axis=0), 1.0, rtol=1e-8)


def test_a_feature_that_was_constant_in_training_says_nothing_later():
    Z = data()
    Z[:, 1] = 0.1
    np.testing.assert_array_equal(Normaliser.fit(Z).apply(np.array([5.0, 1e6, 5.0]))[1], 0.0)


def test_one_row_gives_the_bits_of_many():
    Z = data()
    normaliser = Normaliser.fit(Z)
    np.testing.assert_array_equal(normaliser.apply(Z), [normaliser.apply(z) for z in Z])


def test_a_rest_baseline_needs_rest():
    with pytest.raises(UserError, match="no rest"):
        Normaliser.fit(data(), np.zeros(500, dtype=bool), "rest")
    with pytest.raises(UserError, match="unknown"):
        Normaliser.fit(data(), baseline="median")


def test_chosen_columns_are_given_in_their_order_with_the_statistics_of_all():
    Z = data()
    full = Normaliser.fit(Z)
    chosen = full.choose([2, 0])
    np.testing.assert_array_equal(chosen.apply(Z), full.apply(Z)[:, [2, 0]])
    np.testing.assert_array_equal(chosen.apply(Z[0]), chosen.apply(Z)[0])
    assert (chosen.n_features, chosen.n_outputs) == (3, 2)
    again = Normaliser.from_arrays(chosen.to_arrays())
    np.testing.assert_array_equal(again.apply(Z), chosen.apply(Z))


@pytest.mark.parametrize("columns", [[3.0], [-1.0], [0.5], [0.0, 0.0], [], [np.nan], [[0.0]]])
def test_columns_that_are_no_places_of_features_are_refused(columns):
    arrays = {"mean": np.zeros(3), "scale": np.ones(3), "columns": np.array(columns)}
    with pytest.raises(UserError, match="columns"):
        Normaliser.from_arrays(arrays)


def test_contraction_scale_makes_the_strongest_contraction_one():
    """Rest at 2, movement uniform up to 6: the 95th percentile of the distance is 0.95 · 4."""
    Z = np.concatenate([np.full((100, 1), 2.0), 2.0 + 4.0 * np.linspace(0, 1, 1001)[:, None]])
    moving = np.arange(len(Z)) >= 100
    found = Normaliser.fit(Z, ~moving, "rest", "contraction", moving)
    assert found.mean == pytest.approx(2.0)
    assert found.apply(np.array([2.0 + 0.95 * 4.0])) == pytest.approx(1.0)


def test_contraction_scale_needs_movement():
    with pytest.raises(UserError, match="no movement"):
        Normaliser.fit(data(), scale="contraction", moving=np.zeros(500, dtype=bool))
    with pytest.raises(UserError, match="unknown"):
        Normaliser.fit(data(), scale="range")
