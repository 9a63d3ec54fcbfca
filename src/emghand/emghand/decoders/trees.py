"""Ensembles of regression trees."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.errors import UserError

DEEPEST = 64
"""Bound of the depth of a tree, and so of the time of a step."""

MOST_NODES = 2**18
"""Most nodes that a step looks at, trees times depth: it keeps a step below some 10 ms."""

Tree = tuple[Any, Floats]
"""A tree of scikit-learn, and what each of its nodes adds to the estimate, shape (n, d)."""

FEATURE, THRESHOLD, LEFT, RIGHT = range(4)


class TreesDecoder(Decoder):
    """Extremely randomised trees, or gradient boosting; fitted by scikit-learn, kept as arrays.

    Extremely randomised trees (Geurts, Ernst and Wehenkel 2006): the mean of trees that split at
    random places; hard to spoil by a parameter. Gradient boosting (Friedman 2001): shallow trees
    for each DOF, each one fitted to what those before it leave.

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    method : str
        ``extra`` or ``boosting``.
    n_trees : int
        Of boosting: for each DOF.
    max_depth : int
        Longest way to a leaf; boosting wants about 3.
    min_leaf : int
        Fewest examples in a leaf.
    max_features : float
        Share of the features that a split chooses from.
    learning_rate : float
        Of boosting: what each tree contributes.
    seed : int

    Attributes
    ----------
    nodes_ : ndarray, shape (n, 4)
        Feature, threshold, left child (feature <= threshold), right child; children come after
        their parent. A leaf has the feature -1, and as left child its row of `leaves_`.
    roots_ : ndarray, shape (t,)
        Node that each tree starts from.
    leaves_ : ndarray, shape (l, d)
        The estimate is the sum over the trees, plus `intercept_`.
    intercept_ : ndarray, shape (d,)
    importance_ : ndarray, shape (f,)
        Share of each feature in what the splits explain, 0 to 1.
    """

    kind = "trees"
    learned: ClassVar[dict[str, str]] = {
        "nodes_": "nc",
        "roots_": "t",
        "leaves_": "ld",
        "intercept_": "d",
        "importance_": "f",
    }

    def __init__(
        self,
        delays: tuple[int, ...] = (),
        method: str = "extra",
        n_trees: int = 100,
        max_depth: int = 20,
        min_leaf: int = 5,
        max_features: float = 0.33,
        learning_rate: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(delays)
        self.method = method
        self.n_trees = n_trees
        self.max_depth = max_depth
        self.min_leaf = min_leaf
        self.max_features = max_features
        self.learning_rate = learning_rate
        self.seed = seed

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        common: dict[str, Any] = {
            "n_estimators": int(self._number("n_trees", low=1, high=100_000, whole=True)),
            "max_depth": int(self._number("max_depth", low=1, high=DEEPEST, whole=True)),
            "min_samples_leaf": int(self._number("min_leaf", low=1, whole=True)),
            "max_features": float(self._number("max_features", low=1e-9, high=1.0)),
            "random_state": int(self._number("seed", low=0, high=2**32 - 1, whole=True)),
        }
        if self._choice("method", ("extra", "boosting")) == "extra":
            trees, self.intercept_, importance = _extra(Z, X, common)
        else:
            rate = self._number("learning_rate", low=1e-6, high=1.0)
            trees, self.intercept_, importance = _boosting(Z, X, rate, common)
        self.nodes_, self.roots_, self.leaves_ = _as_matrices(trees)
        self.importance_ = importance

    def _estimate(self, z: Floats) -> Floats:
        # scikit-learn compares single-precision features with double-precision thresholds.
        z = z.astype(np.float32).astype(np.float64)
        at = self._starts
        for _ in range(self._depth):
            at = self._children[2 * at + (z[self._feature[at]] > self._threshold[at])]
        return self.leaves_[self._leaf[at]].sum(axis=0) + self.intercept_

    def _prepare(self) -> None:
        super()._prepare()
        feature = self.nodes_[:, FEATURE].astype(np.int64)
        children = self.nodes_[:, [LEFT, RIGHT]].astype(np.int64)
        leaf = feature < 0
        self._leaf = np.where(leaf, children[:, 0], 0)
        # Who has arrived stays.
        self._children = np.where(leaf[:, None], np.arange(len(leaf))[:, None], children).ravel()
        self._feature = np.where(leaf, 0, feature)
        self._threshold = self.nodes_[:, THRESHOLD].copy()
        self._starts = self.roots_.astype(np.int64)
        self._depth = _depth(self.nodes_, self.roots_)

    def _check_learned(self) -> None:
        super()._check_learned()
        nodes, n = self.nodes_, len(self.nodes_)
        if nodes.shape[1] != 4 or not _are_numbers(self.roots_, 0, n):
            raise UserError(f"{self.kind} decoder: array roots_ or nodes_ does not hold trees")
        inner = nodes[:, FEATURE] != -1.0
        own = np.flatnonzero(inner)
        good = (
            _are_numbers(nodes[inner, FEATURE], 0, len(self.importance_))
            and _are_numbers(nodes[inner, LEFT], own + 1, n)
            and _are_numbers(nodes[inner, RIGHT], own + 1, n)
            and _are_numbers(nodes[~inner, LEFT], 0, len(self.leaves_))
        )
        if not good:
            raise UserError(
                f"{self.kind} decoder: array nodes_ refers to features, nodes or leaves that are "
                "not there, or back to itself"
            )
        depth = _depth(nodes, self.roots_)
        if depth > DEEPEST:
            raise UserError(f"{self.kind} decoder: array nodes_ is deeper than {DEEPEST}")
        if len(self.roots_) * max(depth, 1) > MOST_NODES:
            raise UserError(
                f"{self.kind} decoder: {len(self.roots_)} trees of depth {depth} take too long for "
                "a tick; lower n_trees or max_depth"
            )


def _extra(Z: Floats, X: Floats, common: dict[str, Any]) -> tuple[list[Tree], Floats, Floats]:
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(**common).fit(Z, X[:, 0] if X.shape[1] == 1 else X)
    share = 1.0 / len(forest.estimators_)
    trees = [
        (tree.tree_, share * tree.tree_.value[:, :, 0].reshape(-1, X.shape[1]))
        for tree in forest.estimators_
    ]
    return trees, np.zeros(X.shape[1]), np.array(forest.feature_importances_)


def _boosting(
    Z: Floats, X: Floats, rate: float, common: dict[str, Any]
) -> tuple[list[Tree], Floats, Floats]:
    from sklearn.ensemble import GradientBoostingRegressor

    trees: list[Tree] = []
    importance = np.zeros(Z.shape[1])
    for i, target in enumerate(X.T):
        model = GradientBoostingRegressor(learning_rate=rate, **common).fit(Z, target)
        importance += model.feature_importances_ / X.shape[1]
        for tree in model.estimators_[:, 0]:
            values = np.zeros((tree.tree_.node_count, X.shape[1]))
            values[:, i] = rate * tree.tree_.value[:, 0, 0]
            trees.append((tree.tree_, values))
    # Boosting starts from the mean.
    return trees, X.mean(axis=0), importance


def _as_matrices(trees: list[Tree]) -> tuple[Floats, Floats, Floats]:
    """`nodes_`, `roots_` and `leaves_` of trees of scikit-learn."""
    nodes, leaves = [], []
    n_nodes = n_leaves = 0
    roots = []
    for tree, values in trees:
        leaf = tree.children_left < 0
        table = np.column_stack(
            [
                tree.feature,
                tree.threshold,
                tree.children_left + n_nodes,
                tree.children_right + n_nodes,
            ]
        ).astype(np.float64)
        table[leaf] = 0.0
        table[leaf, FEATURE] = -1.0
        table[leaf, LEFT] = n_leaves + np.arange(leaf.sum())
        nodes.append(table)
        leaves.append(values[leaf])
        roots.append(n_nodes)
        n_nodes += len(table)
        n_leaves += int(leaf.sum())
    return np.concatenate(nodes), np.array(roots, dtype=np.float64), np.concatenate(leaves)


def _are_numbers(values: Floats, low: int | Ints, end: int) -> bool:
    """Whether all are whole numbers, at least `low` and below `end`."""
    return bool(((values == np.floor(values)) & (values >= low) & (values < end)).all())


def _depth(nodes: Floats, roots: Floats) -> int:
    """Longest way from a root to a leaf; what is deeper than `DEEPEST` counts as one more."""
    at = np.unique(roots.astype(np.int64))
    for depth in range(DEEPEST + 1):
        at = at[nodes[at, FEATURE] >= 0.0]
        if not len(at):
            return depth
        at = np.unique(nodes[at][:, [LEFT, RIGHT]].astype(np.int64))
    return DEEPEST + 1


DECODER = TreesDecoder
