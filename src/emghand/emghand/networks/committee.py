"""Networks of one plan with what is around them: scaling, bounds, feedback, averaging."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import LARGEST
from emghand.errors import UserError
from emghand.networks.layers import (
    LARGEST_INPUT,
    LARGEST_WEIGHT,
    Arrays,
    Floats,
    Layer,
    Network,
    Plan,
    check_arrays,
)

SCALINGS = {"input_mean_": "f", "input_scale_": "f", "output_mean_": "d", "output_scale_": "d"}
HELD_OUT_ERROR = "held_out_error_"
MAX_MEMBERS = 16
Bounds = tuple[Floats, Floats]


@dataclass(frozen=True)
class Design:
    """What a committee is, before it has learned.

    Parameters
    ----------
    owner : str
        For errors.
    plan : sequence of Layer
        Without the last layer, which makes the DOFs.
    members : int
        Networks whose estimates are averaged; each stops by another repetition.
    feedback : bool
        Whether each network also sees its previous estimate.
    """

    owner: str
    plan: Plan
    members: int
    feedback: bool

    def __post_init__(self) -> None:
        if type(self.members) is not int or not 1 <= self.members <= MAX_MEMBERS:
            raise UserError(f"{self.owner}: members must be a whole number from 1 to {MAX_MEMBERS}")
        if type(self.feedback) is not bool:
            raise UserError(f"{self.owner}: feedback must be true or false")

    def shapes(self) -> dict[str, str]:
        """Arrays and their letters, see `Decoder.learned`; `Committee` checks sizes in full."""
        letters = iter("ABCEGHIJKLMNOPQRSTUVWXYZ")
        shapes = dict(SCALINGS) | {HELD_OUT_ERROR: "kr"}
        for i in range(len(self.plan) + 1):
            shapes[f"layer{i}_weight_"] = next(letters) + next(letters)
            shapes[f"layer{i}_bias_"] = next(letters)
        return shapes

    def complete(self, n_dofs: int) -> Plan:
        """The plan with its last layer."""
        return (*self.plan, Layer(n_dofs, "none"))

    def n_inputs(self, n_features: int, n_dofs: int) -> int:
        """Inputs of each network."""
        return n_features + (n_dofs if self.feedback else 0)


class Committee:
    """A fitted committee, tick by tick.

    Parameters
    ----------
    design : Design
    bounds : tuple of ndarray, each shape (n_dofs,), or None
        Lowest and highest estimates; None: there are none, as of velocities.
    arrays : mapping
        Those named by ``design.shapes()``.

    Raises
    ------
    UserError
        When the arrays are not those of the design.
    """

    def __init__(
        self, design: Design, bounds: Bounds | None, arrays: Mapping[str, NDArray[np.generic]]
    ) -> None:
        self._mean, self._scale, self._middle, self._spread = (
            np.asarray(arrays[name], dtype=np.float64) for name in SCALINGS
        )
        if (np.abs(self._spread) < 1.0 / LARGEST_WEIGHT).any():
            raise UserError(f"{design.owner}: array output_scale_ holds values that are no use")
        n_dofs = len(self._middle)
        self._low: Floats
        self._high: Floats
        self._low, self._high = bounds or (np.full(n_dofs, -LARGEST), np.full(n_dofs, LARGEST))
        plan, n_inputs = design.complete(n_dofs), design.n_inputs(len(self._mean), n_dofs)
        weights = {name: a for name, a in arrays.items() if name.startswith("layer")}
        checked = check_arrays(design.owner, plan, n_inputs, design.members, weights)
        self._network = Network(plan, n_inputs, design.members, checked)
        self._feedback = design.feedback
        self._rest = np.zeros((design.members, n_dofs))
        self._x = self._rest

    def step(self, z: Floats) -> Floats:
        """Mean estimate of one tick, shape (n_dofs,), from features, shape (n_features,)."""
        u = standardised(z, self._mean, self._scale)
        inputs = np.broadcast_to(u, (len(self._rest), len(u)))
        if self._feedback:
            inputs = np.hstack([inputs, (self._x - self._middle) / self._spread])
        y = self._network.step(inputs) * self._spread + self._middle
        self._x = np.minimum(np.maximum(y, self._low), self._high)
        return self._x.mean(axis=0)

    def reset(self) -> None:
        """Start from rest."""
        self._network.reset()
        self._x = self._rest

    def state(self) -> Arrays:
        """Everything carried from tick to tick, as copies."""
        fed = {"x": self._x.copy()} if self._feedback else {}
        return self._network.state() | fed

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned."""
        self._network.set_state(state)
        if self._feedback:
            self._x = np.array(state["x"], dtype=np.float64)


def standardised(z: Floats, mean: Floats, scale: Floats) -> Floats:
    """Inputs of a network: without their mean, in their spread, within bounds."""
    return np.minimum(np.maximum((z - mean) * scale, -LARGEST_INPUT), LARGEST_INPUT)
