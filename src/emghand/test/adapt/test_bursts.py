"""Bursts of an envelope that is known, and of the synthetic arm."""

from __future__ import annotations

import numpy as np
import pytest

from emghand.adapt.bursts import BurstSettings, burst_rows, find_bursts
from emghand.errors import UserError
from emghand.settings import SettingsError
from emghand.storage.recording import Block, Recording, Stream

RATE = 1000.0
PLAIN = BurstSettings(before_s=0.0, after_s=0.0, merge_s=0.0)


def rows(values, settings=PLAIN):
    return burst_rows(np.array(values, float), 0.0, 1.0, settings, RATE)


def test_a_burst_begins_at_the_upper_threshold_and_ends_at_the_lower_one():
    envelope = np.zeros(200)
    envelope[50:60] = 1.0
    envelope[60:100] = 2.0
    envelope[100:120] = 1.0
    assert rows(envelope) == [(60, 120)]


def test_what_never_reaches_the_upper_threshold_is_none():
    envelope = np.zeros(200)
    envelope[50:150] = 1.2
    assert rows(envelope) == []


@pytest.mark.parametrize(("length", "count"), [(11, 0), (12, 1)])
def test_shorter_bursts_are_none(length, count):
    envelope = np.zeros(200)
    envelope[50 : 50 + length] = 5.0
    assert len(rows(envelope)) == count


@pytest.mark.parametrize(("gap", "count"), [(299, 1), (300, 2)])
def test_bursts_close_together_are_one(gap, count):
    envelope = np.zeros(2000)
    envelope[500:600] = envelope[600 + gap : 700 + gap] = 5.0
    found = rows(envelope, BurstSettings())
    assert len(found) == count
    assert found[0][0] == 500 - 40
    assert found[-1][1] == 700 + gap + 120


def recording(samples, cut=None):
    blocks = [
        Block(first, round(first * 1e6), samples[first : first + 100])
        for first in range(0, len(samples), 100)
        if cut is None or first != cut
    ]
    stream = Stream("test", "test", tuple(f"c{i}" for i in range(samples.shape[1])), RATE, 100)
    return Recording("test", stream, blocks)


def signal(seconds=20.0, active=((12.0, 13.0), (15.0, 16.0))):
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * RATE)) / RATE
    gain = np.ones(len(t))
    for start, end in active:
        gain[(t >= start) & (t < end)] = 10.0
    return (1e-6 * gain[:, None] * rng.standard_normal((len(t), 8))).astype(np.float32)


def test_bursts_of_a_signal_lie_where_it_was_active():
    # A scaled signal is the same one; a dead channel does not matter.
    samples = signal() * 1000.0
    samples[:, 3] = 0.0
    found = find_bursts(recording(samples), BurstSettings(enter=6.0, leave=3.0))
    starts = [b.start_ns * 1e-9 for b in found]
    np.testing.assert_allclose(starts, [11.96, 14.96], atol=0.03)
    # The notches ring for about a tenth of a second.
    ends = [b.end_ns * 1e-9 for b in found]
    np.testing.assert_allclose(ends, [13.2, 16.2], atol=0.1)


def test_missing_samples_cut_a_burst():
    found = find_bursts(recording(signal(), cut=12500), BurstSettings(enter=6.0, leave=3.0))
    assert len(found) == 3
    assert found[0].end_ns <= 12.5e9
    assert found[1].start_ns >= 12.6e9 - 1


def test_a_recording_without_rest_is_refused():
    with pytest.raises(UserError, match="too short for the burst detector"):
        find_bursts(recording(signal(5.0, ())))


def test_a_dead_recording_has_no_burst():
    assert find_bursts(recording(np.zeros((15000, 4), np.float32))) == []


def test_thresholds_must_be_in_order():
    with pytest.raises(SettingsError, match="leave"):
        BurstSettings(enter=1.0, leave=2.0)
