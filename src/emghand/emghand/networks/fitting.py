"""Fit of a committee: each network stops by another repetition; roll-outs where it is fed back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.networks.committee import HELD_OUT_ERROR, Bounds, Committee, Design, standardised
from emghand.networks.layers import Floats
from emghand.networks.recipe import Recipe, require_torch

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Course:
    """How a committee is fitted.

    Parameters
    ----------
    recipe : Recipe
    rollouts : int
        Times that a network with feedback is run on its own estimates and learns from them too.
    piece, lead : int
        See `fit_network`.
    """

    recipe: Recipe
    rollouts: int
    piece: int = 1
    lead: int = 0


def fit_committee(
    design: Design,
    course: Course,
    bounds: Bounds | None,
    Z: Floats,
    X: Floats,
    groups: Ints,
    follows: Bools,
) -> dict[str, Floats]:
    """Arrays of a committee.

    With feedback this is DAgger (Ross, Gordon and Bagnell 2011, arXiv 1011.0686): a network learns
    with the true previous targets as inputs, is run on its own estimates, learns from the examples
    (z(t), its estimate at t - 1) -> x(t) as well, and so on; kept is the network whose own run is
    best on the repetition held out.

    Parameters
    ----------
    design : Design
    course : Course
    bounds : tuple of ndarray, or None
        See `Committee`.
    Z : ndarray, shape (m, n_features)
    X : ndarray, shape (m, n_dofs)
        NaN in rows that only are the past of others.
    groups : ndarray of int, shape (m,)
        Repetitions; each network holds one out, to stop early.
    follows : ndarray of bool, shape (m,)
        Whether a row follows the row before in time.

    Raises
    ------
    UserError
        Without PyTorch, or with less than two repetitions.
    """
    known = np.isfinite(X).all(axis=1)
    names = np.unique(groups[known])
    if len(names) < 2:
        raise UserError(
            f"{design.owner}: holds out a repetition to know when to stop, and needs at least 2; "
            "record more"
        )
    if type(course.rollouts) is not int or not 0 <= course.rollouts <= 50:
        raise UserError(f"{design.owner}: rollouts must be a whole number from 0 to 50")
    require_torch(design.owner)
    scalings = {
        "input_mean_": Z[known].mean(axis=0),
        "input_scale_": _inverse(Z[known].std(axis=0)),
        "output_mean_": X[known].mean(axis=0),
        "output_scale_": np.maximum(X[known].std(axis=0), 1e-3),
    }
    fitted = []
    for member in range(design.members):
        held_out = groups == names[len(names) - 1 - member % len(names)]
        recipe = dataclasses.replace(course.recipe, seed=course.recipe.seed + member)
        one = _Apprentice(design, dataclasses.replace(course, recipe=recipe), bounds, scalings)
        fitted.append(one.fit(Z, X, follows, held_out))
    return scalings | {k: np.concatenate([a[k] for a in fitted]) for k in fitted[0]}


class _Apprentice:
    """One network on its way."""

    def __init__(
        self, design: Design, course: Course, bounds: Bounds | None, scalings: dict[str, Floats]
    ) -> None:
        self._design = dataclasses.replace(design, members=1)
        self._bounds = bounds
        self._course = course
        self._scalings = scalings

    def fit(self, Z: Floats, X: Floats, follows: Bools, held_out: Bools) -> dict[str, Floats]:
        from emghand.networks.torch_fit import Examples, fit_network

        s, course, feedback = self._scalings, self._course, self._design.feedback
        low, high = self._bounds or (-np.inf, np.inf)
        plan = self._design.complete(X.shape[1])
        rest = np.zeros(X.shape[1])
        U = standardised(Z, s["input_mean_"], s["input_scale_"])
        Y = (X - s["output_mean_"]) / s["output_scale_"]
        runs = np.cumsum(~follows)

        def inputs(x: Floats) -> Floats:
            """Features and what is fed back from the row before."""
            before = np.vstack([rest, x[:-1]])
            before = np.where(follows[:, None] & np.isfinite(before), before, rest)
            before = np.clip(before, low, high)
            return np.hstack([U, (before - s["output_mean_"]) / s["output_scale_"]])

        seen = [inputs(X) if feedback else U]
        best: dict[str, Floats] = {}
        weights: dict[str, Floats] | None = None
        errors: list[float] = []
        for _ in range(1 + (course.rollouts if feedback else 0)):
            n = len(seen)
            examples = Examples(
                np.vstack(seen),
                np.tile(Y, (n, 1)),
                np.concatenate([runs + i * (runs[-1] + 1) for i in range(n)]),
                np.tile(held_out, n),
            )
            weights = fit_network(plan, examples, course.recipe, course.piece, course.lead, weights)
            x_hat = self._run(weights, Z, follows)
            judged = held_out & np.isfinite(Y).all(axis=1)
            error = (((x_hat - X) / s["output_scale_"])[judged] ** 2).mean()
            if not errors or error < min(errors):
                best = weights
            errors.append(float(error))
            seen.append(inputs(x_hat))
        return best | {HELD_OUT_ERROR: np.array([errors])}

    def _run(self, weights: dict[str, Floats], Z: Floats, follows: Bools) -> Floats:
        """Estimates of every row, by the code that runs live."""
        committee = Committee(self._design, self._bounds, self._scalings | weights)
        x_hat = np.empty((len(Z), len(self._scalings["output_mean_"])))
        for i, z in enumerate(Z):
            if not follows[i]:
                committee.reset()
            x_hat[i] = committee.step(z)
        return x_hat


def _inverse(spread: Floats) -> Floats:
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-9)
