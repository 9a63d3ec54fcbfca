"""Features relative to a baseline, in units of their spread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import LARGEST, Bools, Floats
from emghand.errors import UserError

BASELINES = ("mean", "rest", "none")


class Normaliser:
    """(z - mean) * scale with statistics of the training part.

    A feature that does not vary in training gets the scale 0, so that it says nothing later either:
    an electrode that was dead then must not drive the hand when it comes to life.

    Parameters
    ----------
    mean, scale : ndarray, shape (n_features,)
    """

    def __init__(self, mean: Floats, scale: Floats) -> None:
        self.mean = np.array(mean, dtype=np.float64)
        self.scale = np.array(scale, dtype=np.float64)
        if self.mean.ndim != 1 or self.mean.shape != self.scale.shape or not self.mean.size:
            raise UserError("normaliser: mean and scale must be vectors of the same length")
        if not (np.abs([self.mean, self.scale]) < LARGEST).all() or (self.scale < 0.0).any():
            raise UserError("normaliser: mean and scale must be finite, scale not negative")

    @classmethod
    def fit(cls, Z: Floats, rest: Bools | None = None, baseline: str = "mean") -> Normaliser:
        """Statistics of the rows of `Z`, shape (m, n_features).

        Parameters
        ----------
        Z : ndarray, shape (m, n_features)
        rest : ndarray of bool, shape (m,), optional
            Rows at rest, for the baseline ``rest``.
        baseline : str
            What is subtracted: ``mean`` of all rows, ``rest`` their mean at rest, or ``none``.
        """
        if baseline not in BASELINES:
            raise UserError(f"baseline {baseline!r}: unknown, choose from: {', '.join(BASELINES)}")
        if not len(Z) or not np.isfinite(Z).all():
            raise UserError("normaliser: needs examples that are finite")
        mean, std = Z.mean(axis=0), Z.std(axis=0)
        constant = std <= 1e-9 * np.abs(Z).max(axis=0)
        scale = np.divide(1.0, std, out=np.zeros_like(std), where=~constant)
        if baseline == "rest":
            if rest is None or not rest.any():
                raise UserError("baseline rest: the training data hold no rest")
            mean = Z[rest].mean(axis=0)
        elif baseline == "none":
            mean = np.zeros_like(mean)
        return cls(mean, scale)

    def apply(self, Z: Floats) -> Floats:
        """Normalised features; shape (n_features,) or (m, n_features)."""
        return (Z - self.mean) * self.scale

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Learned arrays by name."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Normaliser:
        """From what `to_arrays` returned."""
        if set(arrays) != {"mean", "scale"}:
            raise UserError("normaliser: expects the arrays mean and scale")
        return cls(np.asarray(arrays["mean"]), np.asarray(arrays["scale"]))
