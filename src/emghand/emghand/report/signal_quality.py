"""How good the raw EMG of a recording is: level at rest and in movement, spectrum, faults."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from emghand.errors import UserError
from emghand.evaluate.metrics import AT_REST
from emghand.pipeline import feature_pipeline, sample_stamp_ns
from emghand.signal.quality import Quality
from emghand.signal.settings import FeatureSettings
from emghand.storage.recording import Block, Recording
from emghand.training.labels import label_periods, label_values

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SETTLE_S = 0.25
"""Rest counts from so long after the last movement on."""
LOOK_S = 0.25
"""The faults of the channels are looked at so often."""
MOST_SEGMENTS = 300
"""Seconds of signal, spread over the recording, that the spectrum is made from."""
MAINS_WIDTH_HZ = 1.0
"""Power this close to the mains frequency or a multiple of it counts as mains."""

FAULTS = (Quality.FLAT, Quality.RAILED, Quality.MAINS, Quality.FROZEN)


@dataclass(frozen=True)
class SignalQuality:
    """Measures of the raw EMG of one recording.

    Parameters
    ----------
    label : str
    unit : str
        Of the signal, ``V`` or ``count``.
    channels : tuple of str
    rate : float
        Samples per second [Hz].
    rms : ndarray, shape (n_channels,)
        After band-pass and notches, over the whole recording.
    rms_rest, rms_move : ndarray, shape (n_channels,)
        While `x_d` asks for rest, from `SETTLE_S` after the last movement on, and for movement.
        NaN where nothing is labelled.
    frequencies : ndarray, shape (k,)
        [Hz]
    power : ndarray, shape (n_channels, k)
        Power spectral density of the signal before the filters (Welch, Hann windows of 1 s), in
        the unit squared per Hz.
    mains_share : ndarray, shape (n_channels,)
        Share of the power within `MAINS_WIDTH_HZ` of the mains frequency and its multiples.
    mains_hz : tuple of float
    seconds : ndarray, shape (m,)
        End of each look at the faults, from the start of the recording [s].
    faults : ndarray of uint8, shape (m, n_channels)
        Bits of `Quality` of each channel.
    stream_faults : ndarray of uint8, shape (m,)
        Bits of `Quality` of the stream as a whole: those that send the hand to rest.
    missing : int
        Samples that the device counted but nobody received.
    """

    label: str
    unit: str
    channels: tuple[str, ...]
    rate: float
    rms: Floats
    rms_rest: Floats
    rms_move: Floats
    frequencies: Floats
    power: Floats
    mains_share: Floats
    mains_hz: tuple[float, ...]
    seconds: Floats
    faults: NDArray[np.uint8]
    stream_faults: NDArray[np.uint8]
    missing: int

    @property
    def snr_db(self) -> Floats:
        """20 log10 of RMS in movement over RMS at rest, per channel [dB]."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return 20.0 * np.log10(self.rms_move / self.rms_rest)

    @property
    def fault_share(self) -> Floats:
        """Share of the time in which a channel has any fault, shape (n_channels,)."""
        return (self.faults != 0).mean(axis=0)


def measure_signal(
    recording: Recording, features: FeatureSettings | None = None, label: str = ""
) -> SignalQuality:
    """Measure the raw EMG of a recording through the filters and the guard of the live graph.

    Parameters
    ----------
    recording : Recording
    features : FeatureSettings, optional
        Filters, hop and guard; bad channels and montage are not applied: every channel is judged.
    label : str
        Default: the source of the recording.

    Raises
    ------
    UserError
        When the recording is shorter than one second.
    """
    stream = recording.stream
    settings = features or FeatureSettings()
    settings = dataclasses.replace(
        settings,
        montage="single",
        features=("rms",),
        transform="none",
        bad_channels=(),
        window_hops=2,
    )
    pipeline = feature_pipeline(settings, stream)
    stamps: list[int] = []
    levels: list[Floats] = []
    looks: list[tuple[float, NDArray[np.uint8], int]] = []
    length = max(settings.hop, round(LOOK_S * stream.rate))
    flags = 0
    for block in _pieces(recording.blocks, length):
        for tick in pipeline.push(block.samples, block.first_sample):
            stamps.append(sample_stamp_ns(block, tick.last_sample, stream.rate))
            levels.append(tick.z)
            flags |= tick.quality
        end = block.stamp_ns + len(block.samples) / stream.rate * 1e9
        looks.append(
            ((end - recording.blocks[0].stamp_ns) * 1e-9, pipeline.channel_quality().copy(), flags)
        )
        flags = 0
    if not levels:
        raise UserError(f"{recording.source}: is too short to measure its signal")
    stamps_ns, squares = np.array(stamps, dtype=np.int64), np.square(levels)
    rest, move = _rest_and_move(recording, stamps_ns)
    frequencies, power = _spectrum(recording.blocks, stream.rate)
    mains = _mains(settings, stream.rate)
    near = np.zeros(len(frequencies), dtype=np.bool_)
    for hz in mains:
        near |= np.abs(frequencies - hz) <= MAINS_WIDTH_HZ
    total = np.maximum(power.sum(axis=1), np.finfo(float).tiny)
    return SignalQuality(
        label=label or recording.source,
        unit=stream.unit,
        channels=stream.channel_names,
        rate=stream.rate,
        rms=_rms(squares, np.ones(len(squares), dtype=np.bool_)),
        rms_rest=_rms(squares, rest),
        rms_move=_rms(squares, move),
        frequencies=frequencies,
        power=power,
        mains_share=power[:, near].sum(axis=1) / total,
        mains_hz=mains,
        seconds=np.array([t for t, _, _ in looks]),
        faults=np.array([f for _, f, _ in looks], dtype=np.uint8),
        stream_faults=np.array([f for _, _, f in looks], dtype=np.uint8),
        missing=missing_samples(recording.blocks),
    )


def _pieces(blocks: Sequence[Block], length: int) -> Iterator[Block]:
    """The same samples in longer blocks, cut where samples are missing."""
    held: list[Block] = []
    count = 0
    for block in blocks:
        if held and block.first_sample != held[0].first_sample + count:
            yield _merged(held)
            held, count = [], 0
        held.append(block)
        count += len(block.samples)
        if count >= length:
            yield _merged(held)
            held, count = [], 0
    if held:
        yield _merged(held)


def _merged(blocks: Sequence[Block]) -> Block:
    first = blocks[0]
    samples = np.concatenate([b.samples for b in blocks])
    return Block(first.first_sample, first.stamp_ns, samples)


def missing_samples(blocks: Sequence[Block]) -> int:
    """Samples that the device counted but that are in none of the blocks."""
    return sum(
        max(0, after.first_sample - before.first_sample - len(before.samples))
        for before, after in itertools.pairwise(blocks)
    )


def _rest_and_move(recording: Recording, stamps_ns: NDArray[np.int64]) -> tuple[Bools, Bools]:
    x_d = recording.x_d
    if x_d is None:
        nothing = np.zeros(len(stamps_ns), dtype=np.bool_)
        return nothing, nothing
    X, known = label_values(x_d, x_d.names, stamps_ns)
    known &= label_periods(recording.periods, stamps_ns).asked
    away = (np.abs(X) > AT_REST).any(axis=1)
    last = np.maximum.accumulate(np.where(away, stamps_ns, np.iinfo(np.int64).min // 2))
    return known & (stamps_ns - last > SETTLE_S * 1e9), known & away


def _rms(squares: Floats, rows: Bools) -> Floats:
    if not rows.any():
        return np.full(squares.shape[1], np.nan)
    return np.sqrt(squares[rows].mean(axis=0))


def _spectrum(blocks: Sequence[Block], rate: float) -> tuple[Floats, Floats]:
    total = sum(len(b.samples) for b in blocks)
    size = max(2, min(round(rate), total))
    step = max(1, total // size // MOST_SEGMENTS)
    frequencies, power, count = np.zeros(0), np.zeros(0), 0
    for samples in itertools.islice(_segments(blocks, size), 0, None, step):
        frequencies, density = signal.periodogram(
            samples, rate, window="hann", detrend="constant", axis=0
        )
        power = power + density if count else density
        count += 1
    if not count:
        return frequencies, np.zeros((blocks[0].samples.shape[1], 0))
    return frequencies, np.asarray(power / count, dtype=np.float64).T


def _segments(blocks: Sequence[Block], size: int) -> Iterator[NDArray[np.float32]]:
    """Pieces of `size` samples without a gap."""
    return (p.samples[:size] for p in _pieces(blocks, size) if len(p.samples) >= size)


def _mains(settings: FeatureSettings, rate: float) -> tuple[float, ...]:
    if not settings.notch_hz:
        return ()
    return tuple(
        settings.notch_hz * k
        for k in range(1, settings.notch_harmonics + 1)
        if settings.notch_hz * k < rate / 2
    )
