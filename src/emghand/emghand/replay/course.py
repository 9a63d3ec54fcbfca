"""Estimates of a recording as commands for a hand: when, and what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.dofs import dof_names
from emghand.errors import UserError
from emghand.pipeline import Pipeline
from emghand.storage.models import Model
from emghand.storage.recording import Recording, Series
from emghand.training.labels import label_values

RATES = (0.1, 10.0)
"""Slowest and fastest replay [times real time]."""
LONGEST_RAMP_S = 60.0
GAP_S = 0.1
"""Estimates further apart than this [s recorded] are not connected: nothing was decoded there."""
APPROACH_SPEED = 1.0
"""Fastest approach to the first posture [normalised position per second]."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Course:
    """What a hand is sent.

    Parameters
    ----------
    dofs : tuple of str, length n_dofs
    times : ndarray, shape (n,)
        Since the first command [s], increasing.
    x : ndarray, shape (n, n_dofs)
        `out_x_hat`.
    x_d_dofs : tuple of str, length k
        Empty: the recording has no `x_d`.
    x_d : ndarray, shape (n, k)
        Desired DOFs at the same moments; NaN where there is none.
    """

    dofs: tuple[str, ...]
    times: Floats
    x: Floats
    x_d_dofs: tuple[str, ...]
    x_d: Floats

    @property
    def duration(self) -> float:
        """From the first to the last command [s]."""
        return float(self.times[-1])


def recorded_estimates(recording: Recording) -> Series:
    """`out_x_hat` as it was published.

    Raises
    ------
    UserError
        When the recording holds none.
    """
    found = recording.out_x_hat
    if found is None or len(found.stamps_ns) < 2:
        raise UserError(
            f"{recording.source}: holds no out_x_hat; decode it with the model that runs "
            "(emghand replay --decode)"
        )
    return found


def decoded_estimates(
    recording: Recording, model: Model, on_tick: Callable[[], object] = lambda: None
) -> Series:
    """`out_x_hat` as the code that runs live computes it.

    Parameters
    ----------
    recording : Recording
    model : Model
    on_tick : callable, optional
        Called after each tick; what it raises ends the work.

    Raises
    ------
    UserError
        When the model was trained on another kind of stream, or no tick has a good signal.
    """
    run = Pipeline(model, recording.stream).run(recording, on_tick)
    if len(run.stamps_ns) < 2:
        raise UserError(f"{recording.source}: no tick of it can be decoded")
    return Series(dof_names(run.dofs), run.stamps_ns, run.out_x_hat)


def course(estimates: Series, x_d: Series | None, rate: float, command_rate: float) -> Course:
    """Commands from estimates.

    In real time every estimate is one command, as it was. Faster or slower, estimates are
    interpolated to `command_rate`, never across a gap, so that a hand hears neither too much nor
    too little; no estimate is repeated.

    Parameters
    ----------
    estimates : Series
    x_d : Series, optional
    rate : float
        Seconds recorded per second played.
    command_rate : float
        Commands per second where they are interpolated [Hz].

    Raises
    ------
    UserError
        When an estimate is not finite, or stamps do not increase.
    """
    if not np.isfinite(estimates.values).all():
        raise UserError("an estimate of the recording is not finite: it is not sent to a hand")
    stamps, values = estimates.stamps_ns, estimates.values
    if (np.diff(stamps) <= 0).any():
        raise UserError("the stamps of the recorded estimates do not increase")
    if rate != 1.0:
        recorded = (stamps - stamps[0]) * 1e-9
        grid = np.arange(0.0, recorded[-1], rate / command_rate)
        after = np.clip(np.searchsorted(recorded, grid, side="right"), 1, len(recorded) - 1)
        grid = grid[recorded[after] - recorded[after - 1] <= GAP_S]
        values = np.column_stack([np.interp(grid, recorded, column) for column in values.T])
        stamps = stamps[0] + np.round(grid * 1e9).astype(np.int64)
    if not len(stamps):
        raise UserError("the recorded estimates are too far apart to be played")
    names: tuple[str, ...] = () if x_d is None else x_d.names
    labels = np.zeros((len(stamps), 0))
    if x_d is not None:
        labels, known = label_values(x_d, names, stamps)
        labels = np.where(known[:, None], labels, np.nan)
    times = (stamps - stamps[0]) * 1e-9 / rate
    return Course(estimates.names, times, values, names, labels)


def approach(
    dofs: tuple[str, ...], start: Floats, goal: Floats, seconds: float, command_rate: float
) -> Course:
    """A straight way from one posture to another, without a jump at its ends.

    Parameters
    ----------
    dofs : tuple of str
    start, goal : ndarray, shape (n_dofs,)
    seconds : float
        Wanted; longer where that would be faster than `APPROACH_SPEED` at its fastest [s].
    command_rate : float
        Commands per second [Hz].
    """
    # The speed of a raised cosine is pi/2 times the mean in its middle.
    shortest = float(np.abs(goal - start).max(initial=0.0)) / APPROACH_SPEED * np.pi / 2
    count = max(1, int(np.ceil(max(seconds, shortest) * command_rate))) + 1
    times = np.arange(count) / command_rate
    share = 0.5 - 0.5 * np.cos(np.pi * np.arange(count) / (count - 1))
    return Course(dofs, times, start + share[:, None] * (goal - start), (), np.zeros((count, 0)))
