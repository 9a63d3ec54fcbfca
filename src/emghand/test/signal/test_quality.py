"""The live-signal guard: silent on healthy EMG however quiet, loud on what means nothing."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.quality import Quality
from emghand.signal.settings import FeatureSettings

RATE = 1000.0
DATA = Path(os.environ.get("EMGHAND_DATA", Path(__file__).parents[4] / "../shared/data"))


def emg(seconds=4.0, n_channels=8, sigma=3e-6, seed=0):
    return np.random.default_rng(seed).standard_normal((int(seconds * RATE), n_channels)) * sigma


def hum(n, amplitude, hz=50.0):
    t = np.arange(n) / RATE
    wave = np.sin(2 * np.pi * hz * t) + 0.2 * np.sin(2 * np.pi * 3 * hz * t + 1)
    return amplitude * wave[:, None]


def qualities(x, full_scale=0.0, rate=RATE, **settings):
    pipeline = FeaturePipeline(FeatureSettings(**settings), x.shape[1], rate, full_scale)
    ticks = pipeline.push(x, 0)
    assert ticks
    return pipeline, [Quality(t.quality) for t in ticks]


def test_the_bits_are_those_of_the_message():
    bits = {name: int(Quality[name]) for name in ("OK", "FLAT", "RAILED", "MAINS", "FROZEN")}
    assert bits == {"OK": 0, "FLAT": 1, "RAILED": 2, "MAINS": 4, "FROZEN": 8}


@pytest.mark.parametrize("offset", [0.0, 0.02, -0.1])
@pytest.mark.parametrize("sigma", [5e-8, 1e-6, 1e-4])
def test_quiet_and_strong_healthy_signals_are_fine(sigma, offset):
    x = (emg(sigma=sigma) + hum(4000, 3 * sigma) + offset).astype(np.float32)
    assert set(qualities(x, full_scale=0.1875)[1]) == {Quality.OK}


def test_rest_in_coarse_counts_is_fine():
    x = np.round(emg(sigma=0.5))
    assert set(qualities(x, full_scale=127.0)[1]) == {Quality.OK}


def test_contractions_that_touch_the_rail_now_and_then_are_fine():
    x = np.clip(emg(sigma=40.0), -128, 127)
    x *= (np.sin(np.arange(len(x)) / 150.0) > 0)[:, None]
    x += np.round(emg(sigma=0.7, seed=1))
    assert set(qualities(x, full_scale=127.0)[1]) == {Quality.OK}


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_a_dead_stream_is_flat_within_half_a_second_and_recovers(level):
    x = emg() + 0.01
    x[1000:2000] = level
    pipeline, found = qualities(x)
    first = next(k for k, q in enumerate(found) if q & Quality.FLAT)
    ticks = FeaturePipeline(pipeline.settings, 8, RATE).push(x, 0)
    assert 1000 < ticks[first].last_sample < 1500
    assert {q for t, q in zip(ticks, found, strict=True) if t.last_sample > 2100} == {Quality.OK}


def test_the_fraction_decides_how_many_channels_make_a_bad_tick():
    x = emg()
    x[:, :3] = 0.25
    pipeline, found = qualities(x)
    assert set(found) == {Quality.OK}
    assert pipeline.channel_quality().tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert qualities(x, guard_fraction=0.375)[1][-1] == Quality.FLAT
    assert qualities(x, bad_channels=("ch1", "ch2", "ch3"))[1][-1] == Quality.OK


@pytest.mark.parametrize("rail", ["upper", "lower", "both"])
def test_railed_electrodes_are_flagged_where_the_full_scale_is_known(rail):
    x = emg(sigma=1.0) + {"upper": 500.0, "lower": -500.0, "both": 0.0}[rail]
    x += hum(len(x), 1000.0) if rail == "both" else 0.0
    x = np.clip(x, -128, 127)
    found = qualities(x, full_scale=128.0)[1]
    assert found[-1] & Quality.RAILED
    assert not qualities(x)[1][-1] & Quality.RAILED


@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_lifted_electrodes_that_pick_up_mains_are_flagged(mains):
    x = emg() + hum(4000, 1e-3, mains)
    assert qualities(x, notch_hz=mains)[1][-1] == Quality.MAINS
    assert qualities(x, notch_hz=mains, guard_mains=1.0)[1][-1] == Quality.OK


@pytest.mark.parametrize("packet", [1, 7, 16, 18, 32, 50])
def test_a_device_that_repeats_its_last_packet_is_frozen(packet):
    x = emg(6.0)
    x[1000:] = np.tile(x[1000 - packet : 1000], (5000 // packet + 1, 1))[:5000]
    _, found = qualities(x)
    assert max(found[: 1000 // 16 - 19]) == Quality.OK
    assert found[-1] & Quality.FROZEN
    assert not qualities(x, guard_frozen=False)[1][-1] & Quality.FROZEN


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("rate", [60.0, 200.0, 2048.0])
def test_the_guard_works_at_other_rates(rate, level):
    hop = max(2, round(rate / 60))
    x = np.random.default_rng(3).standard_normal((int(4 * rate), 8)) * level
    last = qualities(x, rate=rate, hop=hop, bandpass_low=5.0)[1][-1]
    assert bool(last & Quality.FLAT) == (not level)


@pytest.mark.data
def test_no_recording_of_a_healthy_subject_is_ever_flagged():
    archives = sorted((DATA / "myo_wrist/dev").glob("*.tar.xz"))
    if not archives:
        pytest.skip(f"no recordings in {DATA}")
    for path in archives:
        with tarfile.open(path) as archive:
            texts = {
                m.name: archive.extractfile(m).read() for m in archive if m.name.endswith(".txt")
            }
        for name, text in texts.items():
            x = np.loadtxt(io.BytesIO(text.replace(b",", b" ")))[:, :8]
            found = qualities(x, full_scale=128.0, rate=200.0, hop=4)[1]
            assert set(found) == {Quality.OK}, f"{path.name} {name}"
