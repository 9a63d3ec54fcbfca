"""Bad channels of recordings, and of the training rows of a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.pipeline import sample_stamp_ns
from emghand.signal.channel_quality import (
    LAGS_S,
    ChannelLimits,
    ChannelMeter,
    ChannelQuality,
    Frames,
    best_correlation,
    channel_quality,
    is_noisy,
    quiet_and_loud,
    robust_z,
)
from emghand.signal.channels import Montage, mapped_channels
from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.settings import FeatureSettings
from emghand.storage.recording import Recording
from emghand.training.dataset import Dataset
from emghand.training.labels import label_periods, label_values

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

AT_REST = 0.05
"""A DOF whose x_d is at most this far from 0 is meant to be at rest."""

NOTHING = 1e-6
"""A channel with less than this share of the usual level is flat."""

_POWERS = ("var", "logvar", "activity")
_LEVELS = ("mav", "rms", "iav", "wl", *_POWERS)


def check_channels(
    recordings: Sequence[Recording],
    features: FeatureSettings,
    limits: ChannelLimits | None = None,
) -> list[ChannelQuality]:
    """Measures of every channel over all recordings, bad ones included.

    Rest and movement are told by `x_d`; where there is none, by the quietest and the loudest fifth
    of the frames.

    Raises
    ------
    UserError
        When there is no recording, they differ in channels, or are too short.
    """
    if not recordings:
        raise UserError("no recordings to look at")
    first = recordings[0].stream
    parts = []
    for recording in recordings:
        stream = recording.stream
        if (stream.channel_names, stream.rate) != (first.channel_names, first.rate):
            raise UserError("the recordings differ in channels or rate; look at each by itself")
        parts.append(_measure(recording, features))
    meter = ChannelMeter(features, first.channel_names, first.rate, first.full_scale)
    frames = Frames(
        *(
            np.concatenate([getattr(p[0], field) for p in parts])
            for field in ("last_sample", "band", "clean", "flat", "railed")
        )
    )
    if not len(frames.band):
        raise UserError(f"{recordings[0].source}: is too short to judge its channels")
    labelled = all(p[1] is not None for p in parts)
    if not labelled:
        rest, moving = quiet_and_loud(np.sqrt(frames.clean))
        targets = None
    else:
        targets = np.concatenate([p[1] for p in parts if p[1] is not None])
        asked = np.concatenate([p[2] for p in parts])
        away = (np.abs(targets) > AT_REST).any(axis=1)
        rest, moving = asked & ~away, asked & away
        if not rest.any() or not moving.any():
            rest, moving = quiet_and_loud(np.sqrt(frames.clean))
    return channel_quality(
        meter.names, frames, rest, moving, targets, limits, meter.has_notch, meter.frame_rate
    )


def _measure(
    recording: Recording, features: FeatureSettings
) -> tuple[Frames, Floats | None, Bools]:
    stream = recording.stream
    meter = ChannelMeter(features, stream.channel_names, stream.rate, stream.full_scale)
    for block in recording.blocks:
        meter.push(block.samples, block.first_sample)
    frames = meter.frames()
    firsts = np.array([b.first_sample for b in recording.blocks], dtype=np.int64)
    places = np.searchsorted(firsts, frames.last_sample, side="right") - 1
    stamps = np.array(
        [
            sample_stamp_ns(recording.blocks[max(place, 0)], int(sample), stream.rate)
            for place, sample in zip(places.tolist(), frames.last_sample, strict=True)
        ],
        dtype=np.int64,
    )
    if recording.x_d is None or not len(stamps):
        return frames, None, np.ones(len(stamps), np.bool_)
    targets, known = label_values(recording.x_d, recording.x_d.names, stamps)
    return frames, targets, known & label_periods(recording.periods, stamps).asked


def features_of_good_channels(
    dataset: Dataset, limits: ChannelLimits | None = None
) -> NDArray[np.bool_]:
    """Which features hold no channel that is flat or noisy in the rows in use, shape (n_features,).

    It looks at nothing but the amplitude features of these rows, so that within cross-validation
    nothing of the part left out is seen. A channel of a differential montage has the median level
    of its pairs.

    Raises
    ------
    UserError
        When the features hold no amplitude, or no channel is left.
    """
    limits = limits or ChannelLimits()
    settings, stream = dataset.feature_settings, dataset.stream
    names = FeaturePipeline(
        settings, stream.n_channels, stream.rate, channel_names=stream.channel_names
    ).names
    mapped, _ = mapped_channels(settings.channel_map, stream.channel_names)
    montage = Montage(settings.montage, mapped, settings.bad_channels)
    holds = np.array([montage.members(name.partition(":")[2]) for name in names])
    log, X = _log_levels(dataset, names, holds, montage.single), dataset.X[dataset.use]
    level = np.exp(log)
    rest = ~(np.abs(X) > AT_REST).any(axis=1)
    if not rest.any():
        rest, _ = quiet_and_loud(level)
    z = robust_z(np.exp(np.median(log[rest], axis=0)))
    shifts = [round(lag * dataset.tick_rate) for lag in LAGS_S]
    # What a filter leaves of a constant is rounding, far below any other channel.
    silent = np.median(log, axis=0) < np.median(log) + math.log(NOTHING)
    constant = log.std(axis=0) <= 1e-9
    bad = silent | constant | is_noisy(z, best_correlation(level, X, shifts), limits)
    good = ~(holds & bad).any(axis=1)
    if not good.any():
        raise UserError("bad_channels auto: no channel is left; look at them with emghand channels")
    found: Bools = good
    return found


def _log_levels(dataset: Dataset, names: Sequence[str], holds: Bools, single: bool) -> Floats:
    """Natural logarithm of the amplitude of each channel in the rows in use, up to a constant."""
    settings = dataset.feature_settings
    feature = next((f for f in _LEVELS if f in settings.features), None)
    if feature is None:
        raise UserError(
            f"bad_channels auto: needs one of the features {', '.join(_LEVELS)} to judge by"
        )
    of_feature = np.array([name.partition(":")[0] == feature for name in names])
    members = holds.sum(axis=1)
    columns = np.flatnonzero(of_feature & (members == (1 if single else 2)))
    values = dataset.Z[dataset.use][:, columns]
    if settings.transform != "log" and feature != "logvar":
        values = np.log(np.maximum(values, 1e-30))
    if settings.transform == "sqrt" and feature != "logvar":
        values = 2.0 * values
    if feature in _POWERS:
        values = 0.5 * values
    return np.column_stack(
        [np.median(values[:, holds[columns, c]], axis=1) for c in range(holds.shape[1])]
    )
