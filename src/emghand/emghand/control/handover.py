"""One decoder takes over from another one without a bump."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import Decoder
from emghand.storage.models import Model

Floats = NDArray[np.float64]

WARM_S = 0.5
"""For so long a new decoder runs beside the old one before it gets any weight [s]."""

LARGEST_STEP = 0.05
"""Most that a hand-over may add to the output from one tick to the next."""


def decoder_of(model: Model) -> Decoder:
    """A fresh copy of a model's decoder; of a large one this takes longer than a tick."""
    found: Decoder = type(model.decoder).from_arrays(
        model.decoder.get_params(), model.decoder.to_arrays()
    )
    return found


class Estimator:
    """From features to `x_hat`: normaliser, encoder and a decoder of its own.

    Parameters
    ----------
    model : Model
        It is not changed: this runs a copy of its decoder.
    decoder : Decoder, optional
        What `decoder_of` made of the model, for this alone.
    """

    def __init__(self, model: Model, decoder: Decoder | None = None) -> None:
        self.model = model
        self.decoder = decoder_of(model) if decoder is None else decoder
        self.decoder.reset()
        self._normaliser = model.normaliser
        # It remembers nothing, so that it needs no copy and no place in snapshots.
        self._encoder = model.encoder

    def step(self, z: Floats) -> Floats:
        """Estimate of one tick; features (n_features,) -> (n_dofs,)."""
        u = self._normaliser.apply(z)
        return self.decoder.step(u if self._encoder is None else self._encoder.encode(u))


class Handover:
    """Both decoders run; the estimate goes from that of the old one to that of the new one.

    The new one starts where the old one stands and runs beside it for `WARM_S` and its longest
    delay. Then its weight rises linearly from 0 to 1. What the hand-over adds to the old estimate
    changes by no more than `largest_step` from one tick to the next, whatever the two decoders say:
    where they are far apart, it takes longer than `ticks` (estimates 2 apart need at least 40 ticks
    at 0.05). An estimate that is no number ends with its tick: the offset stays as it was.

    Parameters
    ----------
    old, new : Estimator
        Of the same features and DOFs.
    ticks : int
        Length of the blend, at least 1.
    largest_step : float
        Bound per tick and DOF, of the estimate.
    limit : float
        Estimates beyond +-limit are taken for the limit: they make no difference to the output, and
        nobody shall wait for a way that nobody sees.
    offset : ndarray, shape (n_dofs,), optional
        What an unfinished hand-over has added to `old` so far.
    """

    def __init__(
        self,
        old: Estimator,
        new: Estimator,
        ticks: int,
        largest_step: float,
        limit: float,
        offset: Floats | None = None,
    ) -> None:
        delays = new.decoder.delays
        self.old, self.new = old, new
        self._ticks = ticks
        self._warm = round(WARM_S * new.model.tick_rate) + (delays[-1] if delays else 0)
        self._step, self._limit = largest_step, limit
        self._count = 0
        self.offset = np.zeros(new.decoder.n_dofs_) if offset is None else offset.copy()
        self.finished = False
        """The last estimate was that of the new decoder alone."""

    def step(self, z: Floats) -> Floats:
        """Estimate of one tick; features (n_features,) -> (n_dofs,)."""
        a = self._limited(self.old.step(z))
        if not np.isfinite(a).all():
            # As without a hand-over: no output in this tick. Nobody starts from here.
            return a
        if self._count == 0:
            self.new.decoder.start_from(a + self.offset)
        estimate = self.new.step(z)
        b = self._limited(estimate)
        self._count += 1
        if not np.isfinite(b).all():
            return a + self.offset
        weight = min(max(self._count - self._warm, 0) / self._ticks, 1.0)
        wanted = weight * (b - a)
        self.offset = np.minimum(
            np.maximum(wanted, self.offset - self._step), self.offset + self._step
        )
        if weight == 1.0 and np.array_equal(self.offset, wanted):
            self.finished = True
            return estimate
        return a + self.offset

    def _limited(self, x_hat: Floats) -> Floats:
        return np.minimum(np.maximum(x_hat, -self._limit), self._limit)
