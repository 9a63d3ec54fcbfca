"""A whole prompted run of the synthetic person, without a graph and without waiting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emghand.errors import UserError
from emghand.simulate.arm import Floats
from emghand.simulate.emg import SyntheticEmg
from emghand.simulate.settings import SyntheticSettings
from emghand.storage.recording import (
    Block,
    Period,
    Recording,
    Series,
    Stream,
    recording_digest,
)
from emghand.tasks.movements import Schedule

PROMPT_RATE = 62.5
MOST_SAMPLES = 2**28
"""Of all channels together: more than four hours of 16 channels at 1 kHz, 2 GiB."""


def synthetic_stream(emg: SyntheticEmg, block_size: int = 16) -> Stream:
    """What the EMG of a synthetic person is, as a device would say."""
    return Stream(
        device="synthetic",
        stream=f"synthetic-{emg.settings.seed}-{emg.settings.run}",
        channel_names=emg.channel_names,
        rate=emg.settings.rate,
        block_size=block_size,
        unit="V",
        full_scale=emg.settings.full_scale,
    )


def simulate_recording(
    schedule: Schedule,
    settings: SyntheticSettings | None = None,
    block_size: int = 16,
    follow: Callable[[Floats], Floats] | None = None,
) -> Recording:
    """Record the synthetic person while they follow a schedule of prompts.

    Parameters
    ----------
    schedule : Schedule
        Its DOFs that the person does not have are shown but not followed.
    settings : SyntheticSettings, optional
    block_size : int
        Samples per block; does not change the samples.
    follow : callable, optional
        What the person intends when shown prompts: gets those of their DOFs and returns as many,
        shape (n, n_dofs), at `PROMPT_RATE`. Default: exactly what is shown.

    Returns
    -------
    Recording
        With `x_d` at 62.5 Hz and the periods; stamps start at 0.

    Raises
    ------
    UserError
        When that would be more than `MOST_SAMPLES`.
    """
    emg = SyntheticEmg(settings or SyntheticSettings())
    rate = emg.settings.rate
    if schedule.duration * rate * len(emg.channel_names) > MOST_SAMPLES:
        raise UserError(
            f"{schedule.duration:.3g} s of {len(emg.channel_names)} channels are too much to "
            "simulate at once: take fewer repetitions, channels or samples per second"
        )
    n_prompts = int(schedule.duration * PROMPT_RATE)
    prompts = [schedule.at(i / PROMPT_RATE) for i in range(n_prompts)]
    x_d = np.array([p.x_d for p in prompts])
    stamps = np.round(np.arange(n_prompts) / PROMPT_RATE * 1e9).astype(np.int64)
    periods: list[Period] = []
    shown: tuple[object, ...] = ()
    for stamp, prompt in zip(stamps.tolist(), prompts, strict=True):
        trial = prompt.trial
        if (prompt.period, trial) == shown:
            continue
        shown = (prompt.period, trial)
        if trial is None:
            periods.append(Period(stamp, prompt.period))
        else:
            name, index = trial.movement.name, trial.movement_index
            periods.append(Period(stamp, prompt.period, name, index, trial.repetition, trial.index))
    n_samples = int(schedule.duration * rate) // block_size * block_size
    held = np.minimum((np.arange(n_samples) * PROMPT_RATE / rate).astype(int), n_prompts - 1)
    intended = np.zeros((n_prompts, len(emg.dofs)))
    for i, name in enumerate(emg.dofs):
        if name in schedule.dofs:
            intended[:, i] = x_d[:, schedule.dofs.index(name)]
    if follow is not None:
        intended = follow(intended)
    samples = emg.push(intended[held])
    blocks = [
        Block(first, round(first / rate * 1e9), samples[first : first + block_size])
        for first in range(0, n_samples, block_size)
    ]
    stream = synthetic_stream(emg, block_size)
    series = Series(schedule.dofs, stamps, x_d)
    digest = recording_digest(stream, blocks, series, periods)
    return Recording("synthetic", stream, blocks, x_d=series, periods=periods, digest=digest)
