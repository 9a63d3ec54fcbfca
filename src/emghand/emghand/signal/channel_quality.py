"""Which channels of a recording are no good, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emghand.settings import check, setting
from emghand.signal.channels import mapped_channels
from emghand.signal.filters import StreamingFilter, band_sections, notch_sections
from emghand.signal.quality import HOLD_SAMPLES
from emghand.signal.sample_grid import SampleGrid
from emghand.signal.settings import FeatureSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FRAME_S = 0.1
"""Length of the frames that levels are measured in; at least 32 samples."""

LAGS_S = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""Muscles follow a prompt by one of these."""

CONTRACTION_PERCENTILE = 95.0
"""Level at movement: a channel that shows one movement of many must count as moving."""

FEWEST_PEERS = 4
"""With fewer channels none can stand out."""


@dataclass(frozen=True)
class ChannelLimits:
    """From where on a channel counts as bad."""

    flat: float = setting(
        0.5, "Share of the frames of 0.1 s without any change: flat.", low=0.0, high=1.0
    )
    railed: float = setting(
        0.2, "Share of the samples at the end of the range: railed.", low=0.0, high=1.0
    )
    mains: float = setting(
        0.8, "Share of the power that the notches remove: mains.", low=0.0, high=1.0
    )
    noise_z: float = setting(
        5.0, "Robust z-score of the level at rest among the channels: noisy.", low=0.0
    )
    idle_z: float = setting(
        2.0, "The same for a channel that goes with no movement: noisy.", low=0.0
    )
    idle_correlation: float = setting(
        0.1, "Largest correlation with any movement that counts as none.", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class ChannelQuality:
    """What was measured of one channel; NaN where it could not be.

    Parameters
    ----------
    name : str
    rest_rms, move_rms : float
        RMS of the filtered signal, in its unit: median at rest, 95th percentile while moving.
    snr_db : float
        Their ratio [dB].
    mains_share : float
        Share of the power of the band-passed signal that the notches remove.
    flat_share : float
        Share of the frames without any change.
    railed_share : float
        Share of the samples at the end of the device's range.
    rest_z : float
        Robust z-score of the logarithm of the level at rest among all channels.
    correlation : float
        Largest absolute correlation of the level with a direction of a DOF.
    reasons : tuple of str
        Of ``flat``, ``railed``, ``mains``, ``noisy``; empty for a good channel.
    """

    name: str
    rest_rms: float
    move_rms: float
    snr_db: float
    mains_share: float
    flat_share: float
    railed_share: float
    rest_z: float
    correlation: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Frames:
    """What was measured in each of m frames of n channels.

    Parameters
    ----------
    last_sample : ndarray of int, shape (m,)
        On the device's counter.
    band, clean : ndarray, shape (m, n)
        Mean square after the band-pass, and after the notches.
    flat : ndarray of bool, shape (m, n)
        Whether nothing changed.
    railed : ndarray, shape (m, n)
        Share of the samples at the end of the range.
    """

    last_sample: NDArray[np.int64]
    band: Floats
    clean: Floats
    flat: Bools
    railed: Floats


class ChannelMeter:
    """Measures raw EMG in frames, with the filters and the gap rules of `FeaturePipeline`.

    Parameters
    ----------
    settings : FeatureSettings
        Their bad channels are measured as well.
    channel_names : sequence of str
        Of the device.
    rate : float
        Samples per second [Hz].
    full_scale : float
        Largest absolute value of the device; 0: unknown, nothing is railed.

    Attributes
    ----------
    names : tuple of str
        Of the channels, after the channel map.
    frame_rate : float
        Frames per second [Hz].
    has_notch : bool
    """

    def __init__(
        self,
        settings: FeatureSettings,
        channel_names: Sequence[str],
        rate: float,
        full_scale: float = 0.0,
    ) -> None:
        self.names, self._places = mapped_channels(settings.channel_map, channel_names)
        self._length = max(round(FRAME_S * rate), HOLD_SAMPLES)
        self.frame_rate = rate / self._length
        n = len(self.names)
        max_fill = int(settings.max_fill_s * rate + 1e-9)
        self._grid = SampleGrid(self._length, n, max_fill, back_limit=round(rate))
        notches = notch_sections(settings, rate)
        self.has_notch = len(notches) > 0
        self._band = StreamingFilter(band_sections(settings, rate), n)
        self._notch = StreamingFilter(notches, n)
        self._flat, self._rail = settings.guard_flat, settings.guard_railed * full_scale
        self._found: list[tuple[NDArray, ...]] = []

    def push(self, samples: ArrayLike, first_sample: int) -> None:
        """Take the next block, shape (n_samples, n_channels of the device)."""
        block = np.asarray(samples, dtype=np.float64)[:, self._places]
        for index, raw, fresh in self._grid.push(np.ascontiguousarray(block), first_sample):
            if fresh:
                self._notch.start(self._band.start(raw[0]))
            band = np.array(raw.T, order="C")
            self._band.run(band)
            clean = band.copy()
            self._notch.run(clean)
            shape = (-1, self._length, len(self.names))
            frames = raw.reshape(shape)
            number = np.arange(index + 1, index + 1 + len(frames), dtype=np.int64)
            railed = (np.abs(frames) >= self._rail) if self._rail else np.zeros(frames.shape)
            self._found.append(
                (
                    number * self._length - 1,
                    np.square(band.T.reshape(shape)).mean(axis=1),
                    np.square(clean.T.reshape(shape)).mean(axis=1),
                    np.ptp(frames, axis=1) <= self._flat,
                    railed.mean(axis=1),
                )
            )

    def frames(self) -> Frames:
        """All frames so far; of a recording shorter than one there is none."""
        n = len(self.names)
        empty = (np.zeros(0, np.int64), *(np.zeros((0, n)) for _ in range(4)))
        parts = zip(*(self._found or [empty]), strict=True)
        return Frames(*(np.concatenate(part) for part in parts))


def channel_quality(
    names: Sequence[str],
    frames: Frames,
    rest: Bools,
    moving: Bools,
    targets: Floats | None = None,
    limits: ChannelLimits | None = None,
    has_notch: bool = True,
    frame_rate: float = 1.0 / FRAME_S,
) -> list[ChannelQuality]:
    """Measures of every channel, and the reasons against it.

    * flat: nothing changes in more than half of the frames
    * railed: more than a fifth of the samples are at the end of the device's range
    * mains: the notches remove more than four fifths of the power
    * noisy: the level at rest stands out of the channels by a robust z-score above 5; or by more
      than 2, and the level goes with no movement

    Parameters
    ----------
    names : sequence of str, length n
    frames : Frames
    rest, moving : ndarray of bool, shape (m,)
        Frames at rest and in movement.
    targets : ndarray, shape (m, n_dofs), optional
        `x_d`; without it correlations are unknown.
    limits : ChannelLimits, optional
    has_notch : bool
        Without notches the share of the mains is unknown.
    frame_rate : float
        Frames per second [Hz].
    """
    limits = limits or ChannelLimits()
    level = np.sqrt(frames.clean)
    rest_rms = np.median(level[rest], axis=0) if rest.any() else _unknown(len(names))
    move_rms = (
        np.percentile(level[moving], CONTRACTION_PERCENTILE, axis=0)
        if moving.any()
        else _unknown(len(names))
    )
    power = frames.band.sum(axis=0)
    removed = power - frames.clean.sum(axis=0)
    mains = np.divide(removed, power, out=np.zeros_like(power), where=power > 0.0)
    flat = frames.flat.mean(axis=0) if len(frames.flat) else _unknown(len(names))
    railed = frames.railed.mean(axis=0) if len(frames.railed) else _unknown(len(names))
    shifts = [round(lag * frame_rate) for lag in LAGS_S]
    correlation = (
        best_correlation(level, targets, shifts) if targets is not None else _unknown(len(names))
    )
    z = robust_z(rest_rms)
    noisy = is_noisy(z, correlation, limits)
    result = []
    for i, name in enumerate(names):
        found = {
            "flat": flat[i] > limits.flat,
            "railed": railed[i] > limits.railed,
            "mains": has_notch and mains[i] > limits.mains,
            "noisy": noisy[i],
        }
        ratio = move_rms[i] / rest_rms[i] if rest_rms[i] > 0.0 else math.nan
        result.append(
            ChannelQuality(
                name=name,
                rest_rms=float(rest_rms[i]),
                move_rms=float(move_rms[i]),
                snr_db=20.0 * math.log10(ratio) if ratio > 0.0 else math.nan,
                mains_share=float(mains[i]) if has_notch else math.nan,
                flat_share=float(flat[i]),
                railed_share=float(railed[i]),
                rest_z=float(z[i]),
                correlation=float(correlation[i]),
                reasons=tuple(reason for reason, is_so in found.items() if is_so),
            )
        )
    return result


def bad_channels(channels: Sequence[ChannelQuality]) -> Mapping[str, tuple[str, ...]]:
    """Names of the bad channels with the reasons."""
    return {c.name: c.reasons for c in channels if c.reasons}


def quiet_and_loud(level: Floats) -> tuple[Bools, Bools]:
    """Rest and movement where nothing says which is which: the quietest and the loudest fifth.

    Parameters
    ----------
    level : ndarray, shape (m, n)

    Returns
    -------
    rest, moving : ndarray of bool, shape (m,)
    """
    scale = np.median(level, axis=0)
    together = np.median(np.divide(level, scale, out=np.zeros_like(level), where=scale > 0), axis=1)
    if not len(together):
        return np.zeros(0, np.bool_), np.zeros(0, np.bool_)
    low, high = np.percentile(together, [20.0, 80.0])
    return together <= low, together >= high


def robust_z(level: Floats) -> Floats:
    """Deviation of ln(level) from the median of the channels over 1.4826 times the median of such
    deviations, shape (n,).

    That scale is at least ln 1.5: channels as like as those of a synthetic arm do not stand out.
    Channels without level, and all of them when fewer than 4 have one, have no score (NaN).
    """
    z = _unknown(len(level))
    known = np.isfinite(level) & (level > 0.0)
    if known.sum() < FEWEST_PEERS:
        return z
    log = np.log(level[known])
    away = log - np.median(log)
    z[known] = away / max(1.4826 * float(np.median(np.abs(away))), math.log(1.5))
    return z


def best_correlation(level: Floats, targets: Floats, shifts: Sequence[int]) -> Floats:
    """Largest absolute correlation of each column with the positive or negative part of any DOF so
    many rows before, shape (n,).
    """
    parts = np.hstack([np.maximum(targets, 0.0), np.maximum(-targets, 0.0)])
    best = np.zeros(level.shape[1])
    for shift in shifts:
        if len(level) <= shift + 2:
            continue
        a, b = level[shift:], parts[: len(parts) - shift]
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        norm = np.sqrt(np.outer((a * a).sum(axis=0), (b * b).sum(axis=0)))
        found = np.divide(np.abs(a.T @ b), norm, out=np.zeros_like(norm), where=norm > 0.0)
        best = np.maximum(best, found.max(axis=1, initial=0.0))
    return best


def is_noisy(z: Floats, correlation: Floats, limits: ChannelLimits) -> Bools:
    """Which channels stand out at rest, shape (n,); what is not known (NaN) speaks for them."""
    idle = (z > limits.idle_z) & (correlation < limits.idle_correlation)
    found: Bools = (z > limits.noise_z) | idle
    return found


def _unknown(n: int) -> Floats:
    return np.full(n, np.nan)
