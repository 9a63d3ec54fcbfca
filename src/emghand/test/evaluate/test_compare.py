"""Comparisons against scipy and closed forms; no claim without enough units."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from result_maker import make
from scipy import stats

from emghand.errors import UserError
from emghand.evaluate.compare import compare
from emghand.evaluate.statistics import holm, mean_interval, rank_biserial, signed_rank


def test_the_interval_agrees_with_the_bootstrap_of_scipy():
    """Percentile interval at the widened level; both are Monte Carlo: within 2 % of its width."""
    values = np.random.default_rng(0).gamma(2.0, size=40)
    n = len(values)
    level = 1 - 2 * stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", confidence_level=level, n_resamples=40_000
    ).confidence_interval
    found = mean_interval(values, seed=1, resamples=40_000)
    np.testing.assert_allclose(found, expected, atol=0.02 * (expected.high - expected.low))


@pytest.mark.parametrize("n", [8, 30])
def test_the_interval_covers_the_true_mean_nearly_as_often_as_it_says(n):
    """1000 samples of a normal: 95 % are covered, to within 3 points (a chance of 1 in 10^4)."""
    rng = np.random.default_rng(n)
    samples = rng.normal(3.0, 2.0, (1000, n))
    covered = [low <= 3.0 <= high for low, high in (mean_interval(s, 0, 1000) for s in samples)]
    assert 0.92 <= np.mean(covered) <= 0.98


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).normal(size=20)
    assert mean_interval(values, 5) == mean_interval(values, 5)
    assert mean_interval(values, 5) != mean_interval(values, 6)


def test_the_signed_rank_test_is_exact_for_few_pairs():
    """Against all sign flips of 8 differences."""
    d = np.array([0.3, -0.1, 0.5, 0.7, 0.2, 0.9, -0.4, 1.1])
    ranks = stats.rankdata(np.abs(d))
    observed = min(ranks[d > 0].sum(), ranks[d < 0].sum())
    smaller = [
        min(ranks[list(flip)].sum(), ranks[[not f for f in flip]].sum()) <= observed
        for flip in itertools.product([False, True], repeat=8)
    ]
    assert signed_rank(d) == pytest.approx(np.mean(smaller))
    assert rank_biserial(d) == pytest.approx((ranks[d > 0].sum() - ranks[d < 0].sum()) / 36)


def test_fewer_than_six_pairs_that_differ_prove_nothing():
    assert np.isnan(signed_rank(np.array([1.0, 2.0, 3.0, 4.0, 5.0])))
    assert np.isnan(signed_rank(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0])))
    assert signed_rank(np.arange(1.0, 7.0)) == pytest.approx(2 / 64)


def test_holm_by_hand():
    found = holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    np.testing.assert_allclose(found, [0.03, 0.06, np.nan, 0.06, 0.02])


def test_a_better_estimate_is_found_to_be_better():
    results = [make("good", noise=0.05, trials=12), make("bad", noise=0.2, seed=1, trials=12)]
    for metric in ("r2", "rmse"):
        found = compare(results, metric)
        pair = found.pairs[0]
        assert (pair.a, pair.b, pair.better, pair.n) == ("good", "bad", "good", 12)
        assert abs(pair.effect) == 1.0
        assert pair.p == pytest.approx(2 / 2**12)
        assert (pair.low > 0) if metric == "r2" else (pair.high < 0)
    values = results[0].scores["x_hat_compensated"]["rmse"].values()
    assert found.items[0].pooled == pytest.approx(np.mean(list(values)))
    assert found.items[0].low < found.items[0].mean < found.items[0].high


def test_of_equal_systems_chance_is_seldom_called_a_difference():
    """400 pairs of systems that differ in nothing but noise: about 5 % are significant."""
    rng = np.random.default_rng(3)
    p = [signed_rank(rng.normal(size=15)) for _ in range(400)]
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08


def test_a_result_beside_itself_shows_no_difference():
    found = compare([make("a"), make("a")])
    assert [i.name for i in found.items] == ["a (1)", "a (2)"]
    assert found.pairs[0].difference == 0.0
    assert found.pairs[0].p is None
    assert found.pairs[0].better == ""


def test_with_few_units_nothing_is_claimed():
    found = compare([make("a", trials=4), make("b", seed=1, noise=0.9, trials=4)])
    assert found.pairs[0].n == 4
    assert found.pairs[0].p is None
    assert found.pairs[0].better == ""
    assert "nothing can be claimed" in " ".join(found.notes)


def test_different_data_are_refused_unless_asked_for():
    a, b = make("a", digest="one"), make("b", digest="two", seed=1)
    with pytest.raises(UserError, match="different recordings"):
        compare([a, b])
    with pytest.raises(UserError, match="held out differently"):
        compare([a, make("b", digest="one", scheme="repetition")])
    found = compare([a, b], different_data=True)
    assert found.test == "mann-whitney"
    assert found.pairs[0].low is None
    assert "not paired" in " ".join(found.notes)


def test_a_model_that_has_seen_the_data_is_named():
    cheat = dataclasses.replace(make("cheat"), trained_on=("d1",))
    assert "cheat was trained on bags/test" in compare([make("a"), cheat]).notes[0]


def test_it_is_said_when_all_ticks_tell_the_opposite():
    """One bad trial of twelve outweighs the others in the sum, but not in the ranks."""
    good, even = make("mostly good", noise=0.05, trials=12), make("even", noise=0.1, trials=12)
    x_hat = good.ticks.x_hat.copy()
    x_hat[good.ticks.trial == 3] += 2.0
    good = dataclasses.replace(good, ticks=dataclasses.replace(good.ticks, x_hat=x_hat))
    found = compare([good, even], "rmse")
    assert found.pairs[0].better == "mostly good"
    assert found.items[0].pooled > found.items[1].pooled
    assert "even is better than mostly good" in found.notes[-1]


def test_trials_of_several_people_are_said_to_be_of_these_people():
    results = []
    for seed in (0, 1):
        result = make(f"r{seed}", seed=seed)
        other = dataclasses.replace(result.sources[0], digest="d2", subject="p02")
        results.append(dataclasses.replace(result, sources=(*result.sources, other)))
    assert "holds for these people" in compare(results).notes[0]
    assert not any("these people" in n for n in compare(results, unit="subject").notes)


@pytest.mark.parametrize("unit", ["trial", "repetition", "recording", "session", "day", "subject"])
def test_every_unit_is_scored_once(unit):
    found = compare([make("a"), make("b", seed=1)], unit=unit)
    assert found.items[0].n == {"trial": 8, "repetition": 4}.get(unit, 1)


def test_ticks_before_the_first_trial_are_no_unit():
    results = []
    for name in ("a", "b"):
        result = make(name)
        trial = np.where(result.ticks.trial == 0, -1, result.ticks.trial)
        ticks = dataclasses.replace(result.ticks, trial=trial)
        results.append(dataclasses.replace(result, ticks=ticks))
    assert compare(results).items[0].n == 7


def test_a_recording_without_trials_is_cut_into_pieces_of_ten_seconds():
    results = []
    for name in ("a", "b"):
        result = make(name, trials=40)
        nothing = np.full(len(result.ticks), -1)
        ticks = dataclasses.replace(result.ticks, trial=nothing, repetition=nothing)
        results.append(dataclasses.replace(result, ticks=ticks))
    assert compare(results).items[0].n == 4, "2400 ticks at 62.5 Hz"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"unit": "tick"}, "unknown, choose from: trial"),
        ({"signal": "x"}, "unknown, choose from: x_hat"),
        ({"metric": "x"}, "unknown, choose from: r2"),
        ({"resamples": 10}, "at least 1000"),
    ],
)
def test_mistakes_are_named(options, text):
    with pytest.raises(UserError, match=text):
        compare([make("a"), make("b")], **options)
    with pytest.raises(UserError, match="at least 2"):
        compare([make("a")])
