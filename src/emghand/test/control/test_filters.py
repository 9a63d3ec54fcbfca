"""Oracles of the single filters, from their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emghand.control.filters import (
    DeadZone,
    DeadZoneHysteresis,
    Gain,
    Latch,
    LatchingIntegrate,
    LeakyIntegrate,
    LeakyLatch,
    SpeedLimit,
    Velocity,
)

ONE = np.ones(1)
values = st.floats(-2.0, 2.0, allow_nan=False)
signals = arrays(np.float64, st.integers(1, 60), elements=values)
rates = st.floats(20.0, 200.0)
gains = st.floats(0.0, 100.0)


def run(made, signal):
    return np.array([made.step(np.array([x]))[0] for x in signal])


def test_gain_acts_per_direction_then_locks_then_ties():
    gain = Gain(
        positive=np.array([2.0, 1.0, 1.0, 1.0, 1.0]),
        negative=np.array([0.5, 0.0, 1.0, 1.0, 1.0]),
        locked=np.array([False, False, False, True, False]),
        lock_value=np.array([0.0, 0.0, 0.0, 0.7, 0.0]),
        source=np.array([0, 1, 0, 3, 3]),
    )
    np.testing.assert_array_equal(
        gain.step(np.array([0.4, 0.3, -1.0, -1.0, 0.1])), [0.8, 0.3, 0.8, 0.7, 0.7]
    )
    np.testing.assert_array_equal(
        gain.step(np.array([-0.4, -0.3, 1.0, 0.0, 0.1])), [-0.2, 0.0, -0.2, 0.7, 0.7]
    )


@given(signals)
def test_latch_with_c_zero_freezes(signal):
    assert not run(Latch(0.0 * ONE, 30.0), signal).any()


@given(signals)
def test_latch_with_large_c_is_the_identity(signal):
    np.testing.assert_allclose(run(Latch(1e12 * ONE, 30.0), signal), signal, atol=2e-6)


@given(values, values, st.floats(0.01, 100.0), rates)
def test_latch_passes_changes_of_at_least_one_over_root_c(start, x, c, rate):
    latch = Latch(c * ONE, rate)
    latch.y = np.array([start])
    y = latch.step(np.array([x]))[0]
    if abs(x - start) >= (1.0 + 1e-9) / np.sqrt(c * 30.0 / rate):
        assert y == x
    else:
        w = c * 30.0 / rate * (x - start) ** 2
        assert y == pytest.approx(start + w * (x - start), abs=1e-12)


@given(signals, gains, st.floats(0.0, 1.0), rates)
def test_latches_never_overshoot(signal, c, a, rate):
    for latch in (Latch(c * ONE, rate), LeakyLatch(c * ONE, a * ONE, rate)):
        before = 0.0
        for x in signal:
            after = latch.step(np.array([x]))[0]
            assert min(before, x) - 1e-12 <= after <= max(before, x) + 1e-12
            before = after


@given(signals, gains, st.floats(0.0, 1.0), rates)
def test_latches_are_odd(signal, c, a, rate):
    for make in (lambda: Latch(c * ONE, rate), lambda: LeakyLatch(c * ONE, a * ONE, rate)):
        np.testing.assert_array_equal(run(make(), signal), -run(make(), -signal))


@pytest.mark.parametrize(("c", "d0", "n"), [(1.0, 0.05, 500), (1.0, 0.2, 4000), (0.1, 0.9, 9000)])
def test_latch_residual_follows_the_formula(c, d0, n):
    residual = d0 - run(Latch(c * ONE, 30.0), np.full(n, d0))[-1]
    assert residual == pytest.approx(d0 / np.sqrt(1.0 + 2.0 * c * d0**2 * n), rel=0.02)


@pytest.mark.parametrize("rate", [60.0, 62.5, 100.0])
def test_latch_takes_the_same_time_at_every_tick_rate(rate):
    seconds, d0 = 20.0, 0.3
    reference = run(Latch(ONE, 30.0), np.full(int(seconds * 30), d0))[-1]
    assert run(Latch(ONE, rate), np.full(int(seconds * rate), d0))[-1] == pytest.approx(
        reference, rel=0.01
    )


@pytest.mark.parametrize("rate", [60.0, 100.0])
def test_leaky_latch_takes_the_same_time_at_every_tick_rate(rate):
    make = lambda f: LeakyLatch(4.0 * ONE, 0.02 * ONE, f)  # noqa: E731
    reference = run(make(30.0), np.full(30, 0.2))[-1]
    assert run(make(rate), np.full(int(rate), 0.2))[-1] == pytest.approx(reference, rel=0.03)


def test_leaky_latch_has_no_permanent_offset():
    signal = np.full(3000, 0.1)
    assert run(LeakyLatch(4.0 * ONE, 0.02 * ONE, 30.0), signal)[-1] == pytest.approx(0.1, abs=1e-6)
    assert run(Latch(4.0 * ONE, 30.0), signal)[-1] < 0.095


def test_leaky_latch_follows_its_definition():
    latch = LeakyLatch(4.0 * ONE, 0.02 * ONE, 60.0)
    c, a, y = 2.0, 0.01, 0.0
    for x in np.random.default_rng(0).uniform(-1, 1, 200):
        f = a * x + (1 - a) * y
        w = min(1.0, c * (f - x) ** 2)
        y = w * x + (1 - w) * f
        assert latch.step(np.array([x]))[0] == pytest.approx(y, abs=1e-12)


def test_hard_dead_zone_keeps_the_value_outside():
    zone = DeadZone(np.full(5, 0.1), np.full(5, 0.3), rescale=False)
    np.testing.assert_array_equal(
        zone.step(np.array([0.0999, 0.1, -0.2, -0.3, 1.0])), [0.0, 0.1, 0.0, -0.3, 1.0]
    )


@given(values, st.floats(0.0, 0.9), st.floats(0.0, 0.9))
def test_rescaled_dead_zone_starts_from_zero_and_keeps_full_input(x, up, down):
    zone = DeadZone(up * ONE, down * ONE, rescale=True)
    y = zone.step(np.array([x]))[0]
    edge = up if x >= 0 else down
    assert y == pytest.approx(np.sign(x) * max(0.0, abs(x) - edge) / (1.0 - edge), abs=1e-12)
    assert zone.step(np.array([1.0]))[0] == 1.0
    assert zone.step(np.array([-1.0]))[0] == -1.0


def test_hysteresis_raises_the_edge_until_the_dof_was_quiet():
    zone = DeadZoneHysteresis(0.1 * ONE, 0.1 * ONE, rescale=False, raised=0.2, quiet_ticks=5)
    assert not run(zone, [0.15] * 20).any(), "raised from the start, 0.15 is not quiet"
    assert not run(zone, [0.05] * 5).any()
    assert run(zone, [0.15]) == [0.15], "quiet for 5 ticks: the configured edge counts"
    assert not run(zone, [0.0]).any()
    assert not run(zone, [0.15] * 3).any(), "raised again after the movement"
    assert run(zone, [0.25]) == [0.25]


@given(signals)
def test_hysteresis_never_makes_the_rescaled_output_jump(signal):
    smooth = np.cumsum(signal) * 0.01
    zone = DeadZoneHysteresis(0.1 * ONE, 0.1 * ONE, rescale=True, raised=0.3, quiet_ticks=3)
    out = np.concatenate([[0.0], run(zone, smooth)])
    assert np.abs(np.diff(out)).max() <= 0.02 / 0.7 + 1e-12


@given(signals, rates)
def test_integrators_stay_in_range_and_leave_the_bound_at_once(signal, rate):
    low, high = np.array([-0.5]), np.array([1.0])
    for made in (
        Velocity(ONE, low, high, rate),
        LatchingIntegrate(ONE, 4.0 * ONE, low, high, rate),
        LeakyIntegrate(ONE, ONE, low, high, rate),
    ):
        out = run(made, signal)
        assert (out >= -0.5).all()
        assert (out <= 1.0).all()
        run(made, np.full(int(20 * rate), 2.0))
        top = made.y[0]
        assert made.step(np.array([-1.0]))[0] < top, "no wind-up"


@pytest.mark.parametrize("rate", [30.0, 62.5, 100.0])
def test_velocity_moves_by_speed_times_time(rate):
    out = run(Velocity(0.5 * ONE, -ONE, ONE, rate), np.full(round(rate), 0.8))
    assert out[-1] == pytest.approx(0.4, rel=0.01)


def test_latching_integrate_holds_against_weak_input():
    made = LatchingIntegrate(ONE, 4.0 * ONE, -ONE, ONE, 100.0)
    strong = run(made, np.full(50, 1.0))[-1]
    assert strong == pytest.approx(0.5)
    assert run(made, np.full(100, -0.05))[-1] == pytest.approx(strong, abs=1e-3)


@pytest.mark.parametrize("rate", [30.0, 100.0])
def test_leaky_mode_returns_to_rest_with_its_time_constant(rate):
    made = LeakyIntegrate(ONE, 0.5 * ONE, -ONE, ONE, rate)
    made.y = np.array([1.0])
    assert run(made, np.zeros(round(rate)))[-1] == pytest.approx(np.exp(-2.0), rel=1e-6)
    assert run(made, np.full(round(20 * rate), 0.6))[-1] == pytest.approx(0.3)


@given(signals, st.floats(0.1, 10.0), rates)
def test_speed_limit_bounds_the_change_per_second(signal, limit, rate):
    out = np.concatenate([[0.0], run(SpeedLimit(limit * ONE, rate, np.zeros(1)), signal)])
    assert np.abs(np.diff(out)).max() * rate <= limit * (1.0 + 1e-9)


def test_speed_limit_crosses_the_same_way_in_the_same_time_at_every_rate():
    for rate in (30.0, 60.0, 120.0):
        out = run(SpeedLimit(2.0 * ONE, rate, np.zeros(1)), np.full(round(rate), 1.0))
        assert np.argmax(out > 1.0 - 1e-9) + 1 == rate / 2


def test_speed_limit_of_zero_means_none():
    assert run(SpeedLimit(0.0 * ONE, 60.0, np.zeros(1)), [1.0, -1.0]).tolist() == [1.0, -1.0]
