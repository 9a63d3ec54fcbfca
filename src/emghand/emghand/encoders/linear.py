"""Linear autoencoder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import LARGEST, Arrays, Floats, Ints
from emghand.encoders.base import Encoder
from emghand.errors import UserError


class LinearEncoder(Encoder):
    """Best linear autoencoder, in closed form.

    The linear map through `size` numbers and back with the least squared error is the projection
    onto the first principal components (Baldi and Hornik 1989, doi 10.1016/0893-6080(89)90014-2).

    Parameters
    ----------
    size : int
        See `Encoder`.

    Attributes
    ----------
    mean_ : ndarray, shape (n_features,)
    components_ : ndarray, shape (size, n_features)
        Orthonormal rows; the largest entry of each is positive.
    """

    kind = "linear"

    def encode(self, z: Floats) -> Floats:
        """Code of one tick, shape (size,), from normalised features, shape (n_features,)."""
        # einsum: unlike a BLAS product, its bits do not depend on the number of threads.
        return np.einsum("sf,f->s", self.components_, z - self.mean_)

    def reconstruct(self, codes: Floats) -> Floats:
        """Features, shape (m, n_features), from codes, shape (m, size)."""
        return codes @ self.components_ + self.mean_

    def to_arrays(self) -> Arrays:
        """Learned arrays by name."""
        return {"mean_": self.mean_, "components_": self.components_}

    def _fit(self, Z: Floats, groups: Ints) -> None:
        self.mean_ = Z.mean(axis=0)
        components = np.linalg.svd(Z - self.mean_, full_matrices=False)[2][: self.size]
        largest = np.abs(components).argmax(axis=1)[:, None]
        self.components_ = components * np.sign(np.take_along_axis(components, largest, axis=1))

    def _take(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        if set(arrays) != {"mean_", "components_"}:
            raise UserError(f"{self._name}: expects the arrays components_, mean_")
        mean, components = (
            np.array(arrays[name], dtype=np.float64) for name in ("mean_", "components_")
        )
        if mean.ndim != 1 or not mean.size or components.shape != (self.size, len(mean)):
            raise UserError(f"{self._name}: its arrays are of a wrong shape")
        if not (np.abs(mean) < LARGEST).all() or not (np.abs(components) < LARGEST).all():
            raise UserError(f"{self._name}: its arrays hold values that are no use")
        self.mean_, self.components_, self.n_features_ = mean, components, len(mean)


ENCODER = LinearEncoder
