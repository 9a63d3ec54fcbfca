"""Decoders against closed forms and reference implementations, and their streaming."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from emghand.decoders import KalmanDecoder, RidgeDecoder, decoder_class, decoder_kinds
from emghand.decoders.delays import DelayLine, stack_delays
from emghand.errors import UserError

MAKERS = [
    lambda: RidgeDecoder(),
    lambda: RidgeDecoder(delays=(2, 5)),
    lambda: KalmanDecoder(),
    lambda: KalmanDecoder(delays=(3,), low=(-1.0, 0.0), process_gains=(1.0, 30.0)),
]


def movements(m=900, n=12, noise=1.0, seed=0, lag=0):
    """Two smooth DOFs in three repetitions, and noisy mixtures of them."""
    rng = np.random.default_rng(seed)
    t = np.arange(m) / 60.0
    X = np.stack([np.sin(2.0 * t), np.clip(np.sin(0.7 * t), 0.0, 1.0)], axis=1)
    Z = np.roll(X, lag, axis=0) @ rng.normal(size=(2, n)) + noise * rng.normal(size=(m, n))
    return (Z - Z.mean(axis=0)) / Z.std(axis=0), X, np.arange(m) // (m // 3)


def r2(X, P):
    return 1.0 - ((X - P) ** 2).sum(axis=0) / ((X - X.mean(axis=0)) ** 2).sum(axis=0)


@pytest.mark.parametrize("make", MAKERS)
def test_predict_repeats_step_bit_for_bit_and_leaves_the_state_alone(make):
    Z, X, groups = movements()
    decoder = make().fit(Z, X, groups)
    for z in Z[:7]:
        decoder.step(z)
    before = decoder.step(Z[7])
    state = decoder.state()
    batch = decoder.predict(Z)
    for key, value in decoder.state().items():
        np.testing.assert_array_equal(value, state[key])
    decoder.reset()
    streamed = np.array([decoder.step(z.copy()) for z in Z])
    np.testing.assert_array_equal(batch, streamed)
    np.testing.assert_array_equal(batch[7], before)


@pytest.mark.parametrize("make", MAKERS)
def test_a_state_continues_bit_for_bit_in_another_copy(make):
    Z, X, groups = movements()
    decoder = make().fit(Z, X, groups)
    copy = decoder_class(decoder.kind).from_arrays(decoder.get_params(), decoder.to_arrays())
    for z in Z[:50]:
        decoder.step(z)
    copy.set_state(decoder.state())
    for z in Z[50:90]:
        np.testing.assert_array_equal(decoder.step(z), copy.step(z))


@pytest.mark.parametrize("make", MAKERS)
def test_decoders_generalise_to_an_unseen_repetition(make):
    Z, X, groups = movements(noise=0.3)
    seen = groups < 2
    decoder = make().fit(Z[seen], X[seen], groups[seen])
    assert (r2(X[~seen], decoder.predict(Z[~seen])) > 0.75).all()


@pytest.mark.parametrize("make", MAKERS)
def test_segments_restart_the_decoder(make):
    Z, X, groups = movements(m=300)
    decoder = make().fit(Z, X, groups)
    segments = np.repeat([0, 1], 150)
    whole = decoder.predict(Z, segments)
    np.testing.assert_array_equal(whole[150:], decoder.predict(Z[150:]))


@pytest.mark.parametrize("make", MAKERS)
def test_rows_that_are_not_used_teach_nothing(make):
    Z, X, groups = movements()
    use = np.ones(len(Z), dtype=bool)
    use[100:200] = False
    wrong = X.copy()
    wrong[100:200] = np.nan
    a = make().fit(Z, X, groups, use=use)
    b = make().fit(Z, wrong, groups, use=use)
    for name, value in a.to_arrays().items():
        np.testing.assert_array_equal(value, b.to_arrays()[name])


@given(st.sampled_from([(), (1,), (2, 7)]), st.integers(1, 30), st.integers(0, 100))
@settings(max_examples=40)
def test_stacked_delays_equal_the_delay_line(delays, m, seed):
    rng = np.random.default_rng(seed)
    Z, segments = rng.normal(size=(m, 3)), np.sort(rng.integers(0, 3, m))
    line, streamed = DelayLine(3, delays), []
    for i, z in enumerate(Z):
        if i and segments[i] != segments[i - 1]:
            line.reset()
        streamed.append(line.push(z).copy())
    np.testing.assert_array_equal(stack_delays(Z, delays, segments), streamed)


@pytest.mark.parametrize("delays", [(0,), (3, 2), (2, 2), (1.5,), (5000,), (True,)])
def test_delays_that_make_no_sense_are_refused(delays):
    Z, X, _ = movements(m=60)
    with pytest.raises(UserError, match="delays"):
        RidgeDecoder(delays=delays).fit(Z, X)


def test_ridge_equals_scikit_learn_at_the_same_penalty():
    Z, X, _ = movements()
    X = X + 3.0
    decoder = RidgeDecoder(lambdas=(0.1,)).fit(Z, X)
    reference = Ridge(alpha=0.1 * len(Z)).fit(Z, X)
    np.testing.assert_allclose(decoder.coef_, reference.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(decoder.intercept_, reference.intercept_, rtol=1e-9)


def test_ridge_chooses_the_penalty_that_a_naive_search_finds():
    Z, X, groups = movements(noise=8.0)
    lambdas = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    errors = []
    for penalty in lambdas:
        error = 0.0
        for g in range(3):
            out = groups == g
            fitted = Ridge(alpha=penalty * (~out).sum()).fit(Z[~out], X[~out])
            error += (((X[out] - fitted.predict(Z[out])) ** 2) / X.var(axis=0)).sum()
        errors.append(error)
    decoder = RidgeDecoder(lambdas=lambdas).fit(Z, X, groups)
    assert decoder.lambda_[0] == lambdas[int(np.argmin(errors))]


def test_ridge_with_more_features_than_examples_is_finite():
    rng = np.random.default_rng(0)
    decoder = RidgeDecoder().fit(rng.normal(size=(40, 100)), rng.normal(size=(40, 2)))
    assert np.isfinite(decoder.coef_).all()


def textbook_kalman(Z, X, low, high, iterations=3000):
    """The usual formulation: constant-1 state, samples in columns, iterated gain."""
    x = np.vstack([X.T, np.ones(len(X))])
    z = Z.T
    x1, x2, m = x[:, :-1], x[:, 1:], x.shape[1]
    A = x2 @ x1.T @ np.linalg.pinv(x1 @ x1.T)
    W = (x2 @ x2.T - A @ x1 @ x2.T) / (m - 2)
    W = (W + W.T) / 2
    H = z @ x.T @ np.linalg.pinv(x @ x.T)
    Q = (z @ z.T - H @ x @ z.T) / m
    P = np.diag(np.append(np.ones(X.shape[1]), 0.0))
    identity = np.eye(len(A))
    for _ in range(iterations):
        P = A @ P @ A.T + W
        K = P @ H.T @ np.linalg.pinv(H @ P @ H.T + Q)
        P = (identity - K @ H) @ P
    state, out = np.append(np.zeros(X.shape[1]), 1.0), []
    for column in z.T:
        state = (A - K @ H @ A) @ state + K @ column
        state[:-1] = np.clip(state[:-1], low, high)
        state[-1] = 1.0
        out.append(state[:-1].copy())
    return np.array(out)


def test_kalman_equals_the_textbook_recursion_with_a_constant_state(monkeypatch):
    """Without regularisation; with it the estimates differ by little (next test)."""
    monkeypatch.setattr("emghand.decoders.kalman.FLOOR", 1e-13)
    monkeypatch.setattr(
        "sklearn.covariance.ledoit_wolf", lambda R, assume_centered: (R.T @ R / len(R), 0.0)
    )
    Z, X, _ = movements()
    ours = KalmanDecoder(process_gains=(1.0,)).fit(Z, X).predict(Z)
    np.testing.assert_allclose(ours, textbook_kalman(Z, X, -1.0, 1.0), atol=2e-6)


def test_regularisation_changes_a_well_posed_kalman_filter_by_little():
    Z, X, _ = movements()
    ours = KalmanDecoder(process_gains=(1.0,)).fit(Z, X).predict(Z)
    assert np.abs(ours - textbook_kalman(Z, X, -1.0, 1.0)).max() < 0.05


def test_kalman_state_is_clipped_before_it_recurs():
    Z, X, _ = movements()
    decoder = KalmanDecoder(low=(-1.0, 0.0)).fit(Z, X)
    out = decoder.predict(np.vstack([50.0 * Z[:100], Z]))
    assert (out >= [-1.0, 0.0]).all()
    assert (out <= 1.0).all()
    np.testing.assert_allclose(out[-300:], decoder.predict(Z)[-300:], atol=1e-9)


def test_kalman_bears_more_features_than_examples_dead_features_and_a_dof_at_rest():
    Z, X, _ = movements(m=60, n=100)
    Z[:, 3] = 0.0
    X = np.hstack([X, np.zeros((60, 1))])
    decoder = KalmanDecoder().fit(Z, X)
    out = decoder.predict(Z)
    assert np.isfinite(out).all()
    assert np.abs(out[:, 2]).max() < 1e-6
    assert not decoder.gain_[:, 3].any()


def test_larger_process_gains_follow_faster():
    Z, X, _ = movements(noise=3.0)
    slow, fast = (KalmanDecoder(process_gains=(g,)).fit(Z, X) for g in (0.1, 100.0))
    assert np.linalg.norm(slow.gain_) < np.linalg.norm(fast.gain_)


@pytest.mark.parametrize("kind", ["ridge", "kalman"])
def test_every_kind_is_in_the_registry(kind):
    assert kind in decoder_kinds()
    assert decoder_class(kind).kind == kind


@pytest.mark.parametrize("kind", ["", "base", "registry", "os", "../ridge", "ridge.x"])
def test_nothing_else_is_in_the_registry(kind):
    with pytest.raises(UserError, match="unknown"):
        decoder_class(kind)


def test_parameters_are_read_and_set_by_name():
    decoder = RidgeDecoder().set_params(delays=(4,))
    assert decoder.get_params()["delays"] == (4,)
    with pytest.raises(UserError, match="unknown parameter penalty"):
        decoder.set_params(penalty=1.0)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda Z, X: (Z[:10], X), "needs features"),
        (lambda Z, X: (np.where(Z[3, 3] == Z, np.nan, Z), X), "not finite"),
        (lambda Z, X: (Z, np.where(X[3, 0] == X, np.inf, X)), "not finite"),
        (lambda Z, X: (Z[:1], X[:1]), "at least 2"),
    ],
)
def test_bad_training_data_are_refused(make, spoil, match):
    with pytest.raises(UserError, match=match):
        make().fit(*spoil(*movements()[:2]))


@pytest.mark.parametrize("make", MAKERS)
def test_arrays_that_do_not_fit_are_refused(make):
    Z, X, groups = movements()
    decoder = make().fit(Z, X, groups)
    for name, value in decoder.to_arrays().items():
        arrays = decoder.to_arrays()
        for wrong in (value[None], value[:0], np.full_like(value, np.nan)):
            with pytest.raises(UserError, match=name):
                type(decoder).from_arrays(decoder.get_params(), arrays | {name: wrong})
        del arrays[name]
        with pytest.raises(UserError, match="expects the arrays"):
            type(decoder).from_arrays(decoder.get_params(), arrays)


class OwnSizes(RidgeDecoder):
    kind = "own_sizes"
    learned: ClassVar[dict[str, str]] = {"coef_": "df", "bag_": "kf", "weight_": "kj", "one_": "1"}

    def _estimate(self, z):
        return np.einsum("df,f->d", self.coef_, z)


def test_sizes_of_a_decoders_own_are_held_against_each_other():
    good = {
        "coef_": np.ones((2, 3)),
        "bag_": np.ones((4, 3)),
        "weight_": np.ones((4, 5)),
        "one_": np.ones(1),
    }
    assert OwnSizes.from_arrays({}, good).n_dofs_ == 2
    for name, shape in (
        ("bag_", (4, 2)),
        ("bag_", (5, 3)),
        ("weight_", (3, 5)),
        ("weight_", (4, 0)),
        ("weight_", (4,)),
        ("one_", (2,)),
    ):
        with pytest.raises(UserError, match="has shape"):
            OwnSizes.from_arrays({}, good | {name: np.ones(shape)})
