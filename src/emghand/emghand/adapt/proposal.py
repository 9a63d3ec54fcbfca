"""What a rule of adaptation proposes, with everything that is said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.window import Window
from emghand.storage.models import Model

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class CandidateScore:
    """A decoder that was considered, and how plausible its output is."""

    name: str
    plausibility: float


@dataclass(frozen=True)
class Changes:
    """What seems to have changed since the calibration.

    Parameters
    ----------
    gain : ndarray, shape (n_features,)
        Factor of each feature's signal, without `global_gain`.
    dead : ndarray of bool, shape (n_features,)
        Features that are left out.
    baseline : ndarray, shape (n_features,)
        Level at rest now, minus that of the reference.
    global_gain : float
    rotation_deg : float
        Of the ring of electrodes; 0 when it is not known.
    """

    gain: Floats
    dead: Bools
    baseline: Floats
    global_gain: float = 1.0
    rotation_deg: float = 0.0

    @classmethod
    def none(cls, n_features: int) -> Changes:
        """Nothing changed."""
        n = n_features
        return cls(np.ones(n), np.zeros(n, dtype=np.bool_), np.zeros(n))


@dataclass(frozen=True)
class Proposal:
    """Result of a rule.

    Parameters
    ----------
    model : Model or None
        To be swapped in; None: refused, the decoder in force stays.
    cause : str
        One sentence: why this model, or why none.
    rule : str
    chosen : str
        Name of the candidate; empty when none.
    scores : tuple of CandidateScore
        In the order they were considered; the first is the decoder in force at the calibration.
    changes : Changes
    """

    model: Model | None
    cause: str
    rule: str
    chosen: str
    scores: tuple[CandidateScore, ...]
    changes: Changes


class Rule(Protocol):
    """A way to adapt: made from a calibration, asked with windows of use."""

    name: str

    def propose(self, window: Window) -> Proposal:
        """A model for what was seen; neither the rule's calibration nor the window changes."""
        ...


MakeRule = Callable[[], Rule]
"""Makes a rule. It goes to the worker process, so that it must be importable there by name."""
