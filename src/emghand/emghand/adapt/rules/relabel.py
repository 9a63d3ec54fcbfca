"""Batch relabelling: a refit to detected movements, with calibration data beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emghand.adapt.memory import Piece, ReplayMemory, cluster_of
from emghand.adapt.rules.base import (
    Batch,
    Bools,
    LinearRule,
    RuleSettings,
    Score,
    calibration_weight,
    no_state,
)
from emghand.adapt.rules.labels import Segmenter, detected_segments
from emghand.adapt.rules.linear import Moments, inputs
from emghand.decoders.base import Decoder
from emghand.storage.models import Model
from emghand.training.dataset import Dataset


@dataclass(frozen=True)
class RelabelSettings(RuleSettings):
    """Settings of batch relabelling."""

    calibration_weight: float = calibration_weight(0.3)


class RelabelRule(LinearRule[RelabelSettings]):
    """A refit to what was seen, from the calibration each time.

    Detected movements get labels from where they were to where they came, on a profile of minimum
    jerk; DOFs that did not take part are held, and ends near rest are at rest. With a replay
    memory, what is new in a window is added to it, and the refit is to all of it; `undo` then
    erases it, for its labels are those of the decoders that are undone.

    Parameters
    ----------
    memory : ReplayMemory, optional
        Changed by `propose` and `undo`. The other parameters are those of `LinearRule`.
    """

    name = "relabel"
    chained = False

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        settings: RelabelSettings,
        *,
        segmenter: Segmenter = detected_segments,
        score: Score | None = None,
        margin: float | None = None,
        memory: ReplayMemory | None = None,
    ) -> None:
        super().__init__(model, dataset, settings, segmenter=segmenter, score=score, margin=margin)
        self.memory = memory

    def undo(self) -> None:
        """Back to the calibration; the memory is erased."""
        super().undo()
        if self.memory is not None:
            self.memory.clear()

    def _start(self) -> None:
        """It carries nothing but its memory."""

    def _only_new(self) -> bool:
        return self.memory is not None

    def _learn(self, batch: Batch, changed: Bools) -> tuple[Decoder, Callable[[], None]]:
        moments = Moments.of(batch.inputs, batch.labelled.X)
        moments += self.linear.calibration.scaled(self.settings.calibration_weight)
        memory = self.memory
        if memory is None:
            parameters = self.linear.solve(moments, self.linear.start, changed)
            return self.linear.decoder(parameters), no_state
        Z, X, pieces = memory.examples()
        if len(Z):
            moments += Moments.of(inputs(self.model, Z, pieces), X)
        parameters = self.linear.solve(moments, self.linear.start, changed)

        def remember() -> None:
            for piece in _pieces(batch, self.settings.snap):
                memory.add(piece)

        return self.linear.decoder(parameters), remember


def _pieces(batch: Batch, snap: float) -> list[Piece]:
    """What a memory keeps of a batch; a posture that is held is of the kind of its DOFs."""
    found = []
    labelled = batch.labelled
    for number in np.unique(labelled.piece):
        rows = labelled.piece == number
        X = labelled.X[rows]
        moving = labelled.moving[rows].any(axis=0)
        if not moving.any():
            moving = np.abs(X).max(axis=0) >= max(snap, 1e-9)
        first = int(batch.ticks[rows][0])
        found.append(Piece(batch.Z[rows], X, cluster_of(X, moving), first))
    return found
