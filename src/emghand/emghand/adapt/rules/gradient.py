"""Stochastic gradient steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.rules.base import (
    Batch,
    Bools,
    LinearRule,
    RuleSettings,
    Score,
    no_state,
)
from emghand.adapt.rules.labels import Segmenter, detected_segments
from emghand.decoders.base import Decoder
from emghand.decoders.kalman import KalmanDecoder
from emghand.errors import UserError
from emghand.settings import setting
from emghand.storage.models import Model
from emghand.training.dataset import Dataset

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GradientSettings(RuleSettings):
    """Settings of the gradient steps."""

    rate: float = setting(
        0.1,
        "Length of a step, relative to the longest that surely lowers the error of its ticks.",
        low=1e-6,
        high=1.0,
    )
    step_ticks: int = setting(32, "Ticks of one step.", unit="ticks", low=1, high=100_000)
    passes: int = setting(1, "Times that a batch is gone through.", low=1, high=1000)


class GradientRule(LinearRule[GradientSettings]):
    """Steps down the squared error, some consecutive ticks at a time, from where the last ended.

    Of a ridge decoder the coefficients move. Of a Kalman filter it is the gain and the offset of
    x_t = F x_{t-1} + K z_t + c, F kept, with the label of the tick before as x_{t-1}. A step is
    `rate` over the mean squared length of its inputs, so that it never raises the error of its own
    ticks. With `moving_dofs_only` a row learns from ticks of its own movements alone.
    """

    name = "gradient"
    chained = True

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        settings: GradientSettings,
        *,
        segmenter: Segmenter = detected_segments,
        score: Score | None = None,
        margin: float | None = None,
    ) -> None:
        super().__init__(model, dataset, settings, segmenter=segmenter, score=score, margin=margin)
        decoder = model.decoder
        if isinstance(decoder, KalmanDecoder) and decoder.gain == "standard":
            raise UserError(
                "the rule gradient adapts the gain of a Kalman decoder, which the standard gain "
                "computes anew at every tick; train it with the steady gain"
            )

    def _start(self) -> None:
        """The decoder in force is all that it carries."""

    def _learn(self, batch: Batch, changed: Bools) -> tuple[Decoder, Callable[[], None]]:
        weights, offset = self._names
        arrays = dict(self._decoder.to_arrays())
        theta = np.column_stack([arrays[weights], arrays[offset]]).astype(np.float64)
        U, targets, learns = self._examples(batch)
        size, n = self.settings.step_ticks, len(U)
        for start in list(range(0, n, size)) * self.settings.passes:
            rows = slice(start, start + size)
            error = np.where(learns[rows], U[rows] @ theta.T - targets[rows], 0.0)
            theta -= self.settings.rate / (U[rows] ** 2).sum() * (error.T @ U[rows])
        arrays[weights], arrays[offset] = theta[:, :-1].copy(), theta[:, -1].copy()
        decoder = type(self._decoder).from_arrays(self._decoder.get_params(), arrays)
        return decoder, no_state

    @property
    def _names(self) -> tuple[str, str]:
        if isinstance(self._decoder, KalmanDecoder):
            return "gain_", "offset_"
        return "coef_", "intercept_"

    def _examples(self, batch: Batch) -> tuple[Floats, Floats, Bools]:
        """Inputs with a 1, targets that are linear in them, and which DOFs learn from which row."""
        X, piece = batch.labelled.X, batch.labelled.piece
        U = np.hstack([batch.inputs, np.ones((len(X), 1))])
        learns = np.ones_like(batch.labelled.moving)
        if self.settings.moving_dofs_only:
            learns = batch.labelled.moving
        if isinstance(self._decoder, KalmanDecoder):
            # The first tick of a piece has no predecessor.
            follows = np.flatnonzero(np.diff(piece) == 0) + 1
            if not len(follows):
                raise UserError("what was seen has no two ticks of one movement")
            before = X[follows - 1] @ self._decoder.transition_.T
            return U[follows], X[follows] - before, learns[follows]
        return U, X, learns
