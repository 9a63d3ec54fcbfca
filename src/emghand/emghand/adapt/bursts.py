"""Bursts of the EMG envelope: movements without a decoder, to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from emghand.errors import UserError
from emghand.pipeline import sample_stamp_ns
from emghand.settings import SettingsError, check, setting
from emghand.signal.filters import StreamingFilter, band_sections, notch_sections
from emghand.signal.settings import FeatureSettings
from emghand.storage.recording import Block, Recording

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

GAUSSIAN = 1.4826
"""Standard deviation over median absolute deviation, of a normal distribution."""


@dataclass(frozen=True)
class BurstSettings:
    """A double threshold on the envelope, from its level at rest."""

    envelope_s: float = setting(
        0.025, "Window of the rectified envelope.", unit="s", low=0.001, high=1.0
    )
    rest_s: float = setting(
        10.0, "Seconds of rest that the thresholds are made from.", unit="s", low=1.0, high=600.0
    )
    enter: float = setting(
        1.5, "A burst begins so many sigma above the median at rest.", low=0.0, high=1000.0
    )
    leave: float = setting(
        0.75, "A burst ends so many sigma above the median at rest.", low=0.0, high=1000.0
    )
    shortest_s: float = setting(0.012, "Shorter bursts are none.", unit="s", low=0.0, high=10.0)
    merge_s: float = setting(
        0.3, "Bursts with a shorter gap between them are one.", unit="s", low=0.0, high=10.0
    )
    before_s: float = setting(0.04, "Added before a burst.", unit="s", low=0.0, high=1.0)
    after_s: float = setting(0.12, "Added after a burst.", unit="s", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        check(self)
        if self.leave > self.enter:
            raise SettingsError("leave: must not be above enter")


@dataclass(frozen=True)
class Burst:
    """Activity from one moment to another, acquisition time [ns]."""

    start_ns: int
    end_ns: int


def find_bursts(
    recording: Recording,
    settings: BurstSettings | None = None,
    features: FeatureSettings | None = None,
) -> list[Burst]:
    """Bursts of the raw EMG of a recording.

    The envelope is the mean over the channels of the rectified signal after band-pass and notches,
    each channel in units of its median, over a window that lies about the moment: it has no delay.
    Rest is where the envelope is lowest: `rest_s` of whole seconds.

    Parameters
    ----------
    recording : Recording
    settings : BurstSettings, optional
    features : FeatureSettings, optional
        Its filters.

    Returns
    -------
    list of Burst
        In order of time.

    Raises
    ------
    UserError
        When the recording is shorter than the rest it needs.
    """
    settings = settings or BurstSettings()
    rate = recording.stream.rate
    runs = list(_runs(recording.blocks))
    rectified = [_rectified(samples, rate, features or FeatureSettings()) for _, samples in runs]
    total = sum(map(len, rectified))
    if total < settings.rest_s * rate:
        raise UserError(
            f"{recording.source}: {total / rate:.1f} s are too short for the burst detector, which "
            f"needs {settings.rest_s:g} s of rest"
        )
    level = np.median(np.concatenate(rectified), axis=0)
    used = level > 0.0
    if not used.any():
        return []
    length = max(1, round(settings.envelope_s * rate))
    envelopes = [
        uniform_filter1d((r[:, used] / level[used]).mean(axis=1), length) for r in rectified
    ]
    median, sigma = _rest(envelopes, round(rate), settings.rest_s)
    found: list[Burst] = []
    for (first, _), envelope in zip(runs, envelopes, strict=True):
        for start, end in burst_rows(envelope, median, sigma, settings, rate):
            stamps = [sample_stamp_ns(first, first.first_sample + i, rate) for i in (start, end)]
            found.append(Burst(*stamps))
    return found


def burst_rows(
    envelope: Floats, median: float, sigma: float, settings: BurstSettings, rate: float
) -> list[tuple[int, int]]:
    """First row and the one after the last of each burst of an envelope, shape (n,)."""
    above = envelope > median + settings.enter * sigma
    going = envelope > median + settings.leave * sigma
    edges = np.flatnonzero(np.diff(going.astype(np.int8), prepend=0, append=0))
    begun = np.concatenate([[0], np.cumsum(above)])
    spans: list[list[int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        entered = begun[start:end] == begun[start]
        start += int(np.count_nonzero(entered)) - 1
        if begun[end] == begun[start] or end - start < settings.shortest_s * rate:
            continue
        if spans and start - spans[-1][1] < settings.merge_s * rate:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    before, after = round(settings.before_s * rate), round(settings.after_s * rate)
    return [(max(0, s - before), min(len(envelope), e + after)) for s, e in spans]


def _rest(envelopes: Sequence[Floats], second: int, rest_s: float) -> tuple[float, float]:
    """Median and sigma, from the median absolute deviation, of the calmest seconds."""
    pieces = [
        e[i : i + second] for e in envelopes for i in range(0, max(1, len(e) - second + 1), second)
    ]
    pieces.sort(key=lambda piece: float(piece.mean()))
    rest = np.concatenate(pieces[: max(1, round(rest_s))])
    median = float(np.median(rest))
    return median, GAUSSIAN * float(np.median(np.abs(rest - median)))


def _rectified(samples: Floats, rate: float, features: FeatureSettings) -> Floats:
    """Filtered and rectified, shape (n_samples, n_channels)."""
    x = np.ascontiguousarray(samples.T, dtype=np.float64)
    level = x[:, 0].copy()
    for sections in (band_sections(features, rate), notch_sections(features, rate)):
        stage = StreamingFilter(sections, len(x))
        level = stage.start(level)
        stage.run(x)
    return np.abs(x).T


def _runs(blocks: Sequence[Block]) -> Iterator[tuple[Block, Floats]]:
    """Stretches without a missing sample: their first block, and their finite samples."""
    held: list[Block] = []
    for block in [*blocks, None]:
        after = held[-1].first_sample + len(held[-1].samples) if held else 0
        if held and (block is None or block.first_sample != after):
            samples = np.concatenate([b.samples for b in held]).astype(np.float64)
            yield held[0], np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
            held = []
        if block is not None:
            held.append(block)
