"""Latency of an estimate against shifts that are known."""

from __future__ import annotations

import numpy as np
import pytest

from emghand.evaluate.latency import latency_s
from emghand.evaluate.metrics import METRICS, make_case

RATE = 62.5


def smooth(t, seed=0):
    """A band-limited signal at the times t [s]."""
    rng = np.random.default_rng(seed)
    tones = zip(rng.uniform(0.2, 1.5, 12), rng.uniform(0, 6.28, 12), strict=True)
    return sum(np.sin(2 * np.pi * f * t + phase) for f, phase in tones)


@pytest.mark.parametrize("delay_s", [-0.2, 0.0, 0.0123, 0.1, 0.333])
def test_a_known_delay_is_found_to_a_millisecond(delay_s):
    t = np.arange(2000) / RATE
    x_d = np.column_stack([smooth(t), smooth(t, 1)])
    noise = 0.1 * np.random.default_rng(2).normal(size=x_d.shape)
    x_hat = 0.5 * np.column_stack([smooth(t - delay_s), smooth(t - delay_s, 1)]) + noise + 0.3
    found = latency_s(x_d, x_hat, np.zeros(len(t), dtype=int), RATE)
    np.testing.assert_allclose(found, delay_s, atol=1e-3)
    case = make_case(x_d, x_hat, tick_rate=RATE)
    np.testing.assert_allclose(METRICS["latency"].compute(case), found * 1e3)


def test_pairs_never_reach_across_a_gap():
    """Two pieces whose delay is right within each, and wrong across."""
    t = np.arange(600) / RATE
    pieces = [smooth(t, seed) for seed in (0, 1)]
    late = [smooth(t - 0.08, seed) for seed in (0, 1)]
    run = np.repeat([0, 1], len(t))
    found = latency_s(np.concatenate(pieces)[:, None], np.concatenate(late)[:, None], run, RATE)
    np.testing.assert_allclose(found, 0.08, atol=1e-3)


def test_what_does_not_move_or_follow_has_no_latency():
    t = np.arange(500) / RATE
    x_d = np.column_stack([smooth(t), np.zeros(500), smooth(t)])
    x_hat = np.column_stack([np.ones(500), smooth(t), smooth(t - 3.0)])
    found = latency_s(x_d, x_hat, np.zeros(500, dtype=int), RATE, max_s=0.05)
    assert np.isnan(found).all()
    assert np.isnan(latency_s(x_d[:1], x_hat[:1], np.zeros(1, dtype=int), RATE)).all()
