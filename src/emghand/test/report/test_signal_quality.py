"""Measures of raw EMG against signals whose level is known."""

import numpy as np
import pytest

from emghand.errors import UserError
from emghand.report.signal_figure import signal_figure
from emghand.report.signal_quality import measure_signal
from emghand.signal.quality import Quality
from emghand.storage.recording import Block, Recording, Series, Stream

RATE = 1000
LENGTH = 20 * RATE


def recording(samples, missing_at=None, labelled=True, unit="V"):
    t = np.arange(0, len(samples), 16)
    blocks = [Block(int(i), int(i) * 1_000_000, samples[i : i + 16].astype(np.float32)) for i in t]
    if missing_at is not None:
        del blocks[missing_at]
    stamps = t.astype(np.int64) * 1_000_000
    x_d = Series(("index_flex",), stamps, moving(stamps * 1e-9)[:, None].astype(float))
    names = tuple(f"c{i}" for i in range(samples.shape[1]))
    stream = Stream("test", "s", names, float(RATE), 16, unit)
    return Recording("r", stream, blocks, x_d=x_d if labelled else None)


def moving(seconds):
    return seconds % 4 >= 2


@pytest.fixture
def samples():
    """c0: 100 Hz, 2 µV RMS at rest and 20 µV in movement; c1: mains; c2: nothing."""
    t = np.arange(LENGTH) / RATE
    level = np.where(moving(t), 20e-6, 2e-6)
    wave = np.sqrt(2) * np.sin(2 * np.pi * 85.0 * t)
    mains = np.sqrt(2) * 100e-6 * np.sin(2 * np.pi * 50.0 * t) + 1e-6 * wave
    return np.stack([level * wave, mains, np.zeros(LENGTH)], axis=1)


def test_levels_and_ratio_are_those_of_the_signal(samples):
    found = measure_signal(recording(samples))
    # The ticks at a change of level mix both: a few percent.
    assert found.rms_move[0] == pytest.approx(20e-6, rel=0.05)
    assert found.rms_rest[0] == pytest.approx(2e-6, rel=0.05)
    assert found.snr_db[0] == pytest.approx(20.0, abs=0.6)
    assert found.rms[0] == pytest.approx(np.sqrt((20e-6**2 + 2e-6**2) / 2), rel=0.05)


def test_spectrum_holds_the_power_and_mains_its_share(samples):
    found = measure_signal(recording(samples))
    width = found.frequencies[1]
    # Parseval: the density adds up to the variance; windows see a changing level unevenly.
    total = found.power.sum(axis=1) * width
    assert total[1] == pytest.approx(samples[:, 1].var(), rel=1e-3)
    assert total[0] == pytest.approx(samples[:, 0].var(), rel=0.1)
    assert total[2] == 0.0
    assert found.mains_share[1] > 0.99
    assert found.mains_share[0] < 0.01
    assert found.mains_hz == (50.0, 100.0, 150.0)


def test_faults_are_found_on_their_channels(samples):
    found = measure_signal(recording(samples))
    late = found.faults[found.seconds > 2.0]
    assert (late[:, 2] & Quality.FLAT).all()
    assert (late[:, 1] & Quality.MAINS).all()
    assert not found.faults[:, 0].any()
    assert found.fault_share[2] > 0.9


def test_missing_samples_are_counted_and_level_without_labels_is_of_the_whole(samples):
    found = measure_signal(recording(samples, missing_at=10, labelled=False))
    assert found.missing == 16
    assert np.isnan(found.rms_rest).all()
    assert np.isfinite(found.rms).all()


def test_figure_names_units_and_refuses_recordings_of_other_channels(samples):
    volts = measure_signal(recording(samples), label="a")
    counts = measure_signal(recording(samples * 1e6, unit="count"), label="b")
    labels = [axis.get_ylabel() for axis in signal_figure([volts]).axes]
    assert {"RMS [µV]", "SNR [dB]", "power [µV²/Hz]"} <= set(labels)
    assert "RMS [counts]" in [axis.get_ylabel() for axis in signal_figure([counts]).axes]
    with pytest.raises(UserError, match="a and b differ in channels or unit"):
        signal_figure([volts, counts])
    with pytest.raises(UserError, match="too short"):
        measure_signal(recording(samples[:20]))
