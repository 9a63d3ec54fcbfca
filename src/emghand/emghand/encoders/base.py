"""What every encoder shares."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import LARGEST, Arrays, Floats, Ints
from emghand.errors import UserError

MAX_CODES = 1024


class Encoder(ABC):
    """One half of an autoencoder runs between normaliser and decoder; the other half checks it.

    Like a decoder it keeps its constructor arguments under their own names, and what it learned in
    plain arrays. It remembers nothing from tick to tick.

    Parameters
    ----------
    size : int
        Numbers that stand for the features of a tick.

    Attributes
    ----------
    n_features_ : int
    """

    kind: ClassVar[str]

    def __init__(self, size: int = 8) -> None:
        self.size = size
        self.n_features_ = 0

    def get_params(self) -> dict[str, Any]:
        """Constructor arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def fit(self, Z: Floats, groups: Ints | None = None) -> Encoder:
        """Learn from features alone.

        Parameters
        ----------
        Z : ndarray, shape (m, n_features)
            Normalised features.
        groups : ndarray of int, shape (m,), optional
            Repetitions, where the fit needs to hold one out. Without it, five pieces of consecutive
            rows.

        Raises
        ------
        UserError
            When a value is not finite, or there are fewer examples or features than `size`.
        """
        Z = np.asarray(Z, dtype=np.float64)
        if Z.ndim != 2 or not Z.size or not (np.abs(Z) < LARGEST).all():
            raise UserError(f"{self._name}: needs features (m, n) that are finite")
        self._check_size()
        if self.size > min(Z.shape[1], len(Z) - 1):
            raise UserError(
                f"{self._name}: size {self.size} is too large for {Z.shape[1]} features and "
                f"{len(Z)} examples"
            )
        folds = np.arange(len(Z)) * 5 // len(Z) if groups is None else np.asarray(groups)
        if folds.shape != (len(Z),):
            raise UserError(f"{self._name}: groups must have {len(Z)} entries")
        self._fit(Z, folds)
        self._take(self.to_arrays())
        return self

    def transform(self, Z: Floats) -> Floats:
        """Codes, shape (m, size), bit for bit those of `encode` one after the other."""
        Z = np.asarray(Z, dtype=np.float64)
        if Z.ndim != 2 or Z.shape[1] != self.n_features_:
            raise UserError(f"{self._name}: expects {self.n_features_} features, got {Z.shape}")
        return np.array([self.encode(z) for z in Z]).reshape(len(Z), self.size)

    @classmethod
    def from_arrays(
        cls, params: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Encoder:
        """Fitted encoder from its parameters (`get_params`) and arrays (`to_arrays`).

        Raises
        ------
        UserError
            For an unknown parameter, or an array that is missing, of a wrong shape or not finite.
        """
        known = inspect.signature(cls).parameters
        for name in params:
            if name not in known:
                raise UserError(f"{cls.kind} encoder: unknown parameter {name}")
        given: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list | tuple) else v for k, v in params.items()
        }
        encoder = cls(**given)
        encoder._check_size()
        encoder._take(arrays)
        return encoder

    @abstractmethod
    def encode(self, z: Floats) -> Floats:
        """Code of one tick, shape (size,), from normalised features, shape (n_features,)."""

    @abstractmethod
    def reconstruct(self, codes: Floats) -> Floats:
        """Features, shape (m, n_features), from codes, shape (m, size)."""

    @abstractmethod
    def to_arrays(self) -> Arrays:
        """Learned arrays by name."""

    @abstractmethod
    def _fit(self, Z: Floats, groups: Ints) -> None:
        """Set what `to_arrays` returns."""

    @abstractmethod
    def _take(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Check arrays, set `n_features_` and get ready to encode."""

    @property
    def _name(self) -> str:
        return f"{self.kind} encoder"

    def _check_size(self) -> None:
        if type(self.size) is not int or not 1 <= self.size <= MAX_CODES:
            raise UserError(f"{self._name}: size must be a whole number from 1 to {MAX_CODES}")
