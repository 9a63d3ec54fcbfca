"""The tones as samples, and when which is due."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from emghand.dofs import Dof
from emghand.settings import SettingsError
from emghand.storage.recording import PeriodKind
from emghand.tasks.movements import Movement, MovementSet, Schedule, Timing
from emghand.tasks.sounds import END, RATE_HZ, START, SoundCues, ToneSettings, tone

IDLE, PROMPT, MOVE, HOLD, REST = (PeriodKind(k) for k in range(5))


@pytest.mark.parametrize("frequency", [500.0, 1000.0, 8000.0])
def test_a_tone_is_one_frequency_at_full_amplitude_with_silent_ends(frequency):
    samples = tone(frequency, 0.15)
    assert samples.shape == (7200,)
    assert np.abs(samples).max() <= 1.0
    sine = np.sin(2 * np.pi * frequency / RATE_HZ * np.arange(7200))
    np.testing.assert_allclose(samples[480:-480], sine[480:-480], atol=1e-12)
    assert samples[0] == 0.0 and abs(samples[-1]) < 1e-3
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(samples.size, 1 / RATE_HZ)
    assert hertz[spectrum.argmax()] == pytest.approx(frequency, abs=7)
    assert spectrum[np.abs(hertz - frequency) < 50].sum() > 0.99 * spectrum.sum()


def test_no_step_of_a_tone_is_greater_than_that_of_its_sine():
    samples = tone(1000.0, 0.15)
    assert np.abs(np.diff(samples)).max() < 1.02 * 2 * np.pi * 1000 / RATE_HZ


def test_the_files_hold_a_high_and_a_low_tone_at_the_volume():
    waves = ToneSettings(high=1200.0, low=400.0, duration=0.1, volume=0.25).waves()
    assert set(waves) == {START, END}
    for name, frequency in ((START, 1200.0), (END, 400.0)):
        with wave.open(io.BytesIO(waves[name])) as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            assert (file.getframerate(), file.getnframes()) == (RATE_HZ, 4800)
            pcm = np.frombuffer(file.readframes(4800), "<i2") / 32767
        assert np.abs(pcm).max() == pytest.approx(0.25, abs=0.002)
        np.testing.assert_allclose(pcm, 0.25 * tone(frequency, 0.1), atol=2e-5)


def test_settings_out_of_range_are_refused():
    with pytest.raises(SettingsError, match="volume"):
        ToneSettings(volume=1.5)


def heard(*steps):
    cues = SoundCues()
    return [cues.step(period, trial) for period, trial in steps]


def test_start_and_end_sound_once_per_movement():
    one = [(PROMPT, 0), (MOVE, 0), (HOLD, 0), (MOVE, 0), (REST, 0)]
    assert heard((REST, -1), *one) == ["", "", START, "", "", END]
    assert heard((MOVE, 0), (IDLE, -1)) == [START, END], "cancelled"
    assert heard((MOVE, 0), (MOVE, 0), (MOVE, 1), (HOLD, 1)) == [START, "", START, ""]
    assert heard((IDLE, -1), (REST, -1), (IDLE, -1)) == ["", "", ""]


def test_a_schedule_sounds_at_its_starts_and_ends():
    slow = Movement("slow", {"x": 1.0}, timing={"x": Timing(0.3, 0.5, 0.5, 0.5)})
    made = MovementSet("set", (Dof("x"),), (slow,), 3, prompt=0.2, rest=0.4)
    schedule, cues = Schedule(made), SoundCues()
    found = {START: [], END: []}
    for tick in range(int(schedule.duration * 100)):
        prompt = schedule.at(tick / 100)
        sound = cues.step(prompt.period, -1 if prompt.trial is None else prompt.trial.index)
        if sound:
            found[sound].append(tick / 100)
    starts = [trial.move + 0.3 for trial in schedule.trials]
    assert found[START] == pytest.approx(starts, abs=0.011)
    assert found[END] == pytest.approx([trial.end for trial in schedule.trials], abs=0.011)
