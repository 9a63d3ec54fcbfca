"""Channels that were spoiled on purpose are found, for the right reason, and no others."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.settings import digest
from emghand.signal.channel_quality import bad_channels, robust_z
from emghand.signal.settings import FeatureSettings
from emghand.storage.recording import Block
from emghand.storage.sessions import Session
from emghand.training import TrainSettings, dataset_from_recording, fit, join
from emghand.training.channel_check import check_channels, features_of_good_channels

FULL_SCALE = 5e-3


def spoil(recording, what):
    """Channel i with one fault, by index."""
    rng = np.random.default_rng(0)
    x = np.concatenate([b.samples for b in recording.blocks]).astype(np.float64)
    t = np.arange(len(x)) / recording.stream.rate
    for channel, fault in what.items():
        if fault == "flat":
            x[:, channel] = 0.001
        elif fault == "railed":
            wave = np.sign(np.sin(2 * np.pi * 7 * t))
            x[:, channel] = np.where(rng.random(len(x)) < 0.5, wave * FULL_SCALE, x[:, channel])
        elif fault == "mains":
            x[:, channel] += 1e-3 * np.sin(2 * np.pi * 50 * t)
        elif fault == "noisy":
            x[:, channel] += 100 * np.median(np.abs(x)) * rng.standard_normal(len(x))
    starts = np.cumsum([0] + [len(b.samples) for b in recording.blocks])
    blocks = [
        Block(b.first_sample, b.stamp_ns, x[a : a + len(b.samples)].astype(np.float32))
        for a, b in zip(starts, recording.blocks, strict=False)
    ]
    stream = dataclasses.replace(recording.stream, full_scale=FULL_SCALE)
    return dataclasses.replace(recording, blocks=blocks, stream=stream)


FAULTS = {1: "flat", 4: "railed", 7: "mains", 10: "noisy"}


@pytest.fixture(scope="module")
def spoiled(collected):
    return spoil(collected, FAULTS)


def test_every_fault_is_found_with_its_reason(spoiled):
    bad = bad_channels(check_channels([spoiled], FeatureSettings()))
    names = spoiled.stream.channel_names
    assert set(bad) == {names[i] for i in FAULTS}
    for i, fault in FAULTS.items():
        assert fault in bad[names[i]]


def test_good_recordings_have_no_bad_channel(collected, unseen):
    assert not bad_channels(check_channels([collected, unseen], FeatureSettings()))


def test_levels_are_those_of_the_filtered_signal(collected):
    """Noise of a known level, filtered by nothing: its RMS, at rest and moving."""
    rng = np.random.default_rng(3)
    blocks = [
        Block(b.first_sample, b.stamp_ns, (2e-4 * rng.standard_normal(b.samples.shape)))
        for b in collected.blocks
    ]
    plain = FeatureSettings(bandpass_low=0.0, bandpass_high=0.0, notch_hz=0.0)
    found = check_channels([dataclasses.replace(collected, blocks=blocks)], plain)
    for channel in found:
        assert channel.rest_rms == pytest.approx(2e-4, rel=0.05)
        # The 95th percentile of the RMS of 100 samples is 12 % above the RMS.
        assert channel.move_rms == pytest.approx(2e-4 * (1 + 1.64 / math.sqrt(200)), rel=0.05)
        assert channel.correlation < 0.4
        assert math.isnan(channel.mains_share)


def test_without_labels_the_quietest_and_the_loudest_parts_are_compared(spoiled):
    found = check_channels([dataclasses.replace(spoiled, x_d=None)], FeatureSettings())
    names = spoiled.stream.channel_names
    assert set(bad_channels(found)) == {names[i] for i in FAULTS}
    assert all(math.isnan(c.correlation) for c in found)
    good = [c for c in found if not c.reasons]
    assert min(c.snr_db for c in good) > 3.0


def test_gaps_and_channel_maps_are_taken_like_in_the_feature_pipeline(spoiled):
    holes = spoiled.blocks[:100] + spoiled.blocks[110:400] + spoiled.blocks[401:]
    names = spoiled.stream.channel_names
    settings = FeatureSettings(channel_map=(f"{names[1]}=dead", *names[2:6], names[0]))
    found = check_channels([dataclasses.replace(spoiled, blocks=holes)], settings)
    assert [c.name for c in found] == ["dead", *names[2:6], names[0]]
    assert set(bad_channels(found)) == {"dead", names[4]}


def test_few_channels_have_no_peers_to_stand_out_of():
    assert np.isnan(robust_z(np.array([1.0, 1.0, 100.0]))).all()
    z = robust_z(np.array([1.0, 1.1, 0.9, 100.0, 0.0]))
    assert z[3] > 5.0 > np.nanmax(z[:3])
    assert np.isnan(z[4])


def test_recordings_that_cannot_be_judged_are_refused(collected):
    with pytest.raises(UserError, match="no recordings"):
        check_channels([], FeatureSettings())
    short = dataclasses.replace(collected, blocks=collected.blocks[:2])
    with pytest.raises(UserError, match="too short"):
        check_channels([short], FeatureSettings())
    other = dataclasses.replace(collected, stream=dataclasses.replace(collected.stream, rate=500.0))
    with pytest.raises(UserError, match="differ"):
        check_channels([collected, other], FeatureSettings())


@pytest.mark.parametrize("montage", ["single", "both", "differential"])
@pytest.mark.parametrize("transform", ["none", "log"])
def test_training_leaves_out_channels_that_are_flat_or_noisy(collected, montage, transform):
    settings = FeatureSettings(montage=montage, transform=transform)
    recording = spoil(collected, {2: "flat", 5: "noisy"})
    good = features_of_good_channels(dataset_from_recording(recording, settings))
    names = recording.stream.channel_names
    # A flat channel makes no flat pair: differences to it are the other channel.
    bad = (names[5],) if montage == "differential" else (names[2], names[5])
    left = dataclasses.replace(settings, bad_channels=bad)
    wanted = dataset_from_recording(recording, left).Z.shape[1]
    assert good.sum() == wanted


def test_bad_channels_are_learned_from_the_training_rows_alone(collected, unseen):
    clean, noisy = (
        dataset_from_recording(r, FeatureSettings())
        for r in (collected, spoil(unseen, {3: "noisy"}))
    )
    noisy = dataclasses.replace(noisy, stream=clean.stream)
    both = join([clean, noisy])
    settings = TrainSettings(decoder="ridge", bad_channels="auto")
    assert fit(both.rows(both.recording == 0), settings).normaliser.columns is None
    columns = fit(both.rows(both.recording == 1), settings).normaliser.columns
    assert columns.tolist() == [i for i in range(12) if i != 3]


def test_automatic_choice_of_channels_needs_an_amplitude(collected):
    data = dataset_from_recording(collected, FeatureSettings(features=("zc", "ssc")))
    with pytest.raises(UserError, match="mav, rms"):
        features_of_good_channels(data)


@pytest.fixture(scope="module")
def session(tmp_path_factory, spoiled, write_bag):
    made = Session.create(tmp_path_factory.mktemp("channels") / "s01", "p01")
    write_bag(made.new_bag_path("collect"), spoiled, FeatureSettings(window_hops=15))
    return made


def test_the_command_names_bad_channels_and_the_setting_to_use(session, spoiled, capsys):
    assert main(["channels", str(session.path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    names = spoiled.stream.channel_names
    assert document["bad_channels"] == [names[i] for i in sorted(FAULTS)]
    assert len(document["channels"]) == 12
    assert main(["channels", str(session.path / "bags" / "collect")]) == 0
    listed = ",".join(document["bad_channels"])
    assert f"--set bad_channels=[{listed}]" in capsys.readouterr().out
    assert main(["channels", "nowhere"]) == 1
    assert "error: " in capsys.readouterr().err


def test_features_are_computed_anew_with_other_settings(session, spoiled, capsys, tmp_path):
    bag, output = str(session.path / "bags" / "collect"), tmp_path / "f.npz"
    changes = ["--set", "window_hops=10", "--set", "features=[wl, ar]"]
    assert main(["features", bag, *changes, "--output", str(output)]) == 0
    settings = FeatureSettings(window_hops=10, features=("wl", "ar"))
    with np.load(output, allow_pickle=False) as table:
        assert str(table["settings_sha256"]) == digest(settings)
        assert len(str(table["recording_sha256"])) == 64
        data = dataset_from_recording(spoiled, settings)
        good = table["quality"] == 0
        np.testing.assert_array_equal(table["values"][good], data.Z)
        np.testing.assert_array_equal(table["stamp_ns"][good], data.stamps_ns)
        np.testing.assert_array_equal(table["movement"][good], data.movement)
        known = np.isfinite(table["labels"]).all(axis=1)[good]
        columns = [table["dofs"].tolist().index(d.name) for d in data.dofs]
        labels = table["labels"][good][:, columns]
        np.testing.assert_allclose(labels[known], data.X[known])
        assert table["names"].shape == (60,)
    again = tmp_path / "again.npz"
    assert main(["features", bag, *changes, "--output", str(again)]) == 0
    assert again.read_bytes() == output.read_bytes()
    assert main(["features", bag, "--output", str(output)]) == 1
    assert "exists already" in capsys.readouterr().err


def test_training_settings_are_given_on_the_command_line(session, capsys):
    argv = ["train", str(session.path), "--decoder", "ridge", "--json"]
    more = ["max_features=4", "selection_stop=aic", "trial_lag_s=0.2", "bad_channels=auto"]
    assert main([*argv, *(w for m in more for w in ("--fit", m))]) == 0
    capsys.readouterr()
    assert main([*argv, "--fit", "selection=4"]) == 1
    assert "unknown setting" in capsys.readouterr().err
