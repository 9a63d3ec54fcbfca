"""Sums over one hop: what the sums over the window are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emghand.signal.channels import Montage
from emghand.signal.features import POINTWISE, statistics_of
from emghand.signal.settings import FeatureSettings

Array = NDArray[np.float64]


class HopSums:
    """Sums of the statistics over each of a fixed number of hops, for every column of a montage.

    The sum over time is taken in one fixed order (halving), spelled out as additions of whole
    rows, so that it does not depend on how numpy reduces an axis of this shape or that.

    Parameters
    ----------
    settings : FeatureSettings
    montage : Montage
    hops : int
        Number of hops per call.
    tail : ndarray, shape (2, n_columns)
        Last two samples before the next hop, the only state. Shared by the instances for other
        numbers of hops.

    Attributes
    ----------
    full : ndarray, shape (hops, n_statistics * n_columns)
        Sums over the hops, the steps into each of them from the hop before included.
    inner : ndarray, shape (hops, n_statistics * n_columns)
        The same without those steps; the same object as `full` when no statistic has steps.
    has_steps : bool
        Whether a statistic looks at steps from one sample to the next.
    """

    def __init__(self, settings: FeatureSettings, montage: Montage, hops: int, tail: Array) -> None:
        hop, columns, n = settings.hop, montage.columns, len(montage.channels)
        length = hops * hop
        self._thresholds = (settings.zc_threshold, settings.ssc_threshold)
        self._wamp_threshold = settings.wamp_threshold
        self._tail = tail

        # The channels twice in a row: all differences are this circle, shifted, minus itself.
        circle = np.zeros((length, 2 * n))
        self._circle = (circle[:, :n], circle[:, n:]) if montage.shifts else None
        skip = 0 if montage.single else 1
        shape = (length, columns // n, n)
        row, item = circle.strides
        self._shifted = np.lib.stride_tricks.as_strided(
            circle[:, skip:], shape, (row, item, item), writeable=False
        )
        self._unshifted = circle[:, None, :n]

        # Two samples of the hop before, then the new ones; beside each sample the step to it.
        steps = any(s not in POINTWISE for s in statistics_of(settings))
        layers = np.zeros((2 + length, 2 if steps else 1, columns))
        signal = layers[:, 0]
        self._before, self._after = signal[:2], signal[-2:]
        self._differences = signal[2:].reshape(shape)
        self._channels = signal[2:, :n] if montage.single else None
        self.has_steps = steps
        self._steps = (signal[1:], signal[:-1], layers[1:, 1]) if steps else None
        self._prepare_terms(settings, layers, hops)

    def _prepare_terms(self, settings: FeatureSettings, layers: Array, hops: int) -> None:
        hop, columns = settings.hop, layers.shape[2]
        statistics = statistics_of(settings)
        slots = {s: i for i, s in enumerate(statistics)}
        terms = np.zeros((hops, hop, len(statistics), columns))
        by_hop = layers[2:].reshape(hops, hop, -1, columns)
        before = layers[1:-1].reshape(by_hop.shape)

        self._square = (
            (by_hop[:, :, 0], terms[:, :, slots["square"]]) if "square" in slots else None
        )
        self._amplitude = None
        layer, slot = _neighbours("abs", "wl", slots)
        if layer:
            self._amplitude = (by_hop[:, :, layer], terms[:, :, slot])
        self._step_pairs = (before[:, :, -1], by_hop[:, :, -1])
        self._step_terms = {
            s: terms[:, :, slots[s]] for s in ("wamp", "step2", "curve2") if s in slots
        }
        self._signs = None
        self._zc_flags = self._ssc_flags = None
        layer, slot = _neighbours("zc", "ssc", slots)
        if layer:
            sooner, later = before[:, :, layer], by_hop[:, :, layer]
            product, flags = np.zeros(later.shape), np.zeros(later.shape, bool)
            self._signs = (sooner, later, product, flags, terms[:, :, slot])
            if "zc" in slots:
                self._zc_flags = flags[:, :, 0]
            if "ssc" in slots:
                self._ssc_flags = flags[:, :, -1]
        # What looks at two steps needs, at the second sample of a hop, one of the hop before.
        self._turns = [
            (terms[:, 0, slots[s]], terms[:, 1, slots[s]]) for s in ("curve2", "ssc") if s in slots
        ]

        self._halvings = []
        rows = hop - 1
        while rows > 1:
            half = rows // 2
            self._halvings.append((terms[:, 1 : 1 + half], terms[:, 1 + rows - half : 1 + rows]))
            rows -= half
        full = np.zeros((hops, len(statistics), columns))
        inner = np.zeros_like(full) if self.has_steps else full
        self._into_full = (terms[:, 1], terms[:, 0], full)
        pointwise = sum(s in POINTWISE for s in statistics)
        self._into_inner = (
            (inner[:, :pointwise], full[:, :pointwise]),
            (inner[:, pointwise:], terms[:, 1, pointwise:]),
        )
        width = len(statistics) * columns
        self.full = full.reshape(hops, width)
        self.inner = inner.reshape(hops, width) if self.has_steps else self.full

    def update(self, samples: Array) -> None:
        """Compute the sums of the next hops, samples of shape (hops * hop, n_channels)."""
        if self._circle:
            for half in self._circle:
                np.copyto(half, samples)
            np.subtract(self._shifted, self._unshifted, out=self._differences)
        if self._channels is not None:
            np.copyto(self._channels, samples)
        if self._steps:
            np.copyto(self._before, self._tail)
            np.copyto(self._tail, self._after)
            later, sooner, step = self._steps
            np.subtract(later, sooner, out=step)
        if self._square:
            values, out = self._square
            np.multiply(values, values, out=out)
        if self._amplitude:
            values, out = self._amplitude
            np.absolute(values, out=out)
        if self._step_terms:
            self._update_step_terms()
        if self._signs:
            sooner, later, product, flags, out = self._signs
            np.multiply(sooner, later, out=product)
            np.less(product, 0.0, out=flags)
            self._apply_thresholds()
            np.copyto(out, flags)
        for first, second in self._turns:
            np.add(first, second, out=first)
            second.fill(0.0)
        for into, other in self._halvings:
            np.add(into, other, out=into)
        rest, first_terms, full = self._into_full
        np.add(rest, first_terms, out=full)
        if self.has_steps:
            for inner, part in self._into_inner:
                np.copyto(inner, part)

    def _update_step_terms(self) -> None:
        step_before, step = self._step_pairs
        for statistic, out in self._step_terms.items():
            if statistic == "wamp":
                np.copyto(out, np.absolute(step) >= self._wamp_threshold)
            elif statistic == "step2":
                np.multiply(step, step, out=out)
            else:
                np.subtract(step, step_before, out=out)
                np.multiply(out, out, out=out)

    def _apply_thresholds(self) -> None:
        zc_threshold, ssc_threshold = self._thresholds
        step_before, step = self._step_pairs
        if self._zc_flags is not None and zc_threshold:
            self._zc_flags &= np.absolute(step) >= zc_threshold
        if self._ssc_flags is not None and ssc_threshold:
            large = np.absolute(step) >= ssc_threshold
            self._ssc_flags &= large | (np.absolute(step_before) >= ssc_threshold)


def _neighbours(first: str, second: str, slots: dict[str, int]) -> tuple[slice | None, slice]:
    """Layers, 0 signal and 1 steps, that `first` and `second` need, and their slots."""
    places = [i for i, s in enumerate((first, second)) if s in slots]
    if not places:
        return None, slice(0)
    start = slots[(first, second)[places[0]]]
    return slice(places[0], places[-1] + 1), slice(start, start + len(places))
