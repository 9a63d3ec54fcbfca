"""Gram–Schmidt selection of features, against the definition spelled out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import load_model, save_model
from emghand.training import TrainSettings, dataset_from_recording, fit, train
from emghand.training.selection import MOST, select_features


def oracle(Z, X, most):
    """Columns are projected and scaled to unit norm again, one by one."""
    Z = Z - Z.mean(axis=0)
    X = X - X.mean(axis=0)
    chosen = []
    while len(chosen) < most:
        Z /= np.linalg.norm(Z, axis=0)
        scores = np.abs(Z.T @ (X / np.linalg.norm(X, axis=0))).max(axis=1)
        scores[chosen] = -1.0
        best = int(np.argmax(scores))
        chosen.append(best)
        q = Z[:, best].copy()
        X = X - np.outer(q, q @ X)
        Z = Z - np.outer(q, q @ Z)
        Z[:, chosen] = np.eye(len(Z))[:, : len(chosen)]
    return chosen


def mixture(seed):
    m, f, d = 400, 30, 3
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((m, f)) @ (np.eye(f) + 0.3 * rng.standard_normal((f, f)))
    X = Z[:, [4, 9, 17]] @ rng.standard_normal((3, d)) + 0.5 * rng.standard_normal((m, d))
    return Z + 5.0, X


@pytest.mark.parametrize("seed", range(5))
def test_the_choice_is_that_of_projecting_one_by_one(seed):
    Z, X = mixture(seed)
    assert select_features(Z, X, 12).columns.tolist() == oracle(Z, X, 12)


def test_gain_and_offset_of_a_feature_do_not_matter():
    Z, X = mixture(1)
    scaled = Z * np.geomspace(1e-6, 1e6, Z.shape[1]) - 3.0
    assert select_features(scaled, X, 8).columns.tolist() == oracle(Z, X, 8)


def test_features_that_follow_from_chosen_ones_are_never_chosen():
    Z, X = mixture(2)
    Z = Z[:, :6]
    Z = np.hstack([Z, Z[:, :3] + Z[:, 3:], np.ones((len(Z), 2)), Z[:, :1]])
    found = select_features(Z, X, MOST).columns
    assert len(found) == 6
    assert np.linalg.matrix_rank(Z[:, found]) == 6


def criterion(Z, X, columns, cost):
    design = np.column_stack([np.ones(len(Z)), Z[:, columns]])
    residual = X - design @ np.linalg.lstsq(design, X)[0]
    rss = (residual**2).sum(axis=0)
    return len(Z) * np.log(rss / len(Z)).sum() + cost * X.shape[1] * len(columns)


@pytest.mark.parametrize(("stop", "cost"), [("aic", 2.0), ("bic", np.log(400))])
def test_the_stop_is_the_first_feature_that_does_not_lower_the_criterion(stop, cost):
    Z, X = mixture(3)
    order = select_features(Z, X, 30).columns
    found = select_features(Z, X, 30, stop).columns
    k = len(found)
    assert 1 <= k < 30
    assert found.tolist() == order[:k].tolist()
    values = [criterion(Z, X, order[:n], cost) for n in range(1, k + 2)]
    assert (np.diff(values[:k]) < 0).all()
    assert values[k] >= values[k - 1]


def test_bic_finds_the_features_that_matter_and_overlapping_windows_make_it_stricter():
    rng = np.random.default_rng(4)
    Z = rng.standard_normal((2000, 40))
    X = Z[:, [3, 20]] @ np.array([[1.0, 0.2], [0.0, 1.0]]) + 0.3 * rng.standard_normal((2000, 2))
    assert sorted(select_features(Z, X, 40, "bic").columns) == [3, 20]
    aic = len(select_features(Z, X, 40, "aic").columns)
    assert len(select_features(Z, X, 40, "aic", window_ticks=20).columns) <= aic


def test_no_dof_that_moves_or_no_feature_that_varies_is_no_crash():
    Z, X = mixture(5)
    assert len(select_features(np.ones_like(Z), X).columns) == 0
    assert len(select_features(Z, np.zeros_like(X), 4).columns) == 4


@pytest.fixture(scope="module")
def dataset(collected):
    return dataset_from_recording(collected, FeatureSettings(montage="both"))


def test_a_model_of_chosen_features_survives_a_file_and_decodes_alike(dataset, tmp_path):
    settings = TrainSettings(decoder="ridge", max_features=10)
    fitted = fit(dataset, settings)
    assert fitted.decoder.n_features_ == 10
    model = train(dataset, settings)
    save_model(model, tmp_path / "m.emgmodel")
    loaded = load_model(tmp_path / "m.emgmodel")
    assert loaded.model_id == model.model_id
    assert loaded.n_features == 78
    np.testing.assert_array_equal(loaded.normaliser.columns, fitted.normaliser.columns)


def test_the_choice_sees_training_rows_only(dataset):
    out = dataset.groups == 1
    Z = np.where(out[:, None], np.random.default_rng(0).random(dataset.Z.shape), dataset.Z)
    spoiled = dataclasses.replace(dataset, Z=Z, X=np.where(out[:, None], 0.5, dataset.X))
    settings = TrainSettings(max_features=8, bad_channels="auto", scale="contraction")
    a, b = (fit(d.rows(~out), settings).normaliser for d in (dataset, spoiled))
    np.testing.assert_array_equal(a.columns, b.columns)
    np.testing.assert_array_equal(a.scale, b.scale)


def test_a_stop_without_a_selection_is_refused():
    with pytest.raises(UserError, match="max_features"):
        TrainSettings(selection_stop="aic")
    with pytest.raises(UserError, match="max_features"):
        TrainSettings(max_features=49)
