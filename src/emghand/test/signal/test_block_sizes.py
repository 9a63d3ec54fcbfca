"""The same bits, however the samples arrive and wherever the run is cut and continued."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.errors import UserError
from emghand.signal import feature_pipeline
from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.settings import FEATURES, FeatureSettings

CASES = {
    "all": FeatureSettings(
        window_hops=4,
        montage="both",
        features=FEATURES,
        zc_threshold=1e-5,
        ssc_threshold=1e-5,
        wamp_threshold=1e-4,
    ),
    "mav": FeatureSettings(hop=5, window_hops=3, bandpass_high=0.0, notch_hz=60.0, transform="log"),
    "samples": FeatureSettings(
        window_hops=3, montage="differential", features=("ar", "mnf"), channel_map=("ch3", "ch1")
    ),
    "one": FeatureSettings(window_hops=2, features=("wl", "rms"), transform="sqrt"),
    "bad": FeatureSettings(window_hops=4, montage="differential", bad_channels=("ch2",)),
}
CHANNELS = {"all": 5, "mav": 3, "samples": 3, "one": 1, "bad": 4}
RATE = 1000.0
LENGTH = 1200


def make(case):
    return FeaturePipeline(CASES[case], CHANNELS[case], RATE, full_scale=1e-3)


def signal(case):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((LENGTH, CHANNELS[case])) * 1e-4 + 0.01
    x[400:600, 0] = 0.5
    x[700:1000] = np.tile(x[700:716], (19, 1))[:300]
    x += 1e-4 * np.sin(2 * np.pi * 50 * np.arange(LENGTH) / RATE)[:, None]
    return x.astype(np.float32)


def same(ticks, others):
    assert [t._replace(z=None) for t in ticks] == [t._replace(z=None) for t in others]
    for tick, other in zip(ticks, others, strict=True):
        assert np.array_equal(tick.z, other.z), f"tick {tick.tick}"


# What is lost: (first sample, count) of some runs, short and long, in counts of the device.
LOSSES = [(150, 7), (333, 20), (600, 21), (850, 1), (852, 2), (900, 130)]


def pieces(cuts, lost, start):
    """The samples that arrive, as (first, one past last), cut at `cuts`."""
    edges = sorted({0, LENGTH, *cuts, *(a for a, _ in lost), *(a + n for a, n in lost)})
    return [
        (a, b)
        for a, b in itertools.pairwise(edges)
        if not any(first <= a < first + n for first, n in lost)
    ]


splits = st.lists(st.integers(0, LENGTH), max_size=40)


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=25, deadline=None)
@given(cuts=splits, lost=st.lists(st.sampled_from(LOSSES), unique=True), start=st.integers(0, 40))
def test_blocks_of_any_size_give_the_same_bits_across_gaps(case, cuts, lost, start):
    x = signal(case)
    whole, cut = make(case), make(case)
    wanted, got = [], []
    for a, b in pieces([], lost, start):
        wanted += whole.push(x[a:b], start + a)
    for a, b in pieces(cuts, lost, start):
        got += cut.push(x[a:b], start + a)
    assert len(wanted) > 5
    same(got, wanted)
    assert cut.take_gaps() == whole.take_gaps()


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=25, deadline=None)
@given(cuts=splits, bad=st.lists(st.sampled_from(LOSSES), unique=True))
def test_samples_that_are_not_finite_give_the_same_bits_as_missing_ones(case, cuts, bad):
    x = signal(case)
    missing, invalid = make(case), make(case)
    wanted, got = [], []
    for a, b in pieces([], bad, 0):
        wanted += missing.push(x[a:b], a)
    for i, (first, n) in enumerate(bad):
        x[first : first + n, 0] = [np.nan, np.inf, -np.inf][i % 3]
    edges = sorted({0, LENGTH, *cuts})
    for a, b in itertools.pairwise(edges):
        got += invalid.push(x[a:b], a)
    same(got, wanted)
    total = [sum(g.count for g in p.take_gaps()) for p in (missing, invalid)]
    assert total[0] == total[1] == sum(n for _, n in bad)


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=25, deadline=None)
@given(
    cuts=splits,
    lost=st.lists(st.sampled_from(LOSSES), unique=True),
    at=st.integers(0, 60),
)
def test_a_restored_snapshot_continues_with_the_same_bits(case, cuts, lost, at):
    x = signal(case)
    original, copy = make(case), make(case)
    parts = pieces(cuts, lost, 0)
    at = min(at, len(parts))
    copy.push(x[:777], 12345)
    for a, b in parts[:at]:
        original.push(x[a:b], a)
    snapshot = original.snapshot()
    wanted = [t for a, b in parts[at:] for t in original.push(x[a:b], a)]
    copy.restore(snapshot)
    got = [t for a, b in parts[at:] for t in copy.push(x[a:b], a)]
    same(got, wanted)
    after, again = original.snapshot(), copy.snapshot()
    assert after.keys() == again.keys()
    assert all(np.array_equal(after[k], again[k], equal_nan=True) for k in after)


def test_a_snapshot_survives_a_file(tmp_path):
    x = signal("all")
    original, copy = make("all"), make("all")
    original.push(x[:605], 0)
    np.savez(tmp_path / "state.npz", **original.snapshot())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as arrays:
        copy.restore(dict(arrays))
    same(copy.push(x[605:], 605), original.push(x[605:], 605))


def test_a_snapshot_brings_the_filter_coefficients_of_its_processor_along(monkeypatch):
    x = signal("all")
    original = make("all")
    design = feature_pipeline.band_sections
    monkeypatch.setattr(feature_pipeline, "band_sections", lambda *a: design(*a) * (1 - 1e-15))
    copy = make("all")
    original.push(x[:605], 0)
    copy.restore(original.snapshot())
    for first in (605, 10_000):
        same(copy.push(x[605:], first), original.push(x[605:], first))


def test_a_snapshot_of_other_settings_is_refused():
    with pytest.raises(UserError, match="does not fit"):
        make("all").restore(make("bad").snapshot())
    with pytest.raises(UserError, match="does not fit"):
        make("all").restore({})
    forged = make("all").snapshot()
    forged["grid.numbers"][2] = 99
    with pytest.raises(UserError, match="out of range"):
        make("all").restore(forged)


def test_a_reset_pipeline_equals_a_new_one():
    x = signal("all")
    used, new = make("all"), make("all")
    used.push(x, 3)
    used.reset()
    same(used.push(x, 8), new.push(x, 8))


def test_a_long_recording_gives_the_same_bits_in_one_piece_and_in_hops():
    settings = FeatureSettings(montage="both")
    x = np.random.default_rng(8).standard_normal((20_000, 32)).astype(np.float32)
    offline, live = (FeaturePipeline(settings, 32, RATE) for _ in range(2))
    ticks = [t for i in range(0, len(x), 16) for t in live.push(x[i : i + 16], i)]
    same(ticks, offline.push(x, 0))


def test_the_samples_given_are_not_changed():
    for case in CASES:
        x = np.asarray(signal(case), np.float64, order="C")
        before = x.copy()
        make(case).push(x, 0)
        assert np.array_equal(x, before)
