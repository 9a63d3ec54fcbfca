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
