"""The sample clock against streams whose true acquisition times are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.signal.sample_clock import SampleClock

MS = 1_000_000
START = 7_654_321 * MS


def stream(rng, rate, block, seconds, ppm, jitter_ms, bursts):
    """Last samples, their true times and the arrivals of blocks, in ns."""
    count = int(seconds * rate / block)
    last = np.arange(1, count + 1) * block + 1000
    period = 1e9 / rate * (1 + ppm * 1e-6)
    true = START + np.round(last * period).astype(np.int64)
    arrival = true + np.round(rng.exponential(jitter_ms * MS, count)).astype(np.int64)
    for begin, length in bursts:
        held = (true > true[0] + begin * 1e9) & (true < true[0] + (begin + length) * 1e9)
        if held.any():
            arrival[held] = np.maximum(arrival[held], true[held][-1])
    return last, period, np.maximum.accumulate(arrival)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rate=st.sampled_from([200.0, 250.0, 1000.0, 2000.0]),
    ppm=st.floats(-100, 100),
    jitter_ms=st.floats(0.0, 3.0),
    bursts=st.lists(st.tuples(st.floats(0, 40), st.floats(0.02, 0.8)), max_size=8),
)
def test_stamps_follow_the_acquisition_within_a_millisecond(seed, rate, ppm, jitter_ms, bursts):
    block = max(1, int(rate / 62.5))
    rng = np.random.default_rng(seed)
    last, period, arrival = stream(rng, rate, block, 40.0, ppm, jitter_ms, bursts)
    clock = SampleClock(rate)
    previous = -1
    errors = []
    for sample, at in zip(last.tolist(), arrival.tolist(), strict=True):
        clock.update(sample, at)
        for s in (sample - block + 1, sample):
            told = clock.time_ns(s)
            assert told > previous
            previous = told
            errors.append(told - (START + s * period))
    settled = np.abs(errors[len(errors) // 4 :]) / MS
    assert settled.max() < 1.0
    assert abs(clock.drift_ppm - ppm) < 50


def test_a_late_first_block_is_corrected_without_going_back():
    clock = SampleClock(1000.0)
    clock.update(15, START + 415 * MS)
    told = [clock.time_ns(15)]
    for k in range(1, 200):
        clock.update(15 + 16 * k, START + (15 + 16 * k) * MS)
        told.append(clock.time_ns(15 + 16 * k))
    assert min(np.diff(told)) > 0
    assert abs(told[-1] - (START + (15 + 16 * 199) * MS)) < 0.01 * MS


def test_a_true_rate_far_from_the_stated_one_is_found():
    clock = SampleClock(200.0)
    rng = np.random.default_rng(0)
    for k in range(1, 4000):
        true = START + round(k * 10 * MS * 1.008)
        clock.update(2 * k, true + round(rng.exponential(2 * MS)))
    assert clock.drift_ppm == pytest.approx(8000, abs=50)
    assert abs(clock.time_ns(2 * k) - true) < MS


def test_samples_lost_without_being_counted_are_noticed():
    clock = SampleClock(1000.0)
    shift = 0
    for k in range(1, 2500):
        if k == 1250:
            shift = 700 * MS
        at = START + k * 16 * MS + shift
        clock.update(16 * k, at)
    assert abs(clock.time_ns(16 * k) - at) < MS


def test_a_machine_that_slept_starts_anew_and_goes_on_upwards():
    clock = SampleClock(1000.0)
    for k in range(1, 1000):
        clock.update(16 * k, START + k * 16 * MS)
    before = clock.time_ns(16 * k)
    hour = 3_600_000
    arrival = START + (k + 1) * 16 * MS
    clock.update(16 * (k + 1) + hour, arrival)
    assert clock.time_ns(16 * (k + 1) + hour) == arrival > before
    assert clock.time_ns(16 * k + 1 + hour) > before


def test_a_counter_that_goes_back_is_a_new_stream():
    clock = SampleClock(1000.0)
    for k in range(1, 1000):
        clock.update(16 * k, START + k * 16 * MS)
    later = START + 60_000 * MS
    clock.update(15, later)
    assert clock.time_ns(15) == later
    assert clock.time_ns(0) == later - 15 * MS


def test_reset_forgets_and_asking_too_early_is_an_error():
    clock = SampleClock(1000.0)
    clock.update(5, START)
    clock.reset()
    with pytest.raises(ValueError, match="no block"):
        clock.time_ns(5)
