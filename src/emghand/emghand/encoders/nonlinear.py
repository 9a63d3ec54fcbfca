"""Non-linear autoencoder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import Arrays, Floats, Ints
from emghand.encoders.base import Encoder
from emghand.errors import UserError
from emghand.networks.layers import (
    LARGEST_INPUT,
    Layer,
    Network,
    check_arrays,
    check_sizes,
)
from emghand.networks.recipe import Recipe, require_torch


class NonlinearEncoder(Encoder):
    """Autoencoder with hidden layers on both sides (Hinton and Salakhutdinov 2006).

    doi 10.1126/science.1127647. Fitted with PyTorch to give the features back with the least
    squared error, and stopped early by a repetition held out. The codes have no mean and a spread
    of one.

    Parameters
    ----------
    size : int
        See `Encoder`.
    hidden : int
        Units, hyperbolic tangents, of the layer before and of the layer after the codes.
    epochs, patience, batch, learning_rate, weight_decay, seed
        See `Recipe`.
    """

    kind = "nonlinear"

    def __init__(
        self,
        size: int = 8,
        hidden: int = 64,
        epochs: int = 100,
        patience: int = 10,
        batch: int = 128,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__(size)
        self.hidden = hidden
        self.epochs = epochs
        self.patience = patience
        self.batch = batch
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.seed = seed
        self._arrays: dict[str, Floats] = {}

    def encode(self, z: Floats) -> Floats:
        """Code of one tick, shape (size,), from normalised features, shape (n_features,)."""
        return self._encoder.step(_bounded(z)[None])[0]

    def reconstruct(self, codes: Floats) -> Floats:
        """Features, shape (m, n_features), from codes, shape (m, size)."""
        return np.array([self._decoder.step(c[None])[0] for c in codes])

    def to_arrays(self) -> Arrays:
        """Learned arrays by name: ``layer0_``, ``layer1_`` encode, the others give back."""
        return dict(self._arrays)

    def _plan(self, n_features: int) -> tuple[Layer, ...]:
        (hidden,) = check_sizes(self._name, (self.hidden,))
        return (
            Layer(hidden, "tanh"),
            Layer(self.size, "none"),
            Layer(hidden, "tanh"),
            Layer(n_features, "none"),
        )

    def _fit(self, Z: Floats, groups: Ints) -> None:
        require_torch(self._name)
        from emghand.networks.torch_fit import Examples, fit_network

        names = np.unique(groups)
        if len(names) < 2:
            raise UserError(
                f"{self._name}: holds out a repetition to know when to stop, and needs at least 2; "
                "record more"
            )
        recipe = Recipe(
            self.epochs,
            self.patience,
            self.batch,
            self.learning_rate,
            self.weight_decay,
            dropout=0.0,
            seed=self.seed,
        )
        plan = self._plan(Z.shape[1])
        U = _bounded(Z)
        one_run = np.zeros(len(U), dtype=np.int64)
        arrays = fit_network(plan, Examples(U, U, one_run, groups == names[-1]), recipe)
        # Codes without mean and of spread one; the layer after them undoes it.
        front = Network(plan[:2], Z.shape[1], 1, arrays)
        codes = np.array([front.step(u[None])[0] for u in U])
        mean, spread = codes.mean(axis=0), np.maximum(codes.std(axis=0), 1e-3)
        arrays["layer2_bias_"] = arrays["layer2_bias_"] + arrays["layer2_weight_"] @ mean
        arrays["layer2_weight_"] = arrays["layer2_weight_"] * spread
        arrays["layer1_weight_"] = arrays["layer1_weight_"] / spread[:, None]
        arrays["layer1_bias_"] = (arrays["layer1_bias_"] - mean) / spread
        self._arrays = arrays

    def _take(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        first = arrays.get("layer0_weight_")
        if first is None or first.ndim != 2 or not first.size:
            raise UserError(f"{self._name}: its first layer is missing or of a wrong shape")
        n = first.shape[1]
        plan = self._plan(n)
        self._arrays = check_arrays(self._name, plan, n, 1, arrays)
        back = {
            f"layer{i - 2}_{part}_": self._arrays[f"layer{i}_{part}_"]
            for i in (2, 3)
            for part in ("weight", "bias")
        }
        self._encoder = Network(plan[:2], n, 1, self._arrays)
        self._decoder = Network(plan[2:], self.size, 1, back)
        self.n_features_ = n


def _bounded(Z: Floats) -> Floats:
    return np.minimum(np.maximum(Z, -LARGEST_INPUT), LARGEST_INPUT)


ENCODER = NonlinearEncoder
