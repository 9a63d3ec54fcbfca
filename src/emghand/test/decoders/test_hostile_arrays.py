"""Learned arrays from a file somebody sent: what would do harm is refused."""

from __future__ import annotations

import numpy as np
import pytest

from emghand.decoders import KalmanDecoder, decoder_class
from emghand.decoders.kernel_ridge import KernelRidgeDecoder
from emghand.decoders.lda import LdaDecoder
from emghand.decoders.polynomial import PolynomialDecoder
from emghand.decoders.qda import QdaDecoder
from emghand.decoders.svr import SvrDecoder
from emghand.decoders.trees import DEEPEST, MOST_NODES, TreesDecoder
from emghand.errors import UserError

LEAF = [-1.0, 0.0, 0.0, 0.0]


def tree(nodes, roots=(0.0,), n_leaves=2):
    return {
        "nodes_": np.array(nodes, dtype=float),
        "roots_": np.array(roots, dtype=float),
        "leaves_": np.arange(float(n_leaves))[:, None],
        "intercept_": np.zeros(1),
        "importance_": np.ones(2) / 2,
    }


STUMP = [[1.0, 0.5, 1.0, 2.0], LEAF, [-1.0, 0.0, 1.0, 0.0]]


def test_a_small_tree_works():
    decoder = TreesDecoder.from_arrays({}, tree(STUMP))
    np.testing.assert_array_equal(decoder.predict(np.array([[9.0, 0.4], [0.0, 0.6]])), [[0], [1]])


@pytest.mark.parametrize(
    ("node", "column", "value"),
    [
        (0, 0, 2.0),  # a feature that is not there
        (0, 0, -2.0),
        (0, 0, 0.5),
        (0, 2, 0.0),  # its own child
        (0, 3, 3.0),  # a child that is not there
        (0, 2, -1.0),
        (0, 3, 1.5),
        (1, 2, 2.0),  # a leaf that is not there
        (1, 2, -1.0),
        (2, 2, 0.5),
    ],
)
def test_trees_that_point_nowhere_or_back_are_refused(node, column, value):
    nodes = np.array(STUMP)
    nodes[node, column] = value
    with pytest.raises(UserError, match="nodes_"):
        TreesDecoder.from_arrays({}, tree(nodes))


def test_a_cycle_over_several_nodes_is_refused():
    cycle = [[0, 0, 1, 2], [0, 0, 2, 3], [0, 0, 1, 3], LEAF]
    with pytest.raises(UserError, match="back to itself"):
        TreesDecoder.from_arrays({}, tree(cycle))


@pytest.mark.parametrize("root", [-1.0, 3.0, 0.5, 1e29])
def test_roots_that_are_not_there_are_refused(root):
    with pytest.raises(UserError, match="roots_"):
        TreesDecoder.from_arrays({}, tree(STUMP, roots=[root]))


def test_a_tree_without_end_is_refused_quickly():
    """Both children of every node are the next one: 2^n ways, which nobody may walk."""
    chain = [[0.0, 0.0, i + 1.0, i + 1.0] for i in range(DEEPEST + 1)] + [LEAF]
    with pytest.raises(UserError, match="deeper"):
        TreesDecoder.from_arrays({}, tree(chain))
    TreesDecoder.from_arrays({}, tree([[0, 0, 1, 1], LEAF]))


def test_trees_that_take_longer_than_a_tick_are_refused():
    """A small file may hold millions of roots of one tree."""
    TreesDecoder.from_arrays({}, tree(STUMP, roots=np.zeros(1000)))
    with pytest.raises(UserError, match="too long for a tick"):
        TreesDecoder.from_arrays({}, tree(STUMP, roots=np.zeros(MOST_NODES + 1)))


def test_covariances_that_are_all_of_one_direction_give_finite_estimates():
    """Beside them the identity is lost in rounding, and nothing can be inverted."""
    one = np.ones((2, 2))
    arrays = {
        "motion_": np.eye(2),
        "motion_offset_": np.zeros(2),
        "noise_": 1e11 * one,
        "weights_": np.ones((2, 3)),
        "weighted_offset_": np.zeros(2),
        "information_": 1e11 * one,
        "process_gain_": np.ones(1),
    }
    decoder = KalmanDecoder.from_arrays({"gain": "standard"}, arrays)
    assert np.isfinite(decoder.predict(np.random.default_rng(0).normal(size=(50, 3)))).all()


def fitted(decoder):
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0], [1.0]], 60, axis=0)
    return decoder.fit(rng.normal(size=(120, 3)) + X, X, np.arange(120) % 3)


@pytest.mark.parametrize(
    ("decoder", "name", "spoil"),
    [
        (KernelRidgeDecoder(), "gamma_", lambda a: -a),
        (SvrDecoder(), "gamma_", lambda a: -a),
        (PolynomialDecoder(), "used_", lambda a: a + 1),
        (PolynomialDecoder(), "used_", lambda a: a[::-1]),
        (PolynomialDecoder(), "used_", lambda a: a - 0.5),
        (PolynomialDecoder(), "used_", lambda a: a[:1]),
        (QdaDecoder(), "whitening_", lambda a: a[:4]),
        (KalmanDecoder(gain="standard"), "noise_", lambda a: -a),
        (KalmanDecoder(gain="standard"), "information_", lambda a: -a),
        (KalmanDecoder(gain="standard"), "information_", lambda a: 1e20 * a),
    ],
)
def test_arrays_that_would_do_harm_are_refused(decoder, name, spoil):
    made = fitted(decoder)
    arrays = made.to_arrays()
    with pytest.raises(UserError, match=f"{decoder.kind} decoder: array"):
        type(made).from_arrays(made.get_params(), arrays | {name: spoil(arrays[name])})


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("kalman", {"gain": "magic"}),
        ("kalman", {"low": ["a"]}),
        ("ridge", {"differential": True, "tick_rate": "fast"}),
        ("ridge", {"differential": True, "tick_rate": 0.0}),
        ("ridge", {"differential": True, "tick_rate": float("nan")}),
        ("lda", {"output": ["posture"]}),
        ("lda", {"min_probability": "high"}),
        ("qda", {"min_probability": 2.0}),
        ("trees", {"delays": 3}),
        ("refit", {"high": -1.0}),
    ],
)
def test_parameters_of_no_use_are_refused(kind, params):
    made = fitted(decoder_class(kind)())
    with pytest.raises(UserError, match=f"{kind} decoder|delays"):
        type(made).from_arrays({**made.get_params(), **params}, made.to_arrays())


@pytest.mark.parametrize("kind", ["ridge", "polynomial", "kalman", "refit"])
@pytest.mark.parametrize("value", ["abc", ("a",), 3.0, (), (0.0,), (float("inf"),), None])
def test_a_grid_that_holds_no_positive_numbers_is_refused(kind, value):
    name = "lambdas" if kind in ("ridge", "polynomial") else "process_gains"
    with pytest.raises(UserError, match=f"{kind} decoder: {name} must be a list"):
        fitted(decoder_class(kind)(**{name: value}))


@pytest.mark.parametrize(
    "decoder",
    [
        KernelRidgeDecoder(),
        SvrDecoder(),
        PolynomialDecoder(),
        TreesDecoder(n_trees=3),
        LdaDecoder(output="weighted"),
        QdaDecoder(output="weighted"),
        KalmanDecoder(gain="standard"),
    ],
    ids=lambda d: d.kind,
)
def test_the_largest_features_still_give_finite_estimates(decoder):
    made = fitted(decoder)
    for z in (np.full(3, 9e29), np.array([-9e29, 9e29, 0.0])):
        with np.errstate(all="raise", under="ignore"):
            assert np.isfinite(made.step(z)).all()
        made.reset()
