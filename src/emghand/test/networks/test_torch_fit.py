"""Fits with PyTorch: the same numbers as the step on plain arrays, repeatable, stopped in time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from network_plans import GOLDEN, N_INPUTS, PLANS, run

from emghand.errors import UserError
from emghand.networks.layers import Layer, Network
from emghand.networks.recipe import Recipe

torch = pytest.importorskip("torch")

from emghand.networks.torch_fit import (  # noqa: E402
    Examples,
    TorchNetwork,
    _pieces,
    deterministic,
    fit_network,
)


def examples(m=400, seed=0):
    """Two targets, one of which needs memory."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(m, N_INPUTS))
    targets = np.stack([inputs[:, 0] * inputs[:, 1], np.roll(inputs[:, 2], 2)], axis=1)
    targets[50:60] = np.nan
    return Examples(inputs, targets, np.arange(m) // 100, np.arange(m) >= 3 * m // 4)


def made_by_torch(name):
    """Arrays, inputs and outputs of a random network; what the files in golden/ hold."""
    with deterministic(7):
        net = TorchNetwork(PLANS[name], N_INPUTS).eval()
        inputs = torch.randn(30, N_INPUTS)
        with torch.no_grad():
            outputs = net(inputs[None])[0]
    return net.to_arrays() | {"inputs": inputs.numpy(), "outputs": outputs.numpy()}


@pytest.mark.parametrize("name", PLANS)
def test_numpy_and_torch_agree(name):
    """To 1e-5, single against double precision."""
    made = made_by_torch(name)
    arrays = {k: v for k, v in made.items() if k.startswith("layer")}
    found = run(Network(PLANS[name], N_INPUTS, 1, arrays), made["inputs"].astype(np.float64), 1)
    np.testing.assert_allclose(found[:, 0], made["outputs"], atol=1e-5)


@pytest.mark.parametrize("name", PLANS)
def test_stored_outputs_are_those_of_torch(name):
    with np.load(GOLDEN / f"{name}.npz") as stored:
        net = TorchNetwork(PLANS[name], N_INPUTS).eval()
        net.set_arrays({k: stored[k] for k in stored.files if k.startswith("layer")})
        with torch.no_grad():
            outputs = net(torch.from_numpy(stored["inputs"])[None])[0].numpy()
        np.testing.assert_allclose(outputs, stored["outputs"], atol=1e-5)


@pytest.mark.parametrize("name", PLANS)
def test_two_fits_give_the_same_bytes_and_leave_torch_as_it_was(name):
    recipe, fitted = Recipe(epochs=3, dropout=0.3, noise=0.1, batch=64), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        torch.set_num_threads(2)
        fitted.append(fit_network(PLANS[name], examples(), recipe, piece=16, lead=8))
        assert torch.initial_seed() == seed
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
    for key, value in fitted[0].items():
        np.testing.assert_array_equal(value, fitted[1][key])
    other = fit_network(
        PLANS[name], examples(), dataclasses.replace(recipe, seed=1), piece=16, lead=8
    )
    assert (other["layer0_weight_"] != fitted[0]["layer0_weight_"]).any()


def test_a_fit_learns_what_needs_products_and_memory():
    plan = (Layer(32, "tanh", delays=(1, 2)), Layer(2, "none"))
    data = examples(2000)
    data = dataclasses.replace(data, runs=np.zeros(2000, dtype=int))
    recipe = Recipe(epochs=30, dropout=0.0, batch=64, learning_rate=1e-2, weight_decay=0.0)
    arrays = fit_network(plan, data, recipe, piece=32, lead=2)
    found = run(Network(plan, N_INPUTS, 1, arrays), data.inputs, 1)[:, 0]
    error = np.nanmean((found - data.targets)[1500:] ** 2, axis=0)
    assert (error < 0.1).all()


def test_the_weights_kept_are_the_best_on_the_rows_held_out():
    """Targets are noise: every pass after the first few only learns it by heart."""
    rng = np.random.default_rng(0)
    data = Examples(
        rng.normal(size=(120, N_INPUTS)),
        rng.normal(size=(120, 1)),
        np.zeros(120, dtype=int),
        np.arange(120) >= 60,
    )
    plan = (Layer(128), Layer(1, "none"))

    def held_out_error(patience):
        recipe = Recipe(epochs=120, patience=patience, dropout=0.0, weight_decay=0.0, batch=20)
        arrays = fit_network(plan, data, recipe)
        found = run(Network(plan, N_INPUTS, 1, arrays), data.inputs, 1)[:, 0]
        error = (found - data.targets) ** 2
        return error[60:].mean(), error[:60].mean()

    stopped, learned = held_out_error(5)
    assert stopped < 1.3 * data.targets[60:].var()
    assert learned > 0.3
    assert held_out_error(120)[0] <= stopped


def test_rows_held_out_and_rows_without_target_teach_nothing():
    data, recipe = examples(), Recipe(epochs=1, batch=64)
    spoilt = data.targets.copy()
    spoilt[300:] = 5.0
    a, b = (
        fit_network(PLANS["conv"], dataclasses.replace(data, targets=t), recipe, 16, 9)
        for t in (data.targets, spoilt)
    )
    for key, value in a.items():
        np.testing.assert_array_equal(value, b[key])


@pytest.mark.parametrize("shift", [0, 3, 7])
def test_pieces_cover_every_row_that_counts_once_and_stay_in_their_run(shift):
    runs = np.repeat([0, 1, 2], [30, 5, 17])
    counts = np.random.default_rng(0).random(52) < 0.7
    index, marked = _pieces(runs, counts, piece=8, lead=4, shift=shift)
    assert sorted(index[marked]) == list(np.flatnonzero(counts))
    assert (runs[index] == runs[index[:, :1]]).all()
    assert not marked[:, :4].any()
    assert (np.diff(index, axis=1) >= 0).all()


def test_a_fit_that_diverges_is_an_error():
    """The squared error of huge targets is not finite in single precision."""
    data = examples()
    data = dataclasses.replace(data, targets=data.targets * 1e30)
    with pytest.raises(UserError, match="learning_rate"):
        fit_network(PLANS["dense"], data, Recipe(epochs=2))
