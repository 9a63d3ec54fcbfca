"""Calibrations and encoders that were made alone, and what a training does with them."""

import dataclasses
import json

import numpy as np
import pytest

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings
from emghand.storage.datasets import save_npz
from emghand.storage.encoders import load_encoder
from emghand.storage.models import load_model
from emghand.storage.sessions import Session
from emghand.training import Given, TrainSettings, dataset_from_recording, fit
from emghand.training.calibration import load_calibration, measure_recording, save_calibration

FEATURES = FeatureSettings()


@pytest.fixture(scope="module")
def measured(collected):
    return measure_recording(collected, FEATURES)


def test_rest_lies_below_contraction_on_every_channel(measured, collected):
    assert measured.rest.shape == (collected.stream.n_channels,)
    assert (measured.contraction > measured.rest).any()
    summary = measured.summary()
    assert summary["rest_ticks"] > 100 < summary["contraction_ticks"]
    assert all(found["ratio"] > 1.0 for found in summary["features"].values())


def test_a_calibration_file_comes_back_as_it_was_and_damage_is_refused(measured, tmp_path):
    path = tmp_path / "a.emgcalibration"
    save_calibration(measured, path)
    again = load_calibration(path)
    for field in dataclasses.fields(measured):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(measured, field.name))
    with pytest.raises(UserError, match="exists already"):
        save_calibration(measured, path)
    content = bytearray(path.read_bytes())
    content[-400] ^= 1
    (tmp_path / "b.emgcalibration").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        load_calibration(tmp_path / "b.emgcalibration")


def test_a_training_with_a_calibration_maps_rest_to_0_and_contraction_to_1(measured, collected):
    dataset = dataset_from_recording(collected, FEATURES)
    settings = TrainSettings("ridge", baseline="rest", scale="contraction")
    normaliser = fit(dataset, settings, given=Given(measured)).normaliser
    np.testing.assert_allclose(normaliser.apply(measured.rest), 0.0, atol=1e-12)
    np.testing.assert_allclose(normaliser.apply(measured.rest + measured.contraction), 1.0)
    kept = fit(dataset, TrainSettings("ridge"), given=Given(measured)).normaliser
    np.testing.assert_array_equal(kept.mean, fit(dataset, TrainSettings("ridge")).normaliser.mean)


def test_an_electrode_that_was_dead_says_nothing(measured, collected):
    contraction = measured.contraction.copy()
    contraction[2] = 0.0
    dead = dataclasses.replace(measured, contraction=contraction)
    dataset = dataset_from_recording(collected, FEATURES)
    settings = TrainSettings("ridge", baseline="rest", scale="contraction")
    assert fit(dataset, settings, given=Given(dead)).normaliser.scale[2] == 0.0


def test_a_calibration_of_other_features_is_refused(measured, collected):
    other = dataset_from_recording(collected, FeatureSettings(window_hops=10))
    with pytest.raises(UserError, match="other feature settings than the training data"):
        fit(other, TrainSettings("ridge"), given=Given(measured))


def test_what_a_recording_lacks_is_named(collected):
    idle = dataclasses.replace(collected, periods=[])
    assert measure_recording(idle, FEATURES, contraction=False).contraction is None
    with pytest.raises(UserError, match=r"0\.00 s of maximum contraction"):
        measure_recording(idle, FEATURES)
    with pytest.raises(UserError, match="neither rest nor contraction"):
        measure_recording(idle, FEATURES, rest=False, contraction=False)


def test_the_commands_write_into_the_session_and_say_what_they_cannot(
    tmp_path, collected, unseen, write_bag, capsys
):
    session = Session.create(tmp_path / "s01", "p01")
    bag = write_bag(session.new_bag_path("collect"), collected, FEATURES)
    session.add_file(bag)
    save_npz(unseen, tmp_path / "other.npz")
    path, other = str(session.path), str(tmp_path / "other.npz")

    def run(*words, ok=True):
        assert main([str(w) for w in words]) == (0 if ok else 1)
        said = capsys.readouterr()
        return json.loads(said.out) if ok else said.err

    levels = run("calibrate", path, "--recording", bag, "--json")["calibration"]
    model = run("train", path, "--decoder", "ridge", "--calibration", levels, "--json")["model"]
    np.testing.assert_array_equal(load_model(model).normaliser.mean, load_calibration(levels).rest)
    found = run("status", path, "--json")
    assert (found["data"], found["decoder"], found["autoencoder"]) == ("ready", "ready", "none")

    encoder = run(
        "autoencoder", other, "--size", "3", "--output", tmp_path / "e.emgencoder", "--json"
    )
    behind = run("train", path, "--encoder-from", encoder["encoder"], "--json")["model"]
    trained, learned = load_model(behind), load_encoder(encoder["encoder"])
    assert trained.encoder.size == 3
    np.testing.assert_array_equal(trained.normaliser.mean, learned.normaliser.mean)
    assert set(learned.recordings) < set(trained.recordings)
    assert run("status", path, "--json")["autoencoder"] == "ready"
    assert session.open(path).check() == []

    own = run("autoencoder", path, "--size", "3", "--json")["encoder"]
    for words, text in (
        (("train", path, "--encoder-from", own), "no score would be honest"),
        (("train", path, "--encoder-from", own, "--encoder", "linear"), "is instead of"),
        (("train", path, "--calibration", own), "not a calibration file"),
        (("train", path, "--adaptable", "--calibration", levels), "without --calibration"),
        (("calibrate", "--recording", bag), "name a session or --output"),
        (("autoencoder", other), "name the file to write"),
        (("status", tmp_path), "is no session"),
    ):
        assert text in run(*words, ok=False)
