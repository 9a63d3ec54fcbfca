"""From a recording to a model that follows unseen repetitions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.evaluate.crossval import leave_one_repetition_out
from emghand.evaluate.offline import evaluate
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import load_model, save_model
from emghand.storage.recording import PeriodKind
from emghand.training import (
    TrainSettings,
    dataset_from_recording,
    find_lag,
    fit,
    join,
    shifted,
    train,
)

FEATURES = FeatureSettings()


@pytest.fixture(scope="module")
def dataset(collected):
    return dataset_from_recording(collected, FEATURES)


@pytest.fixture(scope="module")
def model(dataset):
    return train(dataset)


def test_labels_are_those_shown_at_the_last_sample_of_each_tick(collected, dataset):
    assert dataset.stamps_ns[0] == 303_000_000, "sample 303 is the last of 19 hops of 16"
    assert (np.diff(dataset.stamps_ns) == 16_000_000).all()
    t = collected.x_d.stamps_ns
    for i, name in enumerate(d.name for d in dataset.dofs):
        column = collected.x_d.values[:, collected.x_d.names.index(name)]
        np.testing.assert_allclose(dataset.X[:, i], np.interp(dataset.stamps_ns, t, column))


def test_ticks_of_a_prompt_are_not_learned_from(dataset):
    assert (dataset.period == PeriodKind.PROMPT).any()
    assert not dataset.use[dataset.period == PeriodKind.PROMPT].any()
    assert dataset.use[dataset.period == PeriodKind.HOLD].all()
    assert set(dataset.movement) == {"", "index", "wrist in", "wrist out"}
    assert set(dataset.repetition) >= {0, 1, 2}


def test_dofs_that_never_extend_are_one_sided(dataset):
    assert dataset.dofs == (Dof("index_flex", 0.0, 1.0), Dof("wrist_flex", -1.0, 1.0))


def test_a_gap_in_the_samples_starts_a_new_segment(collected):
    blocks = collected.blocks[:300] + collected.blocks[400:600]
    cut = dataset_from_recording(dataclasses.replace(collected, blocks=blocks), FEATURES)
    assert len(np.unique(cut.segment)) == 2
    kept = cut.rows(np.arange(len(cut)) % 50 != 20)
    assert len(np.unique(kept.segment)) > 8


@pytest.mark.parametrize("lag_ticks", [-20, 0, 13, 35])
def test_lag_alignment_finds_a_known_delay(dataset, lag_ticks):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(len(dataset) + 14, 2))
    X = np.lib.stride_tricks.sliding_window_view(noise, 15, axis=0).mean(axis=-1)
    dataset = dataclasses.replace(dataset, X=X)
    before = shifted(dataset, lag_ticks / dataset.tick_rate)
    parts = np.hstack([np.maximum(before, 0), np.maximum(-before, 0)])
    Z = parts + 0.02 * rng.normal(size=parts.shape)
    found = find_lag(dataclasses.replace(dataset, Z=Z))
    assert found == pytest.approx(lag_ticks / dataset.tick_rate, abs=1.01 / dataset.tick_rate)


def test_lag_of_features_that_do_not_vary_is_zero(dataset):
    assert find_lag(dataclasses.replace(dataset, Z=np.ones_like(dataset.Z))) == 0.0


@pytest.mark.parametrize("kind", ["kalman", "ridge"])
def test_the_decoder_follows_unseen_repetitions(dataset, unseen, kind):
    model = train(dataset, TrainSettings(decoder=kind))
    found = evaluate(model, [unseen])
    assert found.x_hat_compensated.mean_r2 >= 0.85
    assert found.out_x_hat_compensated.mean_r2 >= 0.85
    assert found.x_hat.mean_r2 < found.x_hat_compensated.mean_r2
    assert 0.2 < model.lag_s < 0.5
    assert not any(found.faults.values())


def test_cross_validation_never_shows_a_fold_its_own_repetition(dataset):
    """Labels of the repetition left out may be anything: the decoder fitted without it is equal."""
    seen = []

    def spy(part):
        seen.append(set(part.groups[part.use]))
        return fit(part, TrainSettings(decoder="ridge"))

    found = leave_one_repetition_out(dataset, spy)
    assert [len(s) for s in seen] == [2, 2, 2]
    assert len(found.folds) == len(found.lags_s) == 3
    assert min(found.folds) > 0.7
    out = dataset.groups == 1
    spoiled = dataclasses.replace(dataset, X=np.where(out[:, None], 0.5, dataset.X))
    a, b = (fit(d.rows(~out), TrainSettings(decoder="ridge")) for d in (dataset, spoiled))
    np.testing.assert_array_equal(a.decoder.coef_, b.decoder.coef_)
    assert a.lag_s == b.lag_s


def test_training_twice_gives_the_same_model(dataset, model):
    assert train(dataset).model_id == model.model_id


def test_the_model_names_its_training_data(collected, unseen, dataset, model):
    assert model.training_hash == collected.digest
    both = join([dataset, dataset_from_recording(unseen, FEATURES)])
    assert both.digests == (collected.digest, unseen.digest)
    assert both.digest not in both.digests
    assert len(np.unique(both.groups)) == 5


def test_a_saved_model_evaluates_the_same(model, unseen, tmp_path):
    save_model(model, tmp_path / "m.emgmodel")
    a, b = (evaluate(m, [unseen]) for m in (model, load_model(tmp_path / "m.emgmodel")))
    np.testing.assert_array_equal(a.out_x_hat.rmse, b.out_x_hat.rmse)


def test_a_rest_baseline_is_the_mean_at_rest(dataset):
    fitted = fit(dataset, TrainSettings(decoder="ridge", baseline="rest"))
    rest = (dataset.period == PeriodKind.REST) & ~dataset.X.any(axis=1) & dataset.use
    np.testing.assert_allclose(fitted.normaliser.mean, dataset.Z[rest].mean(axis=0))


def test_recordings_that_cannot_be_learned_from_are_refused(collected, dataset):
    replace = dataclasses.replace
    with pytest.raises(UserError, match="no x_d"):
        dataset_from_recording(replace(collected, x_d=None), FEATURES)
    with pytest.raises(UserError, match="no tick"):
        dataset_from_recording(replace(collected, blocks=collected.blocks[:3]), FEATURES)
    late = replace(collected.x_d, stamps_ns=collected.x_d.stamps_ns + 10**12)
    with pytest.raises(UserError, match="overlap"):
        dataset_from_recording(replace(collected, x_d=late), FEATURES)
    with pytest.raises(UserError, match="no thumb_flex"):
        dataset_from_recording(collected, FEATURES, [Dof("thumb_flex")])
    with pytest.raises(UserError, match="differ"):
        join([dataset, dataset_from_recording(collected, FeatureSettings(transform="sqrt"))])
    with pytest.raises(UserError, match="2 repetitions"):
        leave_one_repetition_out(dataset.rows(dataset.groups == 0), lambda part: fit(part, None))
