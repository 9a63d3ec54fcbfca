"""Features against their published definitions, over the window, sample by sample."""

import itertools

import numpy as np
import pytest
from scipy.signal import lfilter, periodogram

from emghand.errors import UserError
from emghand.signal import window_features
from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.settings import FEATURES, FeatureSettings

RATE = 1000.0
WAMP = 0.5
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
    if name == "logvar":
        return np.log(np.sum(x**2) / (len(x) - 1))
    if name == "wamp":
        return np.sum(np.abs(step) >= WAMP)
    if name == "activity":
        return np.mean(x**2)
    if name == "mobility":
        return np.sqrt(np.mean(step**2) / np.mean(x**2))
    if name == "complexity":
        mobility_of_steps = np.sqrt(np.mean(np.diff(step) ** 2) / np.mean(step**2))
        return mobility_of_steps / direct("mobility", x, 0.0)
    if name in ("mnf", "mdf"):
        frequency, power = periodogram(x, RATE, detrend=False)
        if name == "mnf":
            return np.average(frequency, weights=power)
        return frequency[np.searchsorted(np.cumsum(power), power.sum() / 2)]
    if name == "zc":
        return np.sum((x[:-1] * x[1:] < 0) & (np.abs(step) >= threshold))
    turn = (x[1:-1] - x[:-2]) * (x[1:-1] - x[2:]) > 0
    large = (np.abs(step[:-1]) >= threshold) | (np.abs(step[1:]) >= threshold)
    return np.sum(turn & large)


def burg(x):
    """Least squares of the forward and backward errors, one order at a time, by a solver.

    The reflection coefficient k minimises Σ (f - k b)² + (b - k f)²; the coefficients follow from
    those of the order before by the recursion of Levinson.
    """
    a = np.zeros(0)
    for order in range(1, 5):
        n = np.arange(order, len(x))
        f = x[n] - sum(a[j] * x[n - 1 - j] for j in range(order - 1))
        b = x[n - order] - sum(a[j] * x[n - order + 1 + j] for j in range(order - 1))
        k = (
            np.linalg.lstsq(np.concatenate([b, f])[:, None], np.concatenate([f, b]))[0][0]
            if len(n)
            else 0.0
        )
        a = np.append(a - k * a[::-1], k)
    return a


def wanted_features(names, window, montage, threshold):
    """Every feature of every column, in the order of the vector."""
    found = []
    for name in names:
        if name == "ar":
            found += list(np.array([burg(c) for c in columns(window, montage)]).T.ravel())
        else:
            found += [direct(name, c, threshold) for c in columns(window, montage)]
    return found


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
        wamp_threshold=WAMP,
        **UNFILTERED,
    )
    pipeline = FeaturePipeline(settings, n_channels, RATE)
    ticks = pipeline.push(x, 0)
    assert [t.tick for t in ticks] == list(range(window_hops - 1, 40))
    for tick in ticks:
        window = x[tick.last_sample + 1 - hop * window_hops : tick.last_sample + 1]
        wanted = wanted_features(FEATURES, window, montage, threshold)
        np.testing.assert_allclose(tick.z, wanted, rtol=1e-12, atol=1e-12)


def test_features_equal_their_definitions_after_an_hour():
    hop, window_hops = 16, 19
    rng = np.random.default_rng(2)
    sums = tuple(f for f in FEATURES if f not in window_features.WINDOW_FEATURES)
    settings = FeatureSettings(features=sums, wamp_threshold=WAMP, **UNFILTERED)
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
        wanted = wanted_features(sums, window, "single", 0.0)
        np.testing.assert_allclose(tick.z, wanted, rtol=1e-11)


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


def test_a_channel_map_reorders_renames_and_leaves_out():
    x = np.random.default_rng(3).standard_normal((320, 4))
    mapped = FeatureSettings(
        channel_map=("ch4", "ch1=flexor", "ch2"), bad_channels=("ch2",), montage="both"
    )
    pipeline = FeaturePipeline(mapped, 4, RATE)
    assert pipeline.channels == ("ch4", "flexor")
    assert pipeline.names == ("mav:ch4", "mav:flexor", "mav:ch4-flexor")
    plain = FeaturePipeline(FeatureSettings(montage="both"), 2, RATE)
    for tick, wanted in zip(pipeline.push(x, 0), plain.push(x[:, [3, 0]], 0), strict=True):
        np.testing.assert_array_equal(tick.z, wanted.z)


@pytest.mark.parametrize(
    ("channel_map", "text"),
    [(("ch9",), "no channel 'ch9'"), (("ch1=",), "no channel"), (("ch1=a", "ch2=a"), "name twice"),
     (("ch1=a", "ch1=b"), "channel twice")],
)  # fmt: skip
def test_a_channel_map_that_does_not_fit_the_device_is_refused(channel_map, text):
    with pytest.raises(UserError, match=text):
        FeaturePipeline(FeatureSettings(channel_map=channel_map), 4, RATE)


def test_the_willison_amplitude_needs_a_threshold():
    with pytest.raises(UserError, match="wamp_threshold"):
        FeatureSettings(features=("wamp",))


def test_burg_finds_the_coefficients_of_a_known_process():
    """An AR(4) process of 200 000 samples; the estimates have a standard error below 0.003."""
    wanted = np.array([1.5, -1.1, 0.4, -0.2])
    noise = np.random.default_rng(5).standard_normal(200_000)
    x = lfilter([1.0], np.concatenate([[1.0], -wanted]), noise)
    np.testing.assert_allclose(window_features.burg(x[:, None], 4)[:, 0], wanted, atol=0.012)


def test_features_of_a_tone_are_its_frequency():
    t = np.arange(3200) / RATE
    x = np.sin(2 * np.pi * 125.0 * t)[:, None]
    names = ("mnf", "mdf", "mobility", "complexity")
    settings = FeatureSettings(window_hops=20, features=names, **UNFILTERED)
    mnf, mdf, mobility, complexity = FeaturePipeline(settings, 1, RATE).push(x, 0)[-1].z
    assert mnf == pytest.approx(125.0)
    assert mdf == pytest.approx(125.0)
    # The steps of a tone of w radians per sample are a tone 2 sin(w / 2) times as large.
    assert mobility == pytest.approx(2 * np.sin(np.pi / 8), rel=0.01)
    assert complexity == pytest.approx(1.0, rel=0.01)


def test_a_dead_channel_has_finite_features():
    settings = FeatureSettings(features=FEATURES, wamp_threshold=1.0, **UNFILTERED)
    z = FeaturePipeline(settings, 1, RATE).push(np.zeros((320, 1)), 0)[-1].z
    assert z[FEATURES.index("logvar")] == pytest.approx(np.log(1e-18))
    assert np.count_nonzero(z) == 1


def test_transforms_leave_shapes_of_the_spectrum_alone():
    x = np.random.default_rng(4).standard_normal((320, 2))
    names = ("wamp", "activity", "logvar", "mobility", "complexity", "ar", "mnf", "mdf")
    found = {
        transform: FeaturePipeline(
            FeatureSettings(features=names, transform=transform, wamp_threshold=WAMP), 2, RATE
        ).push(x, 0)[-1].z
        for transform in ("none", "sqrt", "log")
    }  # fmt: skip
    plain = found["none"]
    np.testing.assert_array_equal(found["sqrt"][:4], np.sqrt(plain[:4]))
    np.testing.assert_allclose(
        found["log"][:4], [*np.log1p(plain[:2]), *np.log(plain[2:4])], rtol=1e-15
    )
    for transform in ("sqrt", "log"):
        np.testing.assert_array_equal(found[transform][4:], plain[4:])


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
