"""Features against their published definitions, over the window, sample by sample."""

import itertools

import numpy as np
import pytest

from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.settings import FEATURES, FeatureSettings

UNFILTERED = {"bandpass_low": 0.0, "bandpass_high": 0.0, "notch_hz": 0.0}


def direct(name, x, threshold):
    """The definition, over the samples of one window, shape (n,)."""
    step = np.diff(x)
    if name == "mav":
        return np.abs(x).mean()
    if name == "iav":
        return np.abs(x).sum()
    if name == "rms":
        return np.sqrt((x**2).mean())
    if name == "var":
        return (x**2).sum() / (len(x) - 1)
    if name == "wl":
        return np.abs(step).sum()
    if name == "zc":
        return np.sum((x[:-1] * x[1:] < 0) & (np.abs(step) >= threshold))
    turn = (x[1:-1] - x[:-2]) * (x[1:-1] - x[2:]) > 0
    large = (np.abs(step[:-1]) >= threshold) | (np.abs(step[1:]) >= threshold)
    return np.sum(turn & large)


def columns(x, montage):
    n = x.shape[1]
    singles = [x[:, i] for i in range(n)] if montage != "differential" else []
    pairs = [x[:, a] - x[:, b] for a, b in itertools.combinations(range(n), 2)]
    return singles + (pairs if montage != "single" else [])


@pytest.mark.parametrize("montage", ["single", "differential", "both"])
@pytest.mark.parametrize("n_channels", [2, 3, 4, 5])
@pytest.mark.parametrize(("hop", "window_hops"), [(2, 2), (3, 5), (16, 4)])
@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_features_equal_their_definitions_at_every_tick(
    montage, n_channels, hop, window_hops, threshold
):
    x = np.random.default_rng(1).standard_normal((hop * 40, n_channels))
    x[hop * 20] += 50.0
    settings = FeatureSettings(
        hop=hop,
        window_hops=window_hops,
        montage=montage,
        features=FEATURES,
        zc_threshold=threshold,
        ssc_threshold=threshold,
        **UNFILTERED,
    )
    pipeline = FeaturePipeline(settings, n_channels, 1000.0)
    ticks = pipeline.push(x, 0)
    assert [t.tick for t in ticks] == list(range(window_hops - 1, 40))
    for tick in ticks:
        window = x[tick.last_sample + 1 - hop * window_hops : tick.last_sample + 1]
        wanted = [direct(name, c, threshold) for name in FEATURES for c in columns(window, montage)]
        np.testing.assert_allclose(tick.z, wanted, rtol=1e-13)


def test_features_equal_their_definitions_after_an_hour():
    hop, window_hops = 16, 19
    rng = np.random.default_rng(2)
    settings = FeatureSettings(features=FEATURES, **UNFILTERED)
    pipeline = FeaturePipeline(settings, 2, 1000.0)
    minute = rng.standard_normal((60_000, 2)) * 1e-5
    first = 0
    for k in range(60):
        # Bursts ten thousand times larger come and go: a running sum would not recover.
        block = minute * (1e4 if k % 2 == 0 else 1.0)
        ticks = pipeline.push(block, first)
        first += len(block)
    assert first == 3_600_000
    for tick in ticks[-5:]:
        end = tick.last_sample + 1 - (first - len(block))
        window = block[end - hop * window_hops : end]
        wanted = [direct(name, c, 0.0) for name in FEATURES for c in columns(window, "single")]
        np.testing.assert_allclose(tick.z, wanted, rtol=1e-12)


def test_names_tell_feature_and_channel_in_the_order_of_the_vector():
    settings = FeatureSettings(montage="both", features=("rms", "zc"))
    pipeline = FeaturePipeline(settings, 3, 1000.0, channel_names=("a", "b", "c"))
    channels = ["a", "b", "c", "a-b", "a-c", "b-c"]
    assert pipeline.names == tuple(f"{f}:{c}" for f in ("rms", "zc") for c in channels)
    assert pipeline.n_features == 12
    assert pipeline.tick_rate == 62.5


def test_both_montages_of_32_channels_have_528_columns():
    pipeline = FeaturePipeline(FeatureSettings(montage="both"), 32, 1000.0)
    assert pipeline.n_features == 528
    assert len(set(pipeline.names)) == 528


def test_a_bad_channel_takes_every_pair_that_holds_it_along():
    x = np.random.default_rng(3).standard_normal((320, 4))
    x[:, 2] = np.nan
    settings = FeatureSettings(montage="both", bad_channels=("ch3",), **UNFILTERED)
    pipeline = FeaturePipeline(settings, 4, 1000.0)
    assert pipeline.names == tuple(
        f"mav:{c}" for c in ("ch1", "ch2", "ch4", "ch1-ch2", "ch1-ch4", "ch2-ch4")
    )
    window = np.delete(x, 2, axis=1)[16:]
    wanted = [np.abs(c).mean() for c in columns(window, "both")]
    np.testing.assert_allclose(pipeline.push(x, 0)[-1].z, wanted, rtol=1e-13)


def test_transforms_are_finite_on_a_dead_channel():
    x = np.random.default_rng(4).standard_normal((320, 2))
    x[:, 1] = 0.0
    vectors = {}
    for transform in ("none", "sqrt", "log"):
        settings = FeatureSettings(features=("mav", "zc"), transform=transform, **UNFILTERED)
        vectors[transform] = FeaturePipeline(settings, 2, 1000.0).push(x, 0)[-1].z
    plain = vectors["none"]
    np.testing.assert_allclose(vectors["sqrt"], np.sqrt(plain))
    wanted = [np.log(plain[0]), np.log(1e-18), np.log(1 + plain[2]), 0.0]
    np.testing.assert_allclose(vectors["log"], wanted)
