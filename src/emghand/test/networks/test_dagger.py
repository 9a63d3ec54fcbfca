"""Roll-outs, with least squares in place of the gradient descent: this needs no PyTorch."""

from __future__ import annotations

import sys
import types
from collections import namedtuple

import numpy as np
import pytest

from emghand.networks import fitting
from emghand.networks.committee import Design
from emghand.networks.recipe import Recipe

N, DOFS = 4, 2


def solve(inputs, targets):
    """Weight and bias of the linear map."""
    found = np.linalg.lstsq(np.hstack([inputs, np.ones((len(inputs), 1))]), targets, rcond=None)[0]
    return found[:-1].T, found[-1]


def fit_network(plan, examples, recipe, piece, lead, start):
    learn = ~examples.held_out & np.isfinite(examples.targets).all(axis=1)
    weight, bias = solve(examples.inputs[learn], examples.targets[learn])
    return {"layer0_weight_": weight, "layer0_bias_": bias}


@pytest.fixture
def least_squares(monkeypatch):
    fake = types.ModuleType("emghand.networks.torch_fit")
    fake.Examples = namedtuple("Examples", "inputs targets runs held_out")
    fake.fit_network = fit_network
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(fitting, "require_torch", lambda owner: None)


def textbook(Z, X, starts, held_out, low, high, rounds):
    """DAgger of a linear map: weights and error of the run on the rows held out, each round."""
    U, Y = ((a - a.mean(axis=0)) / a.std(axis=0) for a in (Z, X))

    def scaled(x):
        return (x - X.mean(axis=0)) / X.std(axis=0)

    def run(weight, bias):
        x_hat = np.zeros_like(X)
        for t in range(len(Z)):
            before = np.zeros(DOFS) if starts[t] else x_hat[t - 1]
            y = weight @ np.concatenate([U[t], scaled(before)]) + bias
            x_hat[t] = np.clip(y * X.std(axis=0) + X.mean(axis=0), low, high)
        return x_hat

    rows, answers, found, fed = [], [], [], X
    for _ in range(rounds):
        for t in np.flatnonzero(~held_out):
            before = np.zeros(DOFS) if starts[t] else np.clip(fed[t - 1], low, high)
            rows.append(np.concatenate([U[t], scaled(before)]))
            answers.append(Y[t])
        weight, bias = solve(np.array(rows), np.array(answers))
        fed = run(weight, bias)
        found.append((np.mean((scaled(fed) - Y)[held_out] ** 2), weight, bias))
    return found


def test_roll_outs_are_dagger(least_squares):
    """Weights, errors and the round that is kept: those of a loop over the rows, to 1e-8."""
    rng = np.random.default_rng(0)
    m = 240
    X = np.cumsum(rng.normal(size=(m, DOFS)), axis=0)
    X = 0.8 * X / np.abs(X).max(axis=0)
    Z = X @ rng.normal(size=(DOFS, N)) + rng.normal(size=(m, N))
    groups = np.arange(m) // 80
    starts = np.isin(np.arange(m), [0, 50, 160])
    low, high = np.full(DOFS, -0.6), np.full(DOFS, 0.7)
    arrays = fitting.fit_committee(
        Design("test", (), 1, feedback=True),
        fitting.Course(Recipe(), rollouts=3),
        (low, high),
        Z,
        X,
        groups,
        ~starts,
    )
    rounds = textbook(Z, X, starts, groups == 2, low, high, 4)
    errors = [error for error, *_ in rounds]
    np.testing.assert_allclose(arrays["held_out_error_"], [errors], rtol=1e-8)
    best = int(np.argmin(errors))
    assert best > 0, "the example is too easy: plain training would do"
    np.testing.assert_allclose(arrays["layer0_weight_"], rounds[best][1], atol=1e-8)
    np.testing.assert_allclose(arrays["layer0_bias_"], rounds[best][2], atol=1e-8)
