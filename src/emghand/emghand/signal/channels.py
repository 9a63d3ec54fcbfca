"""Which channels and differential pairs features are computed of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError


def mapped_channels(
    channel_map: Sequence[str], device_names: Sequence[str]
) -> tuple[tuple[str, ...], list[int]]:
    """Names of the channels in use and their places among those of the device.

    Parameters
    ----------
    channel_map : sequence of str
        Channels of the device in the order of use, written ``device`` or ``device=name``; empty:
        all as they come.
    device_names : sequence of str

    Raises
    ------
    UserError
        For a channel the device does not have, or one that is used or named twice.
    """
    if not channel_map:
        return tuple(device_names), list(range(len(device_names)))
    names, places = [], []
    for entry in channel_map:
        # A name of the device may itself hold an equals sign.
        device, separator, name = entry.rpartition("=")
        if entry in device_names or not separator:
            device = name = entry
        if device not in device_names or not name:
            known = ", ".join(device_names)
            raise UserError(f"channel_map: the device has no channel {device!r}, known: {known}")
        names.append(name)
        places.append(list(device_names).index(device))
    for what, values in (("channel", places), ("name", names)):
        if len(set(values)) != len(values):
            raise UserError(f"channel_map: gives the same {what} twice")
    return tuple(names), places


class Montage:
    """Single-ended channels, all their differences, or both; bad channels left out.

    All differences of n channels come out of one subtraction of the channels from themselves,
    shifted by 1 … n // 2 places in a circle: `columns` is their number in that order, which for
    even n holds n / 2 pairs twice. Every feature is an even function of the signal, so the sign of
    a difference does not matter.

    Parameters
    ----------
    kind : {"single", "differential", "both"}
    channel_names : sequence of str
    bad_channels : sequence of str
        Names of channels to leave out.

    Attributes
    ----------
    channels : tuple of str
        Names of the channels in use, length n.
    selection : ndarray of int, shape (n,), or None
        Their places among all channels; None: all of them.
    names : tuple of str
        Channels first, then pairs: ``a-b`` with a before b, in lexicographic order of place.
    shifts : int
        Number of circular shifts; 0: no pairs.
    single : bool
        Whether the channels themselves are columns.
    columns : int
        Number of columns as computed.
    order : ndarray of int, shape (len(names),)
        The column of each name.

    Raises
    ------
    UserError
        For an unknown bad channel, or when nothing is left.
    """

    def __init__(
        self, kind: str, channel_names: Sequence[str], bad_channels: Sequence[str] = ()
    ) -> None:
        for name in bad_channels:
            if name not in channel_names:
                known = ", ".join(channel_names)
                raise UserError(f"bad_channels: unknown channel {name!r}, known: {known}")
        kept = [i for i, name in enumerate(channel_names) if name not in bad_channels]
        n = len(kept)
        self.single = kind != "differential"
        if n < (1 if kind == "single" else 2):
            raise UserError(f"montage {kind}: {n} good channels are too few")
        self.channels = tuple(channel_names[i] for i in kept)
        self.selection: NDArray[np.intp] | None = (
            None if n == len(channel_names) else np.array(kept, np.intp)
        )
        self.shifts = 0 if kind == "single" else n // 2
        first_pair = n if self.single else 0
        self.columns = first_pair + self.shifts * n
        names = list(self.channels) if self.single else []
        order = list(range(first_pair))
        pairs = [(a, b) for a in range(n) for b in range(a + 1, n)] if self.shifts else []
        self._pairs = np.array(pairs, np.intp).reshape(-1, 2)
        for a, b in pairs:
            names.append(f"{self.channels[a]}-{self.channels[b]}")
            shift, start = (b - a, a) if b - a <= n // 2 else (n - b + a, b)
            order.append(first_pair + (shift - 1) * n + start)
        self.names = tuple(names)
        self.order = np.array(order, np.intp)

    def columns_of(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Channels and pairs, shape (m, len(names)), of the channels in use, shape (m, n)."""
        if not self.shifts:
            return samples
        first, second = self._pairs.T
        pairs: NDArray[np.float64] = samples[:, first] - samples[:, second]
        return np.hstack([samples, pairs]) if self.single else pairs

    def members(self, name: str) -> NDArray[np.bool_]:
        """Which of the channels in use a column of this name holds, shape (n,)."""
        held = np.zeros(len(self.channels), np.bool_)
        column = self.names.index(name)
        singles = len(self.channels) if self.single else 0
        held[column if column < singles else self._pairs[column - singles]] = True
        return held
