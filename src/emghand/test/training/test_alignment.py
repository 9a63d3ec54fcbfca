"""Lags of single trials, of known size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings
from emghand.training import TrainSettings, dataset_from_recording, fit, shifted
from emghand.training.alignment import align_trials


@pytest.fixture(scope="module")
def dataset(collected):
    return dataset_from_recording(collected, FeatureSettings())


def late_trials(dataset, ticks, noise, global_ticks=0):
    """Features that are a linear map of the labels, each trial late by its own number of ticks."""
    rng = np.random.default_rng(0)
    X = dataset.X.copy()
    for trial, late in enumerate(ticks):
        rows = dataset.trial == trial
        X[rows] = shifted(dataset, (late + global_ticks) / dataset.tick_rate)[rows]
    Z = X @ rng.standard_normal((X.shape[1], 10))
    return dataclasses.replace(dataset, Z=Z + noise * rng.standard_normal(Z.shape))


@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_each_trial_gets_its_own_known_lag(dataset, noise):
    rng = np.random.default_rng(1)
    trials = int(dataset.trial.max()) + 1
    ticks = rng.integers(-9, 10, trials)
    late = late_trials(dataset, ticks, noise)
    found = align_trials(late, late.Z, 0.0)
    error = np.round(found.lags_s * dataset.tick_rate) - ticks
    # A lag of all trials together cannot be told from a linear map of shifted labels.
    assert np.abs(error - np.median(error)).max() <= 1
    assert abs(np.median(error)) <= 2
    assert 2 <= found.iterations <= 10
    for trial, lag in enumerate(found.lags_s):
        rows = dataset.trial == trial
        np.testing.assert_array_equal(found.X[rows], shifted(dataset, lag)[rows])


def test_lags_are_bounded_and_none_is_found_where_there_is_none(dataset):
    trials = int(dataset.trial.max()) + 1
    same = late_trials(dataset, np.zeros(trials, int), 0.05)
    assert not align_trials(same, same.Z, 0.0).lags_s.any()
    late = late_trials(dataset, np.where(np.arange(trials) == 2, 25, 0), 0.05)
    lags = align_trials(late, late.Z, 0.0, 0.2).lags_s
    assert lags[2] == pytest.approx(12 / dataset.tick_rate)
    assert not np.delete(lags, 2).any()


def test_trial_lags_come_on_top_of_the_global_lag(dataset):
    trials = int(dataset.trial.max()) + 1
    ticks = np.where(np.arange(trials) % 3 == 0, 8, 0)
    late = late_trials(dataset, ticks, 0.05, global_ticks=20)
    rate = dataset.tick_rate
    found = align_trials(late, late.Z, 20 / rate)
    np.testing.assert_allclose(found.lags_s * rate, ticks, atol=1e-9)
    fitted = fit(late, TrainSettings(decoder="ridge", trial_lag_s=0.2))
    assert fitted.lag_s == pytest.approx(20 / rate, abs=2.5 / rate)


def test_alignment_of_trials_makes_the_fit_closer(dataset):
    rng = np.random.default_rng(2)
    late = late_trials(dataset, rng.integers(-9, 10, int(dataset.trial.max()) + 1), 0.1)
    errors = []
    for trial_lag_s in (0.0, 0.2):
        settings = TrainSettings(decoder="ridge", trial_lag_s=trial_lag_s)
        fitted = fit(late, settings)
        X = shifted(late, fitted.lag_s)
        if trial_lag_s:
            X = align_trials(late, fitted.normaliser.apply(late.Z), fitted.lag_s).X
        errors.append(((fitted.predict(late) - X)[late.use] ** 2).mean())
    assert errors[1] < 0.5 * errors[0]


def test_a_recording_that_was_not_prompted_has_no_trials(dataset):
    free = dataclasses.replace(
        dataset, trial=np.full_like(dataset.trial, -1), repetition=np.full_like(dataset.trial, -1)
    )
    assert len(align_trials(free, free.Z, 0.1).lags_s) == 0
    plain, asked = (
        fit(free, TrainSettings(decoder="ridge", trial_lag_s=lag)).decoder.coef_
        for lag in (0.0, 0.2)
    )
    np.testing.assert_array_equal(plain, asked)


def test_first_repetitions_are_discarded_from_training_only(dataset):
    settings = TrainSettings(decoder="ridge", discard_first=True)
    first = dataset.repetition == 0
    spoiled = dataclasses.replace(
        dataset, X=np.where(first[:, None] & (dataset.trial >= 0)[:, None], 0.3, dataset.X)
    )
    a = fit(dataset, dataclasses.replace(settings, max_lag_s=0.0))
    b = fit(spoiled, dataclasses.replace(settings, max_lag_s=0.0))
    np.testing.assert_array_equal(a.decoder.coef_, b.decoder.coef_)
    with pytest.raises(UserError, match="first repetition"):
        fit(dataset.rows(first), settings)
