"""Layers on plain arrays: against stored outputs of PyTorch, textbook loops, and hostile arrays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_plans import GOLDEN, MEMBERS, N_INPUTS, PLANS, random_arrays, run

from emghand.errors import UserError
from emghand.networks.layers import Layer, Network, check_arrays, check_sizes, past


@pytest.mark.parametrize("name", PLANS)
def test_numpy_repeats_what_pytorch_computed(name):
    """Arrays, inputs and outputs made by PyTorch 2.13 (see test_torch_fit), to 1e-5."""
    with np.load(GOLDEN / f"{name}.npz") as stored:
        arrays = {k: stored[k] for k in stored.files if k.startswith("layer")}
        network = Network(
            PLANS[name], N_INPUTS, 1, check_arrays("test", PLANS[name], N_INPUTS, 1, arrays)
        )
        found = run(network, stored["inputs"], 1)[:, 0]
        np.testing.assert_allclose(found, stored["outputs"], atol=1e-5)


def test_a_layer_with_delays_is_a_causal_dilated_convolution():
    """Against numpy.convolve of the input that was always as at the start, to 1e-12."""
    plan = (Layer(1, "none", delays=(3, 6)),)
    arrays = random_arrays(plan, members=1, n_inputs=1)
    x = np.random.default_rng(1).normal(size=50)
    kernel = np.zeros(7)
    kernel[[0, 3, 6]] = arrays["layer0_weight_"][0]
    padded = np.concatenate([np.full(6, x[0]), x])
    wanted = np.convolve(padded, kernel, "valid") + arrays["layer0_bias_"]
    found = run(Network(plan, 1, 1, arrays), x[:, None], 1).ravel()
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_an_lstm_follows_its_equations():
    """Written out with the logistic function, to 1e-12."""
    plan = (Layer(4, kind="lstm"),)
    arrays = random_arrays(plan, members=1)
    W, b = arrays["layer0_weight_"], arrays["layer0_bias_"]
    h, c = np.zeros(4), np.zeros(4)
    inputs = 3.0 * np.random.default_rng(1).normal(size=(40, N_INPUTS))
    found = run(Network(plan, N_INPUTS, 1, arrays), inputs, 1)[:, 0]
    for x, y in zip(inputs, found, strict=True):
        i, f, g, o = np.split(W @ np.concatenate([x, h]) + b, 4)
        i, f, o = (1.0 / (1.0 + np.exp(-v)) for v in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        np.testing.assert_allclose(y, h, atol=1e-12)


@pytest.mark.parametrize("name", PLANS)
def test_members_of_a_committee_do_not_hear_each_other(name):
    plan, arrays = PLANS[name], random_arrays(PLANS[name])
    inputs = np.random.default_rng(2).normal(size=(30, N_INPUTS))
    together = run(Network(plan, N_INPUTS, MEMBERS, arrays), inputs)
    for member in range(MEMBERS):
        own = {k: np.split(v, MEMBERS)[member] for k, v in arrays.items()}
        alone = run(Network(plan, N_INPUTS, 1, own), inputs, 1)[:, 0]
        np.testing.assert_allclose(together[:, member], alone, atol=1e-12)


@given(st.sampled_from(sorted(PLANS)), st.integers(0, 40), st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_a_state_continues_bit_for_bit(name, at, seed):
    plan, arrays = PLANS[name], random_arrays(PLANS[name], seed)
    inputs = np.random.default_rng(seed).normal(size=(60, N_INPUTS))
    first, second = (Network(plan, N_INPUTS, MEMBERS, arrays) for _ in range(2))
    run(first, inputs[:at])
    run(second, inputs[::-1])
    second.set_state({k: v.copy() for k, v in first.state().items()})
    np.testing.assert_array_equal(run(first, inputs[at:]), run(second, inputs[at:]))
    first.reset()
    fresh = run(Network(plan, N_INPUTS, MEMBERS, arrays), inputs)
    np.testing.assert_array_equal(run(first, inputs), fresh)


def test_the_past_of_a_plan_is_as_far_as_an_input_is_felt():
    plan, arrays = PLANS["conv"], random_arrays(PLANS["conv"])
    inputs = np.random.default_rng(3).normal(size=(40, N_INPUTS))
    changed = inputs.copy()
    changed[10] += 1.0
    a, b = (run(Network(plan, N_INPUTS, MEMBERS, arrays), x) for x in (inputs, changed))
    felt = np.flatnonzero((a != b).any(axis=(1, 2)))
    assert felt[0] == 10
    assert felt[-1] <= 10 + past(plan) == 19


@given(st.sampled_from(sorted(PLANS)), st.data())
@settings(max_examples=60, deadline=None)
def test_hostile_arrays_are_refused(name, data):
    plan, arrays = PLANS[name], random_arrays(PLANS[name])
    key = data.draw(st.sampled_from(sorted(arrays)))
    value = arrays[key]
    spoilt = data.draw(
        st.sampled_from(
            [value[:-1], value[None], value.T[:0], value * np.nan, value + np.inf, value + 1e7]
        )
    )
    with pytest.raises(UserError, match=key):
        check_arrays("test", plan, N_INPUTS, MEMBERS, arrays | {key: spoilt})
    del arrays[key]
    for wrong in (arrays, arrays | {"other": value}):
        with pytest.raises(UserError, match="expects the arrays"):
            check_arrays("test", plan, N_INPUTS, MEMBERS, wrong)


def test_largest_weights_and_inputs_do_not_overflow():
    sizes = itertools.repeat(30, 7)
    plan = (*(Layer(s, skip=True) for s in sizes), Layer(2, "none"))
    arrays = {k: np.full_like(v, 9.9e5) for k, v in random_arrays(plan).items()}
    assert np.isfinite(run(Network(plan, N_INPUTS, MEMBERS, arrays), np.full((1, 3), 100.0))).all()


@pytest.mark.parametrize("sizes", [(), (0,), (2000,), (1,) * 8, [8], (8.0,), (True,), None])
def test_sizes_that_make_no_sense_are_refused(sizes):
    with pytest.raises(UserError, match="sizes of layers"):
        check_sizes("test", sizes)
