"""Holds, references and alignment on numbers whose answer is known."""

import dataclasses

import numpy as np
import pytest

from emghand.adapt.alignment import align
from emghand.adapt.holds import find_holds
from emghand.adapt.reference import Reference, learn_reference, rest_level, shared_signal
from emghand.adapt.window import Window
from emghand.errors import UserError

RATE = 60.0
N, D = 8, 2


def use(seconds=300.0, seed=0):
    """Estimates that step between postures each 2 s, and amplitudes that follow them."""
    rng = np.random.default_rng(seed)
    postures = np.array([[0.0, 0.0], [0.7, 0.0], [0.0, 0.0], [0.0, -0.7], [0.0, 0.0], [0.6, 0.6]])
    each = int(2 * RATE)
    n = int(seconds * RATE)
    x = postures[(np.arange(n) // each) % len(postures)]
    x = x + rng.normal(0.0, 0.01, x.shape)
    mixing = np.random.default_rng(100).uniform(0.1, 1.0, (N, D))
    a = np.hypot(0.05, np.abs(x) @ mixing.T) * (1.0 + rng.normal(0.0, 0.05, (n, N)))
    return x, np.abs(a)


def window(x, amplitudes):
    n = len(x)
    return Window(amplitudes, x, np.arange(n), np.ones(n, dtype=bool), RATE)


@pytest.fixture(scope="module")
def reference():
    x, a = use()
    return learn_reference(window(x, a), a)


def test_holds_are_where_nothing_moves():
    x, _ = use(24.0)
    held = find_holds(x, RATE)
    assert 11 <= len(held) <= 12
    means = held.means(x)
    assert np.abs(np.abs(means) - np.round(np.abs(means), 1)).max() < 0.05
    follows = np.ones(len(x), dtype=bool)
    follows[300] = False
    cut = find_holds(x, RATE, follows)
    assert not ((cut.start < 300) & (cut.end > 300)).any()
    assert len(find_holds(x[:10], RATE)) == 0


def test_a_reference_knows_amplitudes_and_rest(reference):
    assert reference.amplitude[0] == pytest.approx(0.65, abs=0.05)
    assert reference.active_share[0] == pytest.approx(4 / 12, abs=0.05)
    np.testing.assert_allclose(reference.rest, 0.05, rtol=0.2)
    assert (reference.correlation > 0.6).all()


def test_too_little_use_makes_no_reference():
    x, a = use(200.0)
    with pytest.raises(UserError, match=r"needs 4 minutes of own use, got 3\.3"):
        learn_reference(window(x, a), a)
    x, a = use()
    with pytest.raises(UserError, match="holds"):
        learn_reference(window(0.0 * x, a), a)


def test_a_reference_comes_back_from_its_arrays(reference):
    again = Reference.from_arrays(reference.to_arrays(), N, D)
    for field in dataclasses.fields(Reference):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(reference, field.name))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("rest", np.ones(3), "shape"),
        ("rest", np.full(N, np.nan), "no use"),
        ("rest", -np.ones(N), "no use has"),
        ("upper", np.zeros(N), "no use has"),
        ("amplitude", np.array([0.5, 0.0]), "no use has"),
        ("active_share", np.ones(1), "no use has"),
        ("patterns", np.full((1, 2 * D), 0.5), "0 and 1"),
        ("patterns", np.zeros((10**4, 2 * D)), "patterns"),
        ("rings", np.array([0.5]), "rings"),
        ("rings", np.array([3.0]), "do not form 3 rings"),
        ("rings", np.array([4.0]), "do not form 4 rings"),
        ("evil", np.ones(1), "damaged"),
    ],
)
def test_arrays_that_are_no_reference_are_refused(reference, name, value, text):
    arrays = reference.to_arrays() | {name: value}
    with pytest.raises(UserError, match=text):
        Reference.from_arrays(arrays, N, D)


def test_gain_and_baseline_are_found_and_taken_back(reference):
    _, a = use(seed=1)
    grown = reference.rest + 1.4 * (a - reference.rest)
    noisy = np.hypot(grown, 0.08)
    found = align(noisy, reference)
    assert found.gain == pytest.approx(1.4, rel=0.05)
    np.testing.assert_allclose(found.now, np.hypot(reference.rest, 0.08), rtol=0.1)
    assert not found.dead.any()
    strong = a.max(axis=1) > 0.3
    back = found.to_reference(noisy)
    np.testing.assert_allclose(back[strong], a[strong], rtol=0.15, atol=0.05)
    np.testing.assert_allclose(found.to_reference(found.to_now(a))[strong], a[strong], rtol=1e-6)


def test_no_change_is_no_change(reference):
    _, a = use(seed=2)
    found = align(a, reference)
    assert found.gain == 1.0
    np.testing.assert_allclose(found.to_now(a), a, rtol=0.05, atol=0.01)


def test_flat_and_stuck_and_unrelated_channels_are_dead(reference):
    rng = np.random.default_rng(3)
    _, a = use(seed=3)
    a[:, 1] = 0.01 * np.abs(rng.normal(size=len(a)))
    a[:, 4] = 0.5
    a[:, 6] = np.abs(rng.normal(0.0, 0.5, len(a)))
    assert np.flatnonzero(align(a, reference).dead).tolist() == [1, 4, 6]


def test_rest_and_shared_signal_of_columns():
    rng = np.random.default_rng(4)
    common = rng.normal(size=1000)
    a = np.column_stack(
        [
            common,
            -common,
            common + 0.1 * rng.normal(size=1000),
            common,
            rng.normal(size=1000),
            np.ones(1000),
        ]
    )
    shared = shared_signal(a)
    C = np.abs(np.corrcoef(a[:, :5].T)) - np.eye(5)
    np.testing.assert_allclose(shared[:5], np.sort(C, axis=1)[:, -3:].mean(axis=1), rtol=1e-9)
    assert shared[5] == 0.0
    low = np.abs(rng.normal(size=(1000, 4))) + 1.0
    low[:300] *= 0.01
    assert (rest_level(low) < 0.1).all()


def test_windows_that_do_not_fit_are_refused():
    x, a = use(10.0)
    n = len(x)
    good = np.ones(n, dtype=bool)
    with pytest.raises(UserError, match="equally long"):
        Window(a[:-1], x, np.arange(n), good, RATE)
    with pytest.raises(UserError, match="ascend"):
        Window(a, x, np.zeros(n, dtype=int), good, RATE)
    a[5, 0] = np.nan
    good[7] = False
    assert len(Window(a, x, np.arange(n), good, RATE).usable()) == n - 2
