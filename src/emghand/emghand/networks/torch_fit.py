"""Fit of networks with PyTorch. Imported only inside a fit; the result is plain arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emghand.errors import UserError
from emghand.networks.layers import LARGEST_WEIGHT, Floats, Layer, Plan
from emghand.networks.recipe import Recipe

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Examples:
    """What one network learns from.

    Parameters
    ----------
    inputs : ndarray, shape (m, n_inputs)
    targets : ndarray, shape (m, n_outputs)
        NaN in rows that only serve as past of others.
    runs : ndarray of int, shape (m,)
        Rows that follow one another in time share a number and lie together.
    held_out : ndarray of bool, shape (m,)
        Rows that decide when to stop.
    """

    inputs: Floats
    targets: Floats
    runs: Ints
    held_out: Bools


class _Dense(nn.Module):
    def __init__(self, layer: Layer, n_inputs: int) -> None:
        super().__init__()
        rows, columns = layer.shape(n_inputs)
        self.map = nn.Linear(columns, rows)
        self.delays = layer.delays
        self.activation = {"relu": torch.relu, "tanh": torch.tanh}.get(layer.activation)
        self.skip = layer.skip and layer.size == n_inputs

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, inputs) to (batch, time, outputs); before the start, x is as at it."""
        now = torch.arange(x.shape[1])
        taps = [x] + [x[:, (now - delay).clamp(min=0)] for delay in self.delays]
        y = self.map(torch.cat(taps, dim=2))
        if self.activation is not None:
            y = self.activation(y)
        return y + x if self.skip else y

    def get(self) -> tuple[Tensor, Tensor]:
        """Weight and bias as `Layer.shape` has them."""
        return self.map.weight, self.map.bias

    def set(self, weight: Tensor, bias: Tensor) -> None:
        """Take over weight and bias."""
        self.map.weight.copy_(weight)
        self.map.bias.copy_(bias)


class _Lstm(nn.Module):
    def __init__(self, layer: Layer, n_inputs: int) -> None:
        super().__init__()
        self.cells: Any = nn.LSTM(n_inputs, layer.size, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, inputs) to (batch, time, outputs), from rest."""
        y: Tensor = self.cells(x)[0]
        return y

    def get(self) -> tuple[Tensor, Tensor]:
        """Weight and bias as `Layer.shape` has them."""
        cells = self.cells
        weight = torch.cat([cells.weight_ih_l0, cells.weight_hh_l0], dim=1)
        return weight, cells.bias_ih_l0 + cells.bias_hh_l0

    def set(self, weight: Tensor, bias: Tensor) -> None:
        """Take over weight and bias."""
        n = self.cells.input_size
        self.cells.weight_ih_l0.copy_(weight[:, :n])
        self.cells.weight_hh_l0.copy_(weight[:, n:])
        self.cells.bias_ih_l0.copy_(bias)
        self.cells.bias_hh_l0.zero_()


class TorchNetwork(nn.Module):
    """One network of a plan; the definition that the numpy step repeats."""

    def __init__(self, plan: Plan, n_inputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self._stack: list[_Dense | _Lstm] = []
        for layer in plan:
            self._stack.append((_Lstm if layer.kind == "lstm" else _Dense)(layer, n_inputs))
            n_inputs = layer.size
        # Registers the parameters.
        self.layers = nn.ModuleList(self._stack)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, inputs) to (batch, time, outputs)."""
        for layer in self._stack[:-1]:
            x = self.dropout(layer(x))
        y: Tensor = self._stack[-1](x)
        return y

    def to_arrays(self) -> dict[str, Floats]:
        """Weights by the names of `check_arrays`."""
        arrays = {}
        for i, layer in enumerate(self._stack):
            for name, value in zip(("weight", "bias"), layer.get(), strict=True):
                arrays[f"layer{i}_{name}_"] = value.detach().numpy().astype(np.float64)
        return arrays

    def set_arrays(self, arrays: dict[str, Floats]) -> None:
        """Take over weights, as a start."""
        with torch.no_grad():
            for i, layer in enumerate(self._stack):
                layer.set(
                    torch.from_numpy(arrays[f"layer{i}_weight_"]),
                    torch.from_numpy(arrays[f"layer{i}_bias_"]),
                )


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """One thread, deterministic algorithms, own random numbers; as before afterwards."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    try:
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


def fit_network(
    plan: Plan,
    examples: Examples,
    recipe: Recipe,
    piece: int = 1,
    lead: int = 0,
    start: dict[str, Floats] | None = None,
) -> dict[str, Floats]:
    """Weights of one network, as they were best on the rows held out.

    The loss is the mean squared error. Runs are cut into pieces, anew in each pass; rows that lead
    in to a piece show the network the past and do not count.

    Parameters
    ----------
    plan : sequence of Layer
    examples : Examples
    recipe : Recipe
    piece : int
        Ticks of a piece; 1 for a network without memory.
    lead : int
        Ticks before a piece that lead in to it.
    start : dict, optional
        Weights to start from instead of random ones.

    Raises
    ------
    UserError
        When no pass ended with finite weights.
    """
    with deterministic(recipe.seed):
        net = TorchNetwork(plan, examples.inputs.shape[1], recipe.dropout)
        if start is not None:
            net.set_arrays(start)
        inputs = torch.from_numpy(examples.inputs.astype(np.float32))
        known = np.isfinite(examples.targets.sum(axis=1))
        targets = torch.from_numpy(np.where(known[:, None], examples.targets, 0.0)).float()
        learn, judge = known & ~examples.held_out, known & examples.held_out

        def loss(index: Ints, counts: Bools, noise: float = 0.0) -> tuple[Tensor, float]:
            x = inputs[torch.from_numpy(index)]
            if noise:
                x = x + noise * torch.randn_like(x)
            error = net(x)[:, lead:] - targets[torch.from_numpy(index[:, lead:])]
            mask = torch.from_numpy(counts[:, lead:])
            return (error * error * mask[:, :, None]).sum(), float(mask.sum()) * error.shape[2]

        best, best_loss, bad = net.to_arrays(), np.inf, 0
        optimiser = torch.optim.AdamW(
            net.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs)
        random = np.random.default_rng(recipe.seed)
        per_step = max(1, recipe.batch // piece)
        kept_index, kept_counts = _pieces(examples.runs, judge, piece, lead, 0)
        for _ in range(recipe.epochs):
            net.train()
            index, counts = _pieces(examples.runs, learn, piece, lead, int(random.integers(piece)))
            order = random.permutation(len(index))
            for at in range(0, len(order), per_step):
                rows = order[at : at + per_step]
                total, n = loss(index[rows], counts[rows], recipe.noise)
                optimiser.zero_grad()
                (total / max(n, 1.0)).backward()
                nn.utils.clip_grad_norm_(net.parameters(), 5.0)
                optimiser.step()
            schedule.step()
            net.eval()
            with torch.no_grad():
                sums = [
                    loss(kept_index[at : at + per_step], kept_counts[at : at + per_step])
                    for at in range(0, len(kept_index), per_step)
                ]
            now = sum(float(total) for total, _ in sums) / max(sum(n for _, n in sums), 1.0)
            bad += 1
            if now < best_loss:
                best, best_loss, bad = net.to_arrays(), now, 0
            if bad >= recipe.patience:
                break
    if best_loss == np.inf:
        raise UserError("the fit of the network diverged; give a smaller learning_rate")
    return {k: np.clip(v, -0.99 * LARGEST_WEIGHT, 0.99 * LARGEST_WEIGHT) for k, v in best.items()}


def _pieces(runs: Ints, counts: Bools, piece: int, lead: int, shift: int) -> tuple[Ints, Bools]:
    """Rows of every piece, lead first, and which of them count; shape (n_pieces, lead + piece).

    Pieces start at multiples of `piece`, less `shift`, from the start of their run. Before a run
    its first row is repeated, after it its last; what is repeated does not count.
    """
    starts = np.flatnonzero(np.diff(runs, prepend=runs[:1] - 1))
    ends = np.append(starts[1:], len(runs))
    columns = np.arange(-lead, piece)
    found: list[Ints] = []
    marks: list[Bools] = []
    for first, end in zip(starts, ends, strict=True):
        at = np.arange(first - shift, end, piece)[:, None] + columns
        inside = (at >= first) & (at < end) & (columns >= 0)
        index = np.clip(at, first, end - 1)
        found.append(index)
        marks.append(inside & counts[index])
    index, marked = np.concatenate(found), np.concatenate(marks)
    some = marked.any(axis=1)
    return index[some], marked[some]
