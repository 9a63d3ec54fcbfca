"""Filters against scipy's public functions and their frequency response."""

import numpy as np
import pytest
from scipy import signal

from emghand.errors import UserError
from emghand.signal import filters
from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.filters import StreamingFilter, band_sections, notch_sections
from emghand.signal.settings import FeatureSettings


@pytest.fixture(params=["compiled loop", "public function"])
def either_way(request, monkeypatch):
    if request.param == "public function":
        monkeypatch.setattr(filters, "_sosfilt", None)
    elif filters._sosfilt is None:
        pytest.skip("this scipy has no such module")


def gain(sections, hz, rate):
    return np.abs(signal.sosfreqz(sections, np.atleast_1d(hz), fs=rate)[1])


def test_a_filter_gives_the_bits_of_sosfilt_in_blocks_of_any_size(either_way):
    sections = np.vstack([f(FeatureSettings(), 1000.0) for f in (band_sections, notch_sections)])
    x = np.random.default_rng(0).standard_normal((3, 500))
    wanted = signal.sosfilt(sections, x)
    streaming = StreamingFilter(sections, 3)
    got = []
    for a, b in ((0, 1), (1, 16), (16, 17), (17, 400), (400, 500)):
        part = x[:, a:b].copy()
        streaming.run(part)
        got.append(part)
    assert np.array_equal(np.hstack(got), wanted)


def test_an_offset_makes_no_transient(either_way):
    level = np.array([0.3, -2.0])
    streaming = StreamingFilter(band_sections(FeatureSettings(), 1000.0), 2)
    assert np.array_equal(streaming.start(level), [0.0, 0.0])
    x = np.repeat(level[:, None], 200, axis=1)
    streaming.run(x)
    assert np.abs(x).max() < 1e-12


def test_a_notch_without_band_pass_starts_at_the_offset(either_way):
    level = np.array([5.0])
    streaming = StreamingFilter(notch_sections(FeatureSettings(), 1000.0), 1)
    np.testing.assert_allclose(streaming.start(level), level)
    x = np.full((1, 100), 5.0)
    streaming.run(x)
    np.testing.assert_allclose(x, 5.0)


@pytest.mark.parametrize("rate", [200.0, 250.0, 1000.0, 2048.0])
def test_the_band_passes_and_its_edges_are_at_minus_3_db(rate):
    sections = band_sections(FeatureSettings(), rate)
    high = min(375.0, 0.95 * rate / 2)
    np.testing.assert_allclose(gain(sections, [15.0, high], rate), np.sqrt(0.5), rtol=1e-6)
    assert gain(sections, 60.0, rate) == pytest.approx(1.0, abs=0.01)
    assert gain(sections, 1.0, rate) < 1e-3


def test_one_edge_makes_a_high_pass_or_a_low_pass_and_none_nothing():
    high = band_sections(FeatureSettings(bandpass_high=0.0), 1000.0)
    low = band_sections(FeatureSettings(bandpass_low=0.0), 1000.0)
    assert gain(high, 499.0, 1000.0) > 0.99 > 0.01 > gain(high, 1.0, 1000.0)
    assert gain(low, 1.0, 1000.0) > 0.99 > 0.01 > gain(low, 499.0, 1000.0)
    none = FeatureSettings(bandpass_low=0.0, bandpass_high=0.0, notch_hz=0.0)
    assert band_sections(none, 1000.0).shape == notch_sections(none, 1000.0).shape == (0, 6)


def test_notches_sit_on_the_mains_harmonics_below_nyquist():
    settings = FeatureSettings(notch_hz=60.0, notch_harmonics=40)
    assert len(notch_sections(settings, 1000.0)) == 7
    assert len(notch_sections(settings, 100.0)) == 0
    sections = notch_sections(settings, 1000.0)
    assert gain(sections, 60.0 * np.arange(1, 8), 1000.0).max() < 1e-6
    assert gain(sections, [90.0, 150.0], 1000.0).min() > 0.99


def test_a_band_above_nyquist_is_refused():
    with pytest.raises(UserError, match="bandpass_low: 120 Hz is too high for a stream of 200 Hz"):
        band_sections(FeatureSettings(bandpass_low=120.0), 200.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, 1e12, np.inf, np.nan])
def test_a_rate_that_no_device_has_is_refused(rate):
    with pytest.raises(UserError, match="Hz must lie above 0"):
        FeaturePipeline(FeatureSettings(), 8, rate)


def test_a_dead_stream_leaves_no_denormal_numbers_behind():
    streaming = StreamingFilter(band_sections(FeatureSettings(), 1000.0), 1)
    streaming.run(np.ones((1, 16)))
    for _ in range(100):
        streaming.run(np.zeros((1, 512)))
        streaming.flush()
    assert not streaming.arrays()["state"].any()
