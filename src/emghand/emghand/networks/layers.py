"""Layers of a network, planned, checked and run tick by tick on plain arrays.

A network is a stack of layers, and a committee of networks of one plan runs as one: the arrays of
its members lie one below the other, so that a step costs little more than that of one network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.delays import DelayLine
from emghand.errors import UserError

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]

MAX_LAYERS = 8
MAX_SIZE = 1024
LARGEST_WEIGHT = 1e6
"""With it, and inputs within `LARGEST_INPUT`, no sum of at most `MAX_LAYERS` layers overflows."""

LARGEST_INPUT = 100.0
"""Inputs are clipped to this many standard deviations, in the fit too."""


@dataclass(frozen=True)
class Layer:
    """Plan of one layer.

    ``dense``: y = f(W [x(t), x(t - d1), ...] + b); with delays it is a causal, dilated convolution.
    ``lstm``: Hochreiter and Schmidhuber (1997, doi 10.1162/neco.1997.9.8.1735) with a forget gate.

    Parameters
    ----------
    size : int
        Outputs.
    activation : str
        f: ``relu``, ``tanh`` or ``none``; of no meaning for ``lstm``.
    delays : tuple of int
        Ascending, positive [ticks].
    skip : bool
        Whether the input is added to the output, where both are of the same size.
    kind : str
        ``dense`` or ``lstm``.
    """

    size: int
    activation: str = "relu"
    delays: tuple[int, ...] = ()
    skip: bool = False
    kind: str = "dense"

    def shape(self, n_inputs: int) -> tuple[int, int]:
        """Shape of the weights of one network."""
        if self.kind == "lstm":
            return 4 * self.size, n_inputs + self.size
        return self.size, n_inputs * (len(self.delays) + 1)


Plan = Sequence[Layer]


def past(plan: Plan) -> int:
    """How many ticks back the layers with delays look, all together."""
    return sum(layer.delays[-1] for layer in plan if layer.delays)


def check_sizes(owner: str, sizes: object) -> tuple[int, ...]:
    """Sizes of layers that a person, or a file, asked for.

    Raises
    ------
    UserError
        When there are none, too many, or one is not a whole number that can be.
    """
    if (
        not isinstance(sizes, tuple)
        or not 1 <= len(sizes) < MAX_LAYERS
        or not all(type(s) is int and 1 <= s <= MAX_SIZE for s in sizes)
    ):
        raise UserError(
            f"{owner}: sizes of layers must be 1 to {MAX_LAYERS - 1} whole numbers from 1 to "
            f"{MAX_SIZE}, got {str(sizes)[:80]}"
        )
    return sizes


def check_arrays(
    owner: str, plan: Plan, n_inputs: int, members: int, arrays: Mapping[str, NDArray[np.generic]]
) -> dict[str, Floats]:
    """Copies of the arrays of a network, when they are what the plan asks for.

    Raises
    ------
    UserError
        When one is missing, too many, of a wrong shape or out of bounds.
    """
    wanted: dict[str, tuple[int, ...]] = {}
    for i, layer in enumerate(plan):
        rows, columns = layer.shape(n_inputs)
        wanted[f"layer{i}_weight_"] = (members * rows, columns)
        wanted[f"layer{i}_bias_"] = (members * rows,)
        n_inputs = layer.size
    if set(arrays) != set(wanted):
        raise UserError(
            f"{owner}: expects the arrays {', '.join(sorted(wanted))}, got "
            f"{', '.join(sorted(arrays)) or 'none'}"
        )
    taken = {}
    for name, shape in wanted.items():
        value = np.array(arrays[name], dtype=np.float64)
        if value.shape != shape:
            raise UserError(f"{owner}: array {name} has shape {value.shape}, expected {shape}")
        if not (np.abs(value) < LARGEST_WEIGHT).all():
            raise UserError(f"{owner}: array {name} holds values that are no use")
        taken[name] = value
    return taken


class Network:
    """A committee of networks of one plan, run tick by tick.

    Sums are made by einsum: unlike those of BLAS, their bits do not depend on the number of
    threads.

    Parameters
    ----------
    plan : sequence of Layer
    n_inputs, members : int
    arrays : mapping
        As `check_arrays` returns them.
    """

    def __init__(
        self, plan: Plan, n_inputs: int, members: int, arrays: Mapping[str, Floats]
    ) -> None:
        self._layers: list[_Dense | _Lstm] = []
        for i, layer in enumerate(plan):
            rows, columns = layer.shape(n_inputs)
            weight = arrays[f"layer{i}_weight_"].reshape(members, rows, columns)
            bias = arrays[f"layer{i}_bias_"].reshape(members, rows)
            make = _Lstm if layer.kind == "lstm" else _Dense
            self._layers.append(make(layer, n_inputs, weight, bias))
            n_inputs = layer.size

    def step(self, x: Floats) -> Floats:
        """Outputs of one tick, shape (members, n_outputs), from inputs (members, n_inputs)."""
        for layer in self._layers:
            x = layer.step(x)
        return x

    def reset(self) -> None:
        """Forget the past."""
        for layer in self._layers:
            layer.reset()

    def state(self) -> Arrays:
        """Everything carried from tick to tick, as copies."""
        return {
            f"layer{i}.{key}": value
            for i, layer in enumerate(self._layers)
            for key, value in layer.state().items()
        }

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned."""
        for i, layer in enumerate(self._layers):
            prefix = f"layer{i}."
            layer.set_state(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )


class _Dense:
    def __init__(self, layer: Layer, n_inputs: int, weight: Floats, bias: Floats) -> None:
        self._weight, self._bias = weight, bias
        self._activation = layer.activation
        self._skip = layer.skip and layer.size == n_inputs
        self._shape = (len(layer.delays) + 1, len(weight), n_inputs)
        self._line = DelayLine(len(weight) * n_inputs, layer.delays)

    def step(self, x: Floats) -> Floats:
        taps, members, n = self._shape
        seen = x
        if taps > 1:
            held = self._line.push(x.reshape(-1)).reshape(self._shape)
            seen = held.transpose(1, 0, 2).reshape(members, taps * n)
        y = np.einsum("koi,ki->ko", self._weight, seen) + self._bias
        if self._activation == "relu":
            y = np.maximum(y, 0.0)
        elif self._activation == "tanh":
            y = np.tanh(y)
        return y + x if self._skip else y

    def reset(self) -> None:
        self._line.reset()

    def state(self) -> Arrays:
        return self._line.state()

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        self._line.set_state(state)


class _Lstm:
    def __init__(self, layer: Layer, n_inputs: int, weight: Floats, bias: Floats) -> None:
        self._weight, self._bias = weight, bias
        self._size = layer.size
        self._rest = np.zeros((len(weight), layer.size))
        self._h = self._c = self._rest

    def step(self, x: Floats) -> Floats:
        n = self._size
        gates = np.einsum("koi,ki->ko", self._weight, np.hstack([x, self._h])) + self._bias
        # The logistic function as a hyperbolic tangent: it cannot overflow.
        take, keep, show = (
            0.5 + 0.5 * np.tanh(0.5 * gates[:, i * n : (i + 1) * n]) for i in (0, 1, 3)
        )
        self._c = keep * self._c + take * np.tanh(gates[:, 2 * n : 3 * n])
        self._h = show * np.tanh(self._c)
        return self._h

    def reset(self) -> None:
        self._h = self._c = self._rest

    def state(self) -> Arrays:
        return {"h": self._h.copy(), "c": self._c.copy()}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        self._h = np.array(state["h"], dtype=np.float64)
        self._c = np.array(state["c"], dtype=np.float64)
