"""Gaps, overlaps, bad values and new streams, as the pipeline reports and treats them."""

import numpy as np
import pytest

from emghand.errors import UserError
from emghand.settings import SettingsError
from emghand.signal.feature_pipeline import FeaturePipeline, Gap
from emghand.signal.settings import FeatureSettings

RATE = 1000.0
RAW = FeatureSettings(window_hops=4, bandpass_low=0.0, bandpass_high=0.0, notch_hz=0.0)


def make(settings=RAW, n_channels=2):
    return FeaturePipeline(settings, n_channels, RATE)


def noise(n=640, n_channels=2):
    return np.random.default_rng(5).standard_normal((n, n_channels))


def summary(ticks):
    return [(t.tick, t.reset) for t in ticks]


def test_ticks_lie_on_the_absolute_grid_and_start_when_the_window_is_full():
    ticks = make().push(noise(100), 1005)
    # The first whole hop is number 63, from sample 1008 on.
    assert [t.tick for t in ticks] == [66, 67, 68]
    assert [t.last_sample for t in ticks] == [1071, 1087, 1103]
    assert [t.reset for t in ticks] == [True, False, False]


def test_a_short_gap_is_filled_with_a_straight_line():
    x = noise()
    lost = slice(100, 120)
    filled = x.copy()
    share = np.arange(1, 21)[:, None] / 21
    filled[lost] = x[99] + (x[120] - x[99]) * share
    pipeline = make()
    got = pipeline.push(x[:100], 0) + pipeline.push(x[120:], 120)
    wanted = make().push(filled, 0)
    assert summary(got) == summary(wanted)
    np.testing.assert_allclose([t.z for t in got], [t.z for t in wanted], rtol=1e-13)
    assert pipeline.take_gaps() == [Gap(100, 20, "filled", 6)]
    assert pipeline.take_gaps() == []


def test_a_long_gap_starts_anew():
    x = noise()
    pipeline = make(FeatureSettings(window_hops=4))
    ticks = pipeline.push(x[:100], 0) + pipeline.push(x[121:], 121)
    assert pipeline.take_gaps() == [Gap(100, 21, "reset", 6)]
    after = [t for t in ticks if t.last_sample > 100]
    assert after[0].tick == 11
    assert summary(after) == summary(make().push(x[121:], 121))
    fresh = make(FeatureSettings(window_hops=4)).push(x[121:], 121)
    assert all(np.array_equal(a.z, b.z) for a, b in zip(after, fresh, strict=True))


def test_overlapping_and_repeated_samples_are_dropped_and_reported():
    x = noise()
    pipeline = make()
    ticks = pipeline.push(x[:100], 0)
    ticks += pipeline.push(x[40:90], 40)
    ticks += pipeline.push(x[90:200], 90)
    wanted = make().push(x[:200], 0)
    assert all(np.array_equal(a.z, b.z) for a, b in zip(ticks, wanted, strict=True))
    assert pipeline.take_gaps() == [Gap(40, 50, "duplicate", 2), Gap(90, 10, "duplicate", 5)]


@pytest.mark.parametrize("restart", [0, 12_000])
def test_a_counter_that_jumps_back_is_a_new_stream(restart):
    x = noise()
    pipeline = make(FeatureSettings(window_hops=4))
    pipeline.push(x, 20_000)
    ticks = pipeline.push(x, restart)
    assert pipeline.take_gaps() == [Gap(restart, 0, "reset", restart // 16)]
    wanted = make(FeatureSettings(window_hops=4)).push(x, restart)
    assert summary(ticks) == summary(wanted)
    assert all(np.array_equal(a.z, b.z) for a, b in zip(ticks, wanted, strict=True))


def test_a_stream_that_never_becomes_finite_gives_no_tick_and_reports_every_block():
    pipeline = make()
    for k in range(10):
        assert pipeline.push(np.full((16, 2), np.nan), 16 * k) == []
    assert sum(g.count for g in pipeline.take_gaps()) == 160


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_nothing_that_is_not_finite_reaches_the_filters(value):
    x = noise(2000)
    x[500:600, 1] = value
    pipeline = make(FeatureSettings(window_hops=4))
    ticks = pipeline.push(x, 0)
    assert pipeline.take_gaps() == [Gap(500, 100, "reset", 31)]
    assert all(np.isfinite(t.z).all() for t in ticks)
    snapshot = pipeline.snapshot()
    assert all(np.isfinite(a).all() for a in snapshot.values())
    assert max(t.z.max() for t in ticks) < 2.0


def test_empty_blocks_are_harmless():
    pipeline = make()
    assert pipeline.push(np.zeros((0, 2)), 0) == []
    assert pipeline.push(np.zeros((0, 2)), 99) == []
    assert len(pipeline.push(noise(64), 0)) == 1
    assert pipeline.take_gaps() == []


def test_a_block_of_another_width_is_refused():
    with pytest.raises(ValueError, match=r"expected \(n, 2\) samples, got shape \(16, 3\)"):
        make().push(np.zeros((16, 3)), 0)


def test_counters_beyond_32_bit_work():
    first = 2**40 + 8
    ticks = make().push(noise(100), np.uint64(first))
    assert ticks[0].tick == 2**36 + 1 + 3
    assert ticks[0].last_sample == (ticks[0].tick + 1) * 16 - 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"bandpass_low": 400.0}, "must be below"),
        ({"features": ()}, "at least one"),
        ({"features": ("mav", "mav")}, "each once"),
        ({"features": ("mad",)}, "unknown, choose from"),
        ({"montage": "triple"}, "choose from"),
        ({"hop": 1}, "minimum"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, text):
    with pytest.raises(SettingsError, match=text):
        FeatureSettings(**change)


def test_settings_that_do_not_fit_the_stream_are_refused():
    with pytest.raises(UserError, match="unknown channel 'ch9', known: ch1, ch2"):
        make(FeatureSettings(bad_channels=("ch9",)))
    with pytest.raises(UserError, match="1 good channels are too few"):
        make(FeatureSettings(montage="differential", bad_channels=("ch1",)))
    with pytest.raises(UserError, match="names, each once"):
        FeaturePipeline(RAW, 2, RATE, channel_names=("a", "a"))
    with pytest.raises(UserError, match="above 0"):
        FeaturePipeline(RAW, 2, 0.0)
