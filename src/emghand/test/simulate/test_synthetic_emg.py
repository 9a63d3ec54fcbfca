import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from scipy import signal

from emghand.dofs import DEFAULT_DOFS
from emghand.errors import UserError
from emghand.settings import SettingsError
from emghand.simulate import (
    Intention,
    SyntheticEmg,
    SyntheticGlove,
    SyntheticSettings,
    simulate_recording,
)
from emghand.simulate.emg import surface_spectrum
from emghand.storage.recording import PeriodKind
from emghand.tasks.movements import Movement, MovementSet, Schedule


def wandering(n, n_dofs=6, seed=0):
    rng = np.random.default_rng(seed)
    return np.repeat(rng.uniform(-1, 1, (n // 100 + 1, n_dofs)), 100, axis=0)[:n]


def drifting(**changes):
    return SyntheticSettings(
        drift_gain=0.3, drift_shift_deg=15.0, drift_ramp_s=1.5, drift_start_s=0.5, **changes
    )


@pytest.mark.parametrize("settings", [SyntheticSettings(), drifting(n_channels=7)])
@limits(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=20))
def test_samples_are_the_same_to_the_bit_for_any_block_sizes(settings, sizes):
    intention = wandering(sum(sizes))
    whole = SyntheticEmg(settings).push(intention)
    emg = SyntheticEmg(settings)
    edges = np.cumsum([0, *sizes])
    pieces = [emg.push(intention[a:b]) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(pieces), whole)
    assert emg.next_sample == len(whole)


def test_single_samples_equal_one_long_block_with_drift():
    intention = wandering(2500)
    whole = SyntheticEmg(drifting()).push(intention)
    emg = SyntheticEmg(drifting())
    assert np.array_equal(np.concatenate([emg.push(row[None]) for row in intention]), whole)


def test_same_seed_repeats_and_another_run_is_the_same_arm_with_other_noise():
    intention = np.zeros((8000, 6))
    intention[:, 2] = 0.8
    settings = SyntheticSettings(variability=0.0)
    first, again = (SyntheticEmg(settings).push(intention) for _ in range(2))
    other_run = SyntheticEmg(SyntheticSettings(variability=0.0, run=1)).push(intention)
    other_arm = SyntheticEmg(SyntheticSettings(variability=0.0, seed=2)).push(intention)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other_run)
    rms = [np.sqrt((x[1000:].astype(float) ** 2).mean(0)) for x in (first, other_run, other_arm)]
    assert np.corrcoef(rms[0], rms[1])[0, 1] > 0.95
    assert np.abs(rms[0] - rms[1]).max() < 0.25 * rms[0].max()
    assert np.corrcoef(rms[0], rms[2])[0, 1] < 0.9


def test_amplitudes_are_those_of_surface_emg():
    settings = SyntheticSettings()
    emg = SyntheticEmg(settings)
    rest = emg.push(np.zeros((2000, 6)))
    assert rest.dtype == np.float32
    assert 2e-6 < rest[500:].std() < 10e-6
    for dof in range(6):
        effort = np.zeros((3000, 6))
        effort[:, dof] = 1.0
        strongest = emg.push(effort)[500:].astype(float).std(axis=0).max()
        assert 30e-6 < strongest < 1e-3


def test_muscles_react_after_the_reaction_time():
    settings = SyntheticSettings(hum=0.0, reaction_s=0.2)
    effort = np.zeros((1000, 6))
    effort[500:, 1] = 1.0
    loud = np.abs(SyntheticEmg(settings).push(effort)).max(axis=1) > 40e-6
    assert 700 <= np.flatnonzero(loud)[0] < 760


@pytest.mark.parametrize("rate", [1000.0, 2000.0])
def test_spectrum_is_the_formula_of_shwedyk(rate):
    frequency, response = signal.sosfreqz(surface_spectrum(rate), worN=4096, fs=rate)
    power = np.abs(response) ** 2
    formula = frequency**2 / ((frequency**2 + 60.0**2) * (frequency**2 + 120.0**2) ** 2)
    band = (frequency > 10) & (frequency < rate / 6)
    ratio = power[band] / formula[band]
    assert ratio.max() / ratio.min() < 1.6
    assert abs(frequency[np.argmax(power)] - 67.0) < 8.0
    noise = signal.sosfilt(
        surface_spectrum(rate), np.random.default_rng(0).standard_normal(200_000)
    )
    assert abs(noise.std() - 1) < 0.03


def test_hum_is_at_the_mains_frequency():
    settings = SyntheticSettings(hum_hz=60.0, hum=20e-6)
    frequency, power = signal.welch(
        SyntheticEmg(settings).push(np.zeros((8000, 6)))[:, 0], fs=1000.0, nperseg=2000
    )
    assert abs(frequency[np.argmax(power)] - 60.0) < 1.0


def test_drift_changes_the_pattern_gradually_and_only_when_asked():
    def pattern(settings):
        emg = SyntheticEmg(settings)
        effort = np.zeros((24_000, 6))
        effort[:, 3] = 1.0
        loudness = emg.push(effort).astype(float).reshape(6, 4000, -1).std(axis=1)
        return loudness / np.linalg.norm(loudness, axis=1, keepdims=True)

    still = pattern(SyntheticSettings(unsteadiness=0.0))
    assert (still[1:] @ still[1]).min() > 0.99
    moved = pattern(
        SyntheticSettings(
            unsteadiness=0.0, drift_shift_deg=22.0, drift_gain=0.35, drift_ramp_s=20.0
        )
    )
    likeness = moved[1:] @ moved[1]
    assert likeness[-1] < 0.98
    assert (np.diff(likeness) < 0.01).all()


def test_level_noise_and_a_dead_electrode_come_with_the_drift():
    def loudness(**changes):
        emg = SyntheticEmg(SyntheticSettings(unsteadiness=0.0, drift_ramp_s=0.0, **changes))
        effort = np.zeros((8192, 6))
        effort[:, 3] = 1.0
        return emg.push(effort).astype(float)[1000:].std(axis=0)

    still, dead = loudness(), int(np.argmax(loudness()))
    np.testing.assert_allclose(loudness(drift_level=0.5)[dead], 0.5 * still[dead], rtol=0.02)
    silent = loudness(drift_dead=dead)
    assert silent[dead] < 0.2 * still[dead]
    others = np.arange(len(still)) != dead
    np.testing.assert_allclose(silent[others], still[others])
    noisy = loudness(drift_noise=1e-4) > np.hypot(still, 0.9e-4)
    assert noisy.sum() == round(0.7 * len(still))
    with pytest.raises(SettingsError, match="electrodes 0 to 15"):
        SyntheticSettings(drift_dead=16)


def test_effort_differs_from_trial_to_trial():
    effort = np.tile(np.repeat([0.0, 1.0], 2000), 8)[:, None] * np.eye(6)[0]
    trials = SyntheticEmg(SyntheticSettings(unsteadiness=0.0)).push(effort).astype(float)
    loudness = trials.reshape(8, 2, 2000, -1)[:, 1, 500:].std(axis=1).max(axis=1)
    assert 0.05 < loudness.std() / loudness.mean() < 0.6


@pytest.mark.parametrize("intention", [np.zeros(6), np.zeros((4, 5)), np.full((2, 6), np.nan)])
def test_impossible_intentions_are_refused(intention):
    with pytest.raises(UserError, match="intention"):
        SyntheticEmg(SyntheticSettings()).push(intention)


def test_settings_name_what_is_wrong():
    with pytest.raises(SettingsError, match="n_channels"):
        SyntheticSettings(n_channels=0)
    with pytest.raises(SettingsError, match="once"):
        SyntheticSettings(dofs=("a", "a"))


def test_faster_than_thirty_times_real_time_with_32_channels():
    emg = SyntheticEmg(SyntheticSettings(n_channels=32))
    intention = wandering(10_000)
    start = time.process_time()
    for first in range(0, len(intention), 16):
        emg.push(intention[first : first + 16])
    assert time.process_time() - start < 10.0 / 30


def schedule(repetitions):
    movements = [
        Movement(f"{dof.name}{sign:+d}", {dof.name: float(sign)})
        for dof in DEFAULT_DOFS
        for sign in (1, -1)
    ]
    return Schedule(MovementSet("all", DEFAULT_DOFS, tuple(movements), repetitions))


def test_a_linear_decoder_follows_unseen_repetitions_of_six_dofs():
    plan = schedule(4)
    recording = simulate_recording(plan)
    samples = np.concatenate([b.samples for b in recording.blocks])
    hops = np.abs(samples).reshape(-1, 16, samples.shape[1]).mean(axis=1)
    mav = np.cumsum(hops, axis=0)
    mav = (mav[19:] - mav[:-19]) * 1e6 / 19
    z = np.column_stack([mav, np.sqrt(mav), np.ones(len(mav))])
    lag = 21
    x = recording.x_d.values[20 - lag + lag :][: len(z)]
    z, x = z[lag:], x[: len(z) - lag]
    split = 3 * len(z) // 4
    weights = np.linalg.lstsq(z[:split], x[:split], rcond=None)[0]
    error = ((x[split:] - z[split:] @ weights) ** 2).sum(axis=0)
    r2 = 1 - error / ((x[split:] - x[split:].mean(axis=0)) ** 2).sum(axis=0)
    assert r2.mean() > 0.85


def test_simulated_recording_has_prompts_periods_and_a_gapless_counter():
    plan = schedule(1)
    recording = simulate_recording(plan, SyntheticSettings(n_channels=4), block_size=32)
    assert [b.first_sample for b in recording.blocks] == list(
        range(0, 32 * len(recording.blocks), 32)
    )
    assert recording.blocks[1].stamp_ns == 32_000_000
    assert recording.stream.channel_names == ("ch01", "ch02", "ch03", "ch04")
    assert recording.x_d.values.shape == (len(recording.x_d.stamps_ns), 6)
    holds = [p for p in recording.periods if p.kind is PeriodKind.HOLD]
    assert [p.movement for p in holds] == [m.name for m in plan.movement_set.movements]


def test_glove_follows_late_smoothly_and_with_noise():
    step = np.zeros((120, 2))
    step[30:, 0] = 1.0
    glove = SyntheticGlove(2, rate=60.0, reaction_s=0.2, noise=0.01)
    first = glove.push(step[:50])
    posture = np.concatenate([first, glove.push(step[50:])])
    whole = SyntheticGlove(2, rate=60.0, reaction_s=0.2, noise=0.01).push(step)
    assert np.array_equal(posture, whole)
    assert np.abs(posture[:42, 0]).max() < 0.05
    assert np.abs(posture[80:, 0] - 1.0).max() < 0.05
    assert 0.005 < posture[:, 1].std() < 0.02
    assert np.abs(np.diff(posture[:, 0])).max() < 0.25


def test_intention_holds_for_a_while_and_ignores_what_it_cannot_follow():
    intention = Intention(("a", "b"), timeout_s=1.0)
    assert intention.at(0).tolist() == [0.0, 0.0]
    intention.set({"b": 0.5, "a": float("nan"), "c": 1.0}, 10**9)
    assert intention.at(2 * 10**9).tolist() == [0.0, 0.5]
    assert intention.at(2 * 10**9 + 1).tolist() == [0.0, 0.0]
