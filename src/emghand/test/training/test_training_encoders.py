"""An encoder between normaliser and decoder, from the fit to the live path."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from network_plans import random_decoder, random_encoder

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.evaluate.offline import evaluate
from emghand.pipeline import DecoderPipeline, Pipeline
from emghand.settings import SettingsError
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import load_model, save_model
from emghand.storage.sessions import Session
from emghand.training import (
    TrainSettings,
    dataset_from_recording,
    fit,
    train,
    unlabelled_features,
)

RIDGE = TrainSettings("ridge", encoder="linear", encoder_size=4)


@pytest.fixture(scope="module")
def dataset(collected):
    return dataset_from_recording(collected, FeatureSettings())


@pytest.fixture(scope="module")
def models(dataset):
    """A decoder without memory on a linear encoder, one with memory on a non-linear one.

    The latter were never trained: what runs live needs no PyTorch.
    """
    linear = train(dataset, RIDGE)
    decoder = random_decoder("lstm", 4, hidden=(8,), feedback=True)
    encoder = random_encoder(dataset.Z.shape[1], 4)
    return {
        "linear": linear,
        "nonlinear": dataclasses.replace(linear, decoder=decoder, encoder=encoder),
    }


def test_the_place_of_the_encoder_is_between_normaliser_and_decoder(dataset):
    fitted = fit(dataset, RIDGE)
    codes = fitted.encoder.transform(fitted.normaliser.apply(dataset.Z))
    assert codes.shape[1] == fitted.decoder.n_features_ == 4
    np.testing.assert_array_equal(
        fitted.predict(dataset), fitted.decoder.predict(codes, dataset.segment)
    )


def test_an_encoder_as_large_as_the_features_changes_nothing_for_ridge(dataset):
    """A rotation of all features: the same estimates, to 1e-9."""
    whole = TrainSettings("ridge", encoder="linear", encoder_size=dataset.Z.shape[1])
    np.testing.assert_allclose(
        fit(dataset, whole).predict(dataset),
        fit(dataset, TrainSettings("ridge")).predict(dataset),
        atol=1e-9,
    )


def test_four_numbers_are_enough_for_two_dofs(models, unseen):
    """Of 12 channels; mean R2 on unseen repetitions at least 0.8."""
    assert evaluate(models["linear"], [unseen]).x_hat_compensated.mean_r2 >= 0.8


def test_a_nonlinear_encoder_is_trained_before_its_decoder(dataset):
    pytest.importorskip("torch")
    part = dataset.rows(dataset.groups <= 1)
    fitted = fit(part, dataclasses.replace(RIDGE, encoder="nonlinear"))
    codes = fitted.encoder.transform(fitted.normaliser.apply(part.Z))
    assert codes.shape[1] == 4
    np.testing.assert_array_equal(fitted.predict(part), fitted.decoder.predict(codes, part.segment))


def test_rows_that_are_not_in_use_teach_the_encoder_nothing(dataset):
    spoilt = np.where(dataset.use[:, None], dataset.Z, 99.0)
    fitted = [fit(dataclasses.replace(dataset, Z=Z), RIDGE) for Z in (dataset.Z, spoilt)]
    for a, b in zip(*(f.encoder.to_arrays().values() for f in fitted), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_the_live_path_runs_the_encoder(models, unseen, tmp_path, kind):
    """From raw EMG, with a model from a file: the bits of normaliser, encoder and decoder."""
    save_model(models[kind], tmp_path / "m.emgmodel")
    model = load_model(tmp_path / "m.emgmodel")
    assert model.model_id == models[kind].model_id
    assert model.encoder.kind == kind
    run = Pipeline(model, unseen.stream).run(unseen)
    data = dataset_from_recording(unseen, FeatureSettings())
    codes = model.encoder.transform(model.normaliser.apply(data.Z))
    np.testing.assert_array_equal(run.x_hat, model.decoder.predict(codes, data.segment))


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
@pytest.mark.parametrize("at", [30, 233])
def test_a_snapshot_continues_bit_for_bit(models, unseen, kind, at):
    first, second = (Pipeline(models[kind], unseen.stream) for _ in range(2))
    for block in unseen.blocks[:at]:
        first.push(block)
    for block in unseen.blocks[200:240]:
        second.push(block)
    second.restore(first.snapshot())
    compared = 0
    for block in unseen.blocks[at : at + 60]:
        for a, b in zip(first.push(block), second.push(block), strict=True):
            np.testing.assert_array_equal(a.decoded.x_hat, b.decoded.x_hat)
            np.testing.assert_array_equal(a.decoded.out_x_hat, b.decoded.out_x_hat)
            compared += 1
    assert compared > 40


def test_a_model_without_encoder_follows_one_with(models, dataset):
    pipeline = DecoderPipeline(models["nonlinear"])
    pipeline.step(dataset.Z[0], 0)
    plain = train(dataset, TrainSettings("ridge"))
    pipeline.set_model(plain)
    fresh = DecoderPipeline(plain)
    np.testing.assert_array_equal(
        pipeline.step(dataset.Z[1], 1).x_hat, fresh.step(dataset.Z[1], 1).x_hat
    )


def test_the_encoder_learns_from_recordings_without_labels_too(collected, unseen, dataset):
    unlabelled = unlabelled_features([dataclasses.replace(unseen, x_d=None)], dataset)
    assert unlabelled.shape[1] == dataset.Z.shape[1]
    a, b = fit(dataset, RIDGE), fit(dataset, RIDGE, unlabelled)
    assert (a.encoder.components_ != b.encoder.components_).any()
    np.testing.assert_array_equal(a.normaliser.mean, b.normaliser.mean)
    with pytest.raises(UserError, match="is one of the labelled"):
        unlabelled_features([collected], dataset)
    stream = dataclasses.replace(unseen.stream, unit="count")
    with pytest.raises(UserError, match="unit"):
        unlabelled_features([dataclasses.replace(unseen, stream=stream)], dataset)


def test_settings_of_an_encoder_are_checked(dataset):
    for settings in ({"encoder": "pca"}, {"encoder_size": 0}):
        with pytest.raises(SettingsError):
            TrainSettings(**settings)
    with pytest.raises(UserError, match="too large"):
        fit(dataset, dataclasses.replace(RIDGE, encoder_size=500))


def test_an_encoder_is_trained_from_the_command_line(
    tmp_path, collected, unseen, write_bag, capsys
):
    session = Session.create(tmp_path / "s01", "p01")
    write_bag(session.new_bag_path("collect"), collected, FeatureSettings())
    more = write_bag(session.new_bag_path("control"), unseen, FeatureSettings())
    command = ["train", str(session.path), "--decoder", "ridge", "--output"]
    plain, other = str(tmp_path / "a.emgmodel"), str(tmp_path / "b.emgmodel")
    assert main([*command, plain, "--encoder", "linear", "--encoder-size", "5"]) == 0
    options = ["--encoder", "linear", "--encoder-size", "5", "--encoder-data", str(more)]
    assert main([*command, other, *options]) == 0
    assert load_model(plain).encoder.size == 5
    assert load_model(plain).model_id != load_model(other).model_id
    assert main([*command, str(tmp_path / "c.emgmodel"), "--encoder-data", str(more)]) != 0
    assert "--encoder" in capsys.readouterr().err
