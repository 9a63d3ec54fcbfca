"""What the readers share: blocks, channels that stand still, the finished recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.storage.recording import (
    Block,
    Period,
    Recording,
    Series,
    Stream,
    recording_digest,
)
from emghand.storage.repairs import KEPT, RepairLog

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TARGET_BLOCK_S = 0.016


def default_block_size(rate: float) -> int:
    """Largest power of two of samples that last no longer than 16 ms; at least 1."""
    size = 1
    while 2 * size <= TARGET_BLOCK_S * rate:
        size *= 2
    return size


def blocks_at(
    samples: Floats, index: Ints, rate: float, block_size: int, start_ns: int = 0
) -> list[Block]:
    """Cut samples into blocks at the places `index` of the sample counter, shape (n,).

    A block ends at a gap and at every multiple of `block_size`. `start_ns` is the time of sample 0.
    """
    samples32 = np.ascontiguousarray(samples, np.float32)
    new = (np.diff(index, prepend=index[0] - 2) != 1) | (index % block_size == 0)
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(index))
    return [
        Block(first, start_ns + round(first * 1e9 / rate), samples32[start:end])
        for first, start, end in zip(
            index[starts].tolist(), starts.tolist(), ends.tolist(), strict=True
        )
    ]


RAIL_SHARE = 0.99
RAIL_S = 0.1
_RAIL_SAMPLES = 16


def report_still_channels(
    path: str | Path,
    samples: Floats,
    names: Sequence[str],
    rate: float,
    full_scale: float,
    log: RepairLog,
) -> None:
    """Report channels that never change, or that stay at the end of their range.

    That end is 99 % of the full scale or, where it is unknown, the largest value of the channel. A
    healthy contraction clips for a moment; reported are stretches of 0.1 s and at least 16 samples.

    Parameters
    ----------
    samples : ndarray, shape (n, n_channels)
    """
    needed = max(_RAIL_SAMPLES, round(RAIL_S * rate))
    for name, channel in zip(names, samples.T, strict=True):
        if len(channel) >= needed and channel.min() == channel.max():
            text = f"channel {name} never changes"
            log.add(path, "flat_channel", KEPT, text, count=len(channel), unit="sample")
            continue
        size = np.abs(channel)
        still = size >= (RAIL_SHARE * full_scale if full_scale > 0 else size.max())
        edges = np.diff(still.astype(np.int8), prepend=0, append=0)
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        long = ends - starts >= needed
        places = [
            np.arange(a, b) for a, b in zip(starts[long].tolist(), ends[long].tolist(), strict=True)
        ]
        text = f"channel {name} stays at the end of its range"
        found = np.concatenate(places) if places else ()
        log.add(path, "railed_channel", KEPT, text, found, "sample")


def make_recording(
    source: str,
    stream: Stream,
    blocks: list[Block],
    x_d: Series | None = None,
    periods: list[Period] | None = None,
    *,
    subject: str = "",
    session: str = "",
    date: str = "",
    log: RepairLog | None = None,
) -> Recording:
    """Recording with its digest and what the log of its reader holds."""
    periods = periods or []
    return Recording(
        source,
        stream,
        blocks,
        x_d=x_d,
        periods=periods,
        digest=recording_digest(stream, blocks, x_d, periods),
        subject=subject,
        session=session,
        date=date,
        repairs=log.repairs if log is not None else (),
    )
