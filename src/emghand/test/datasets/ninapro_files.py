"""Writes .mat files of the layout of NinaPro, with movements that show in the EMG."""

import numpy as np
from scipy.io import savemat


def write_ninapro(
    path,
    channels,
    sensors,
    rate,
    *,
    subject=1,
    exercise=1,
    movements=3,
    repetitions=2,
    seconds=4.0,
    seed=0,
):
    """Movements of 1 s with 1 s of rest between them; sensors follow them, and channels these."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).uniform(0.2, 1.0, (sensors, channels))
    second = int(rate * seconds / 4)
    stimulus, repetition, glove = [], [], []
    for movement in range(1, movements + 1):
        for time in range(1, repetitions + 1):
            stimulus += [0] * second + [movement] * second
            repetition += [0] * second + [time] * second
            posture = np.zeros(sensors)
            posture[(movement - 1) :: movements] = 60.0
            bump = np.sin(np.linspace(0, np.pi, second)) ** 2
            glove += [np.zeros((second, sensors)), bump[:, None] * posture]
    glove = np.concatenate(glove)
    emg = 1e-5 * (1.0 + glove @ mixing / 30.0) * rng.normal(size=(len(glove), channels))
    if rate == 100.0:
        emg = np.abs(emg)
    labels = {
        "stimulus": np.array(stimulus)[:, None],
        "restimulus": np.array(stimulus)[:, None],
        "repetition": np.array(repetition)[:, None],
        "rerepetition": np.array(repetition)[:, None],
    }
    arrays = {"subject": subject, "exercise": exercise, "emg": emg, "glove": glove, **labels}
    savemat(path, arrays, do_compression=True)
    return arrays
