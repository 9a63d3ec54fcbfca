"""Features relative to a baseline, in units of their spread; the chosen ones only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emghand.decoders.base import LARGEST, Bools, Floats
from emghand.errors import UserError

BASELINES = ("mean", "rest", "none")
SCALES = ("std", "contraction")

CONTRACTION_PERCENTILE = 95.0
"""Level of a feature at maximum contraction: this percentile of it while the person moves. The
largest value of all would be that of one artefact."""


class Normaliser:
    """(z - mean) * scale of the chosen features, with statistics of the training part.

    A feature that does not vary in training gets the scale 0, so that it says nothing later either:
    an electrode that was dead then must not drive the hand when it comes to life.

    Parameters
    ----------
    mean, scale : ndarray, shape (n_features,)
        Of all features.
    columns : sequence of int, optional
        Places of the features that the decoder gets, in its order; None: all of them.
    """

    def __init__(
        self, mean: Floats, scale: Floats, columns: Sequence[int] | NDArray | None = None
    ) -> None:
        self.mean = np.array(mean, dtype=np.float64)
        self.scale = np.array(scale, dtype=np.float64)
        if self.mean.ndim != 1 or self.mean.shape != self.scale.shape or not self.mean.size:
            raise UserError("normaliser: mean and scale must be vectors of the same length")
        if not (np.abs([self.mean, self.scale]) < LARGEST).all() or (self.scale < 0.0).any():
            raise UserError("normaliser: mean and scale must be finite, scale not negative")
        self.columns = None if columns is None else _checked(columns, len(self.mean))
        chosen = slice(None) if self.columns is None else self.columns
        self._mean, self._scale = self.mean[chosen], self.scale[chosen]

    @property
    def n_features(self) -> int:
        """Number of features it takes."""
        return len(self.mean)

    @property
    def n_outputs(self) -> int:
        """Number of features it gives to the decoder."""
        return len(self._mean)

    @classmethod
    def fit(
        cls,
        Z: Floats,
        rest: Bools | None = None,
        baseline: str = "mean",
        scale: str = "std",
        moving: Bools | None = None,
    ) -> Normaliser:
        """Statistics of the rows of `Z`, shape (m, n_features).

        Parameters
        ----------
        Z : ndarray, shape (m, n_features)
        rest : ndarray of bool, shape (m,), optional
            Rows at rest, for the baseline ``rest``.
        baseline : str
            What is subtracted: ``mean`` of all rows, ``rest`` their mean at rest, or ``none``.
        scale : str
            What the feature is divided by: ``std``, its standard deviation, or ``contraction``,
            the 95th percentile while moving of its distance from what is subtracted: 1 is then
            the maximum contraction of the training part.
        moving : ndarray of bool, shape (m,), optional
            Rows in which the person moves, for the scale ``contraction``.

        Raises
        ------
        UserError
            When the rows that are asked for are missing, or a value is not finite.
        """
        if baseline not in BASELINES:
            raise UserError(f"baseline {baseline!r}: unknown, choose from: {', '.join(BASELINES)}")
        if scale not in SCALES:
            raise UserError(f"scale {scale!r}: unknown, choose from: {', '.join(SCALES)}")
        if not len(Z) or not np.isfinite(Z).all():
            raise UserError("normaliser: needs examples that are finite")
        mean, std = Z.mean(axis=0), Z.std(axis=0)
        constant = std <= 1e-9 * np.abs(Z).max(axis=0)
        if baseline == "rest":
            if rest is None or not rest.any():
                raise UserError("baseline rest: the training data hold no rest")
            mean = Z[rest].mean(axis=0)
        elif baseline == "none":
            mean = np.zeros_like(mean)
        level = std
        if scale == "contraction":
            if moving is None or not moving.any():
                raise UserError("scale contraction: the training data hold no movement")
            away = np.abs(Z[moving] - mean)
            level = np.percentile(away, CONTRACTION_PERCENTILE, axis=0)
            # A count that hardly ever leaves the baseline would be blown up.
            constant |= level <= 1e-9 * np.abs(Z).max(axis=0)
        return cls(mean, np.divide(1.0, level, out=np.zeros_like(level), where=~constant))

    def choose(self, columns: ArrayLike) -> Normaliser:
        """The same statistics for some of the features, shape (n_outputs,)."""
        return Normaliser(self.mean, self.scale, np.asarray(columns))

    def apply(self, Z: Floats) -> Floats:
        """Normalised features; of shape (n_features,) or (m, n_features)."""
        if self.columns is not None:
            Z = Z.take(self.columns, axis=-1)
        return (Z - self._mean) * self._scale

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Learned arrays by name."""
        arrays: dict[str, NDArray[np.generic]] = {"mean": self.mean, "scale": self.scale}
        if self.columns is not None:
            arrays["columns"] = self.columns.astype(np.float64)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Normaliser:
        """From what `to_arrays` returned."""
        if set(arrays) - {"columns"} != {"mean", "scale"}:
            raise UserError("normaliser: expects the arrays mean and scale, and perhaps columns")
        return cls(np.asarray(arrays["mean"]), np.asarray(arrays["scale"]), arrays.get("columns"))


def _checked(columns: Sequence[int] | NDArray, n_features: int) -> NDArray[np.intp]:
    given = np.asarray(columns, dtype=np.float64)
    if given.ndim != 1 or not given.size or not (np.floor(given) == given).all():
        raise UserError("normaliser: columns must be a vector of whole numbers")
    if given.min() < 0 or given.max() >= n_features or len(np.unique(given)) != len(given):
        raise UserError(f"normaliser: columns must be different places of {n_features} features")
    return given.astype(np.intp)
