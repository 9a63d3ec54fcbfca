"""Branch and bound finds what brute force finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from emghand.actions import METHODS, Terms, choose
from emghand.actions.branch_and_bound import best_subset, objective
from emghand.errors import UserError


def brute_force(first, second, m):
    subsets = itertools.combinations(range(len(first)), m)
    return min((objective(first, second, s), s) for s in subsets)


def random_costs(n, seed):
    rng = np.random.default_rng(seed)
    second = rng.exponential(1.0, (n, n))
    second = np.triu(second, 1) + np.triu(second, 1).T
    return rng.exponential(2.0, n), second


@st.composite
def problems(draw):
    n = draw(st.integers(1, 9))
    # Few different values: many subsets cost the same.
    value = draw(st.sampled_from([st.integers(0, 3).map(float), st.floats(0.0, 10.0)]))
    first = np.array(draw(st.lists(value, min_size=n, max_size=n)))
    flat = draw(st.lists(value, min_size=n * n, max_size=n * n))
    upper = np.triu(np.array(flat).reshape(n, n), 1)
    return first, upper + upper.T, draw(st.integers(1, n))


@limits(max_examples=150)
@given(problems())
def test_the_optimum_is_that_of_brute_force_and_of_equals_the_first(problem):
    first, second, m = problem
    found = best_subset(first, second, m)
    assert (found.value, found.chosen) == brute_force(first, second, m)


@pytest.mark.parametrize("seed", range(3))
def test_5_of_24_is_exact_and_looks_at_few_of_42504_subsets(seed):
    first, second = random_costs(24, seed)
    found = best_subset(first, second, 5)
    assert (found.value, found.chosen) == brute_force(first, second, 5)
    assert found.nodes < 2000


def test_the_order_of_the_actions_does_not_matter():
    first, second = random_costs(14, 5)
    order = np.random.default_rng(1).permutation(14)
    a = best_subset(first, second, 6)
    b = best_subset(first[order], second[np.ix_(order, order)], 6)
    assert a.value == b.value
    assert set(a.chosen) == set(order[list(b.chosen)].tolist())


def terms(n=12, seed=3):
    first, second = random_costs(n, seed)
    strength = np.random.default_rng(seed + 1).uniform(0, 1, n)
    return Terms(tuple(f"a{i:02d}" for i in range(n)), strength, first, second)


def test_no_method_beats_the_exact_one():
    for seed in range(20):
        t = terms(seed=seed)
        costs = {m: choose(t, 4, m).objective for m in METHODS}
        assert costs["exact"] == min(costs.values())


def test_greedy_takes_the_strongest_and_first_order_the_smallest_errors():
    t = terms()
    strongest = np.argsort(t.strength)[-3:]
    assert set(choose(t, 3, "greedy").actions) == {t.actions[i] for i in strongest}
    best = np.argsort(t.first)[:3]
    assert set(choose(t, 3, "first_order").actions) == {t.actions[i] for i in best}


def test_second_order_of_two_is_the_best_pair_even_if_one_alone_is_better():
    second = np.array([[0.0, 9.0, 9.0], [9.0, 0.0, 0.1], [9.0, 0.1, 0.0]])
    t = Terms(("a", "b", "c"), np.ones(3), np.array([0.0, 1.0, 1.0]), second)
    assert choose(t, 2, "second_order").actions == ("b", "c")
    assert choose(t, 1, "second_order").actions == ("a",)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f, s: (f, s, 0), "cannot choose"),
        (lambda f, s: (f, s, 5), "cannot choose"),
        (lambda f, s: (f - 9, s, 2), "at least 0"),
        (lambda f, s: (f, s + np.triu(s), 2), "the same for"),
        (lambda f, s: (f * np.nan, s, 2), "finite"),
        (lambda f, s: (f, s[:3], 2), "shapes"),
    ],
)
def test_costs_that_allow_no_bound_are_refused(change, text):
    with pytest.raises(UserError, match=text):
        best_subset(*change(*random_costs(4, 0)))


def test_unknown_methods_are_refused():
    with pytest.raises(UserError, match="magic"):
        choose(terms(), 2, "magic")
