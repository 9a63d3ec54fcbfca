"""From raw EMG to feature vectors: the one path used live, offline, in replay and in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emghand.errors import UserError
from emghand.signal.channels import Montage, mapped_channels
from emghand.signal.features import FeatureVector
from emghand.signal.filters import StreamingFilter, band_sections, notch_sections
from emghand.signal.hop_sums import HopSums
from emghand.signal.quality import SignalGuard
from emghand.signal.sample_grid import Gap, Piece, SampleGrid
from emghand.signal.settings import FeatureSettings
from emghand.signal.window import SlidingSum
from emghand.signal.window_features import WINDOW_FEATURES, WindowFeatures

Array = NDArray[np.float64]

MAX_RATE = 1e6
"""Most samples per second [Hz]; it bounds the memory that a description of a stream asks for."""

_CHUNK = 4096
_MOST_HOPS = 32
_CACHE_BYTES = 1 << 17


class FeatureTick(NamedTuple):
    """The features of one tick.

    Parameters
    ----------
    tick : int
        Number on the absolute sample grid.
    last_sample : int
        Last sample of the window on the device's counter: ``(tick + 1) * hop - 1``.
    z : ndarray, shape (n_features,), float64
    quality : int
        Bits of `emghand.signal.quality.Quality`.
    reset : bool
        First tick after filters and windows started anew.
    """

    tick: int
    last_sample: int
    z: Array
    quality: int
    reset: bool


class FeaturePipeline:
    """Raw EMG in blocks of any size in, one feature vector per tick out.

    Band-pass, notches, differential pairs, sums per hop, sliding window, features, live-signal
    guard. All of it advances hop by hop on the absolute sample grid of the device, so the result
    does not depend on how the samples arrived, to the bit. There is no tick before the window is
    full, at the start and after every reset. Filters start in the steady state of the first sample,
    so that an electrode offset makes no transient.

    Sums are additions of whole rows in a stated order, without a linear algebra library, so that
    features do not depend on the vector instructions of the processor either (the logarithm and the
    spectrum behind MNF and MDF may).

    Parameters
    ----------
    settings : FeatureSettings
    n_channels : int
    rate : float
        Samples per second [Hz].
    full_scale : float
        Largest absolute value of the device, in the unit of the signal; 0: unknown.
    channel_names : sequence of str, optional
        Of the device. Default: ch1, ch2, …

    Attributes
    ----------
    names : tuple of str
        Names of the features.
    channels : tuple of str
        Names of the channels in use, after the channel map; those of `channel_quality`.
    tick_rate : float
        Ticks per second [Hz].

    Raises
    ------
    UserError
        When the settings do not fit the stream.
    """

    def __init__(
        self,
        settings: FeatureSettings,
        n_channels: int,
        rate: float,
        full_scale: float = 0.0,
        channel_names: Sequence[str] | None = None,
    ) -> None:
        if channel_names is None:
            channel_names = [f"ch{i + 1}" for i in range(n_channels)]
        if len(channel_names) != n_channels or len(set(channel_names)) != n_channels:
            raise UserError(f"{n_channels} channels need as many names, each once")
        if not 0 < rate <= MAX_RATE:
            raise UserError(f"rate: {rate:g} Hz must lie above 0 and not above {MAX_RATE:g} Hz")
        self.settings = settings
        self.n_channels = n_channels
        self.rate = rate
        self.tick_rate = rate / settings.hop
        self._hop = settings.hop
        names, places = mapped_channels(settings.channel_map, channel_names)
        montage = Montage(settings.montage, names, settings.bad_channels)
        self.channels = montage.channels
        kept = places if montage.selection is None else [places[i] for i in montage.selection]
        everything = kept == list(range(n_channels))
        self._selection = None if everything else np.array(kept, np.intp)
        n_used = len(montage.channels)
        max_fill = int(settings.max_fill_s * rate + 1e-9)
        self._grid = SampleGrid(self._hop, n_used, max_fill, back_limit=round(rate))
        self._band = StreamingFilter(band_sections(settings, rate), n_used)
        notches = notch_sections(settings, rate)
        self._notch = StreamingFilter(notches, n_used)
        self._montage = montage
        self._tail = np.zeros((2, montage.columns))
        self._sums: dict[int, HopSums] = {}
        first = self._sums_of(1)
        self._window = SlidingSum(settings.window_hops, first.full.shape[1], first.has_steps)
        most = _CACHE_BYTES // (8 * self._hop * max(first.full.shape[1], 1))
        self._batch = min(_MOST_HOPS, 1 << max(most.bit_length() - 1, 0))
        self._features = FeatureVector(settings, montage)
        asked = any(name in WINDOW_FEATURES for name in settings.features)
        self._samples = WindowFeatures(settings, montage, rate) if asked else None
        self.names = self._features.names
        self._guard = SignalGuard(settings, n_used, rate, full_scale, mains=len(notches) > 0)
        self.reset()

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return len(self.names)

    def reset(self) -> None:
        """Expect a new stream; gaps that were not taken yet stay."""
        self._grid.reset()
        self._start(np.zeros(len(self.channels)))

    def take_gaps(self) -> list[Gap]:
        """Gaps, duplicates and resets since the last call."""
        return self._grid.take_gaps()

    def channel_quality(self) -> NDArray[np.uint8]:
        """Bits of `Quality` of every channel in use now, shape (len(channels),)."""
        return self._guard.channel_flags()

    def push(self, samples: ArrayLike, first_sample: int) -> list[FeatureTick]:
        """Take the next block of raw EMG.

        Parameters
        ----------
        samples : array_like, shape (n_samples, n_channels)
            Any number of samples.
        first_sample : int
            Index of the first one on the device's counter.

        Returns
        -------
        list of FeatureTick
            One for every tick that ends in this block.

        Raises
        ------
        ValueError
            When the block does not have `n_channels` columns.
        """
        block = np.asarray(samples)
        first = int(first_sample)
        if block.ndim != 2 or block.shape[1] != self.n_channels:
            raise ValueError(f"expected (n, {self.n_channels}) samples, got shape {block.shape}")
        ticks: list[FeatureTick] = []
        for start in range(0, len(block), _CHUNK):
            part = block[start : start + _CHUNK]
            if self._selection is not None:
                part = part[:, self._selection]
            part = np.ascontiguousarray(part, np.float64)
            for piece in self._grid.push(part, first + start):
                self._advance(piece, ticks)
        return ticks

    def _start(self, level: Array) -> None:
        self._notch.start(self._band.start(level))
        self._tail[...] = 0.0
        self._window.start()
        if self._samples is not None:
            self._samples.samples[...] = 0.0
        self._guard.start(level)
        self._hops = 0

    def _sums_of(self, hops: int) -> HopSums:
        if hops not in self._sums:
            self._sums[hops] = HopSums(self.settings, self._montage, hops, self._tail)
        return self._sums[hops]

    def _advance(self, piece: Piece, ticks: list[FeatureTick]) -> None:
        """Take whole hops, in batches whose size is a power of two that divides their index."""
        index, samples, fresh = piece
        if fresh:
            self._start(samples[0])
        hop = self._hop
        start = 0
        while start < len(samples):
            size = self._batch
            while index % size or start + size * hop > len(samples):
                size //= 2
            end = start + size * hop
            self._advance_batch(index, size, samples[start:end], ticks)
            index += size
            start = end

    def _advance_batch(
        self, index: int, size: int, samples: Array, ticks: list[FeatureTick]
    ) -> None:
        band = np.array(samples.T, order="C")
        self._band.run(band)
        clean = band.copy()
        self._notch.run(clean)
        if (index + size) % _MOST_HOPS == 0:
            self._band.flush()
            self._notch.flush()
        sums = self._sums_of(size)
        sums.update(clean.T)
        of_samples = None if self._samples is None else self._samples.push(index, clean.T)
        z = self._features.compute(self._window.push(index, sums.full, sums.inner), of_samples)
        flags = self._guard.update(index, samples, band, clean)
        ahead = self._hops - self.settings.window_hops
        self._hops += size
        for row, quality in zip(z, flags, strict=True):
            index += 1
            ahead += 1
            if ahead >= 0:
                last = index * self._hop - 1
                ticks.append(FeatureTick(index - 1, last, row, quality, ahead == 0))

    def _arrays(self) -> dict[str, NDArray]:
        parts = {
            "band": self._band.arrays(),
            "notch": self._notch.arrays(),
            "sums": {"tail": self._tail},
            "window": self._window.arrays(),
            "guard": self._guard.arrays(),
        }
        if self._samples is not None:
            parts["samples"] = {"ring": self._samples.samples}
        return {f"{p}.{name}": array for p, own in parts.items() for name, array in own.items()}

    def snapshot(self) -> dict[str, NDArray]:
        """The whole state as plain arrays, copied."""
        snapshot = {name: array.copy() for name, array in self._arrays().items()}
        snapshot |= {f"grid.{name}": array for name, array in self._grid.state().items()}
        snapshot["hops"] = np.array(self._hops, np.int64)
        return snapshot

    def restore(self, snapshot: Mapping[str, NDArray]) -> None:
        """Go on from a snapshot: what follows is what would have followed there, to the bit.

        Raises
        ------
        UserError
            When the snapshot was taken with other settings or another stream.
        """
        own = self.snapshot()
        if {n: a.shape for n, a in own.items()} != {n: np.shape(a) for n, a in snapshot.items()}:
            raise UserError("snapshot: does not fit these feature settings and this stream")
        for name, array in self._arrays().items():
            array[...] = snapshot[name]
        grid = {n: a for n, a in snapshot.items() if n.startswith("grid.")}
        self._grid.set_state({n.removeprefix("grid."): a for n, a in grid.items()})
        self._hops = int(snapshot["hops"])
