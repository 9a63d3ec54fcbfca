"""One recorded run as arrays, whatever it was read from: a bag, a data set, a table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class PeriodKind(IntEnum):
    """What the subject is asked to do; the values of ``SessionState.period``."""

    IDLE = 0
    PROMPT = 1
    MOVE = 2
    HOLD = 3
    REST = 4


@dataclass(frozen=True)
class Stream:
    """What a stream of raw EMG carries; the fields of ``EmgInfo``.

    Parameters
    ----------
    rate : float
        Samples per second and channel [Hz].
    unit : str
        ``V``, or ``count`` where the device states no scale.
    full_scale : float
        Largest absolute value the device can deliver, in `unit`; 0: unknown.
    """

    device: str
    stream: str
    channel_names: tuple[str, ...]
    rate: float
    block_size: int
    unit: str = "V"
    full_scale: float = 0.0

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.channel_names)


@dataclass(frozen=True)
class Block:
    """One block of raw EMG.

    Parameters
    ----------
    first_sample : int
        Index of the first sample on the device's counter.
    stamp_ns : int
        Acquisition time of the first sample [ns].
    samples : ndarray, shape (n_samples, n_channels), float32
    """

    first_sample: int
    stamp_ns: int
    samples: NDArray[np.float32]


@dataclass(frozen=True)
class Series:
    """Named values over time: `x_d`, `x_hat`, glove DOFs.

    Parameters
    ----------
    names : tuple of str, length k
    stamps_ns : ndarray, shape (n,), int64
    values : ndarray, shape (n, k), float64
    """

    names: tuple[str, ...]
    stamps_ns: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Period:
    """From `stamp_ns` on, the subject is in this period of this trial."""

    stamp_ns: int
    kind: PeriodKind
    movement: str = ""
    movement_index: int = 0
    repetition: int = 0
    trial: int = 0


@dataclass(frozen=True)
class Source:
    """What a recording is, without its samples.

    Parameters
    ----------
    name : str
        Where it was read from.
    digest : str
        SHA-256 of the raw EMG and the labels.
    subject, session, date : str
        Empty where unknown; see `Recording`.
    """

    name: str
    digest: str
    subject: str = ""
    session: str = ""
    date: str = ""


@dataclass(frozen=True)
class Recording:
    """One recorded run.

    Parameters
    ----------
    source : str
        Where it was read from, for messages.
    stream : Stream
    blocks : list of Block
        In the order of arrival.
    x_d : Series or None
        Desired DOFs: prompts, or the glove of an intact subject.
    x_hat, out_x_hat : Series or None
        What a decoder published during the run.
    periods : list of Period
        In order of time; empty where the run was not prompted.
    digest : str
        SHA-256 of the raw EMG and the labels.
    subject, session, date : str
        Who, in which sitting, on which day (``YYYY-MM-DD``); empty where the source does not say.
        Not part of the digest.
    """

    source: str
    stream: Stream
    blocks: list[Block]
    x_d: Series | None = None
    x_hat: Series | None = None
    out_x_hat: Series | None = None
    periods: list[Period] = field(default_factory=list)
    digest: str = ""
    subject: str = ""
    session: str = ""
    date: str = ""

    def describe(self) -> Source:
        """What it is, without its samples."""
        return Source(self.source, self.digest, self.subject, self.session, self.date)


def recording_digest(
    stream: Stream, blocks: Sequence[Block], x_d: Series | None, periods: Sequence[Period]
) -> str:
    """SHA-256 of the raw EMG and the labels, whatever they were read from, hexadecimal."""
    sha = hashlib.sha256(repr((stream.channel_names, stream.rate, stream.unit)).encode())
    for block in blocks:
        sha.update(repr((block.first_sample, block.stamp_ns, block.samples.shape)).encode())
        sha.update(np.ascontiguousarray(block.samples).data)
    if x_d is not None:
        sha.update(repr((x_d.names, x_d.values.shape)).encode())
        sha.update(np.ascontiguousarray(x_d.stamps_ns).data)
        sha.update(np.ascontiguousarray(x_d.values).data)
    sha.update(
        repr([(p.stamp_ns, int(p.kind), p.movement, p.repetition) for p in periods]).encode()
    )
    return sha.hexdigest()
