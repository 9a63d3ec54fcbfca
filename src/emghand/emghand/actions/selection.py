"""Methods to choose m of n actions from what was measured of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.actions.branch_and_bound import best_subset, objective
from emghand.errors import UserError

Floats = NDArray[np.float64]

METHODS = ("greedy", "first_order", "second_order", "exact")


@dataclass(frozen=True)
class Terms:
    """What was measured of n actions; all of it at least 0.

    Parameters
    ----------
    actions : tuple of str, length n
    strength : ndarray, shape (n,)
        How strong the EMG of each action is.
    first : ndarray, shape (n,)
        Cross-validated error of each action alone.
    second : ndarray, shape (n, n)
        Cross-validated confusion of two actions; symmetric, 0 on the diagonal.
    """

    actions: tuple[str, ...]
    strength: Floats
    first: Floats
    second: Floats


@dataclass(frozen=True)
class Choice:
    """The actions that a method chose.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    actions : tuple of str
        In the order of the candidates.
    objective : float
        Sum of the errors of the chosen actions and of the confusions of all their pairs.
    nodes : int
        Subsets the search looked at; 0 for methods that do not search.
    """

    method: str
    actions: tuple[str, ...]
    objective: float
    nodes: int = 0


def choose(terms: Terms, m: int, method: str = "exact") -> Choice:
    """Choose `m` of the actions.

    * ``greedy``: those with the strongest EMG
    * ``first_order``: those with the smallest error alone
    * ``second_order``: the best pair, then one after the other what adds least to the objective
    * ``exact``: the smallest objective of all subsets, by branch and bound

    Raises
    ------
    UserError
        For an unknown method, or when `m` is not 1 to n.
    """
    n = len(terms.actions)
    if not 1 <= m <= n:
        raise UserError(f"cannot choose {m} of {n} actions")
    nodes = 0
    if method == "greedy":
        chosen = np.argsort(-terms.strength, kind="stable")[:m].tolist()
    elif method == "first_order":
        chosen = np.argsort(terms.first, kind="stable")[:m].tolist()
    elif method == "second_order":
        chosen = _grown(terms, m)
    elif method == "exact":
        found = best_subset(terms.first, terms.second, m, start=_grown(terms, m))
        chosen, nodes = list(found.chosen), found.nodes
    else:
        raise UserError(f"method {method!r}: unknown, choose from: {', '.join(METHODS)}")
    return Choice(
        method=method,
        actions=tuple(terms.actions[i] for i in sorted(chosen)),
        objective=objective(terms.first, terms.second, sorted(chosen)),
        nodes=nodes,
    )


def _grown(terms: Terms, m: int) -> Sequence[int]:
    if m == 1:
        return [int(np.argmin(terms.first))]
    pairs = terms.first[:, None] + terms.first + terms.second
    pairs[np.tril_indices(len(terms.first))] = np.inf
    chosen = [int(i) for i in np.unravel_index(np.argmin(pairs), pairs.shape)]
    while len(chosen) < m:
        added = terms.first + terms.second[:, chosen].sum(axis=1)
        added[chosen] = np.inf
        chosen.append(int(np.argmin(added)))
    return chosen
