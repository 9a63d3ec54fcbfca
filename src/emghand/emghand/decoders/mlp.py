"""Multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.networks.committee import Committee, Design
from emghand.networks.fitting import Course, fit_committee
from emghand.networks.layers import Layer, check_sizes
from emghand.networks.recipe import Recipe

DELAYS = (6, 12, 18, 24, 30, 36)
"""Default delays [ticks]: a tenth to six tenths of a second at about 60 ticks a second."""


class MlpDecoder(Decoder):
    """Multi-layer perceptrons: rectified linear layers and a linear one.

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    hidden : sequence of int
        Units of each hidden layer.
    members : int
        Networks whose estimates are averaged; each stops early by another repetition.
    feedback : bool
        Whether a network also sees its previous estimate.
    rollouts : int
        Rounds of DAgger where it does, see `fit_committee`.
    low, high : sequence of float
        Range of the DOFs, to which estimates are clipped; one value, or one per DOF.
    differential, tick_rate
        See `Decoder`: whether velocities are learned, and ticks per second [Hz].
    epochs, patience, batch, learning_rate, weight_decay, dropout, noise, seed
        See `Recipe`.

    Attributes
    ----------
    input_mean_, input_scale_ : ndarray, shape (f,)
        Standardisation of the features.
    output_mean_, output_scale_ : ndarray, shape (d,)
        The networks estimate the DOFs in these.
    layer0_weight_, layer0_bias_, ... : ndarray
        Weights, those of the members one below the other.
    held_out_error_ : ndarray, shape (members, 1 + rollouts)
        Squared error relative to the variance on the repetition held out, after each round.
    """

    kind = "mlp"
    learned: ClassVar[dict[str, str]] = {}
    sequential = True

    def __init__(
        self,
        delays: tuple[int, ...] = DELAYS,
        hidden: tuple[int, ...] = (128, 128),
        members: int = 4,
        feedback: bool = False,
        rollouts: int = 3,
        low: tuple[float, ...] = (-1.0,),
        high: tuple[float, ...] = (1.0,),
        differential: bool = False,
        tick_rate: float = 0.0,
        epochs: int = 60,
        patience: int = 10,
        batch: int = 256,
        learning_rate: float = 0.002,
        weight_decay: float = 0.01,
        dropout: float = 0.4,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(delays)
        self.hidden = hidden
        self.members = members
        self.feedback = feedback
        self.rollouts = rollouts
        self.low = low
        self.high = high
        self.differential = differential
        self.tick_rate = tick_rate
        self.epochs = epochs
        self.patience = patience
        self.batch = batch
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.noise = noise
        self.seed = seed

    def _design(self) -> Design:
        hidden = check_sizes(f"{self.kind} decoder", self.hidden)
        plan = tuple(Layer(size) for size in hidden)
        return Design(f"{self.kind} decoder", plan, self.members, self.feedback)

    def _shapes(self) -> Mapping[str, str]:
        return self._design().shapes()

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        course = Course(Recipe.of(self.get_params()), self.rollouts)
        arrays = fit_committee(self._design(), course, self._bounds(), Z, X, groups, follows)
        for name, value in arrays.items():
            setattr(self, name, value)

    def _prepare(self) -> None:
        super()._prepare()
        self._committee = Committee(self._design(), self._bounds(), self.to_arrays())
        self._carried.append(self._committee)

    def _bounds(self) -> tuple[Floats, Floats] | None:
        return None if self.differential else self._ranges()

    def _estimate(self, z: Floats) -> Floats:
        return self._committee.step(z)


DECODER = MlpDecoder
