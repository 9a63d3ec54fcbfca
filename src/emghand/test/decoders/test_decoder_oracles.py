"""Decoders against scikit-learn, filterpy and scipy on the same data; tolerances in the tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.svm import SVR

from emghand.decoders import KalmanDecoder, RidgeDecoder
from emghand.decoders.delays import stack_delays
from emghand.decoders.kernel_ridge import KernelRidgeDecoder
from emghand.decoders.lda import LdaDecoder
from emghand.decoders.parts import kalman_model
from emghand.decoders.parts.postures import find_postures
from emghand.decoders.polynomial import PolynomialDecoder
from emghand.decoders.qda import QdaDecoder
from emghand.decoders.refit import RefitDecoder, intended
from emghand.decoders.svr import SvrDecoder
from emghand.decoders.trees import TreesDecoder
from emghand.errors import UserError

RATE = 60.0


@pytest.fixture(scope="module")
def data():
    """Two smooth DOFs in three repetitions, and noisy non-linear mixtures of them."""
    rng = np.random.default_rng(1)
    t = np.arange(450) / RATE
    X = np.stack([np.sin(2.0 * t), np.clip(1.5 * np.sin(0.9 * t), 0.0, 1.0)], axis=1)
    Z = np.tanh(X @ rng.normal(size=(2, 9))) + 0.3 * rng.normal(size=(450, 9))
    return (Z - Z.mean(axis=0)) / Z.std(axis=0), X, np.arange(450) // 150


def test_kernel_ridge_on_all_rows_equals_scikit_learn_to_1e_6(data):
    Z, X, _ = data
    delays = tuple(range(1, 11))
    decoder = KernelRidgeDecoder(gamma=0.5, penalty=1e-3, landmarks=len(Z)).fit(Z, X)
    assert decoder.delays == delays, "ten delayed copies by default"
    stacked = stack_delays(Z, delays, np.zeros(len(Z), dtype=int))
    oracle = KernelRidge(kernel="rbf", gamma=0.5 / stacked.shape[1], alpha=1e-3 * len(Z))
    wanted = oracle.fit(stacked, X - X.mean(axis=0)).predict(stacked) + X.mean(axis=0)
    np.testing.assert_allclose(decoder.predict(Z), wanted, atol=1e-6)


def test_kernel_ridge_on_a_third_of_the_rows_is_close_and_repeats_to_the_bit(data):
    Z, X, _ = data
    every, third = (KernelRidgeDecoder(gamma=0.3, landmarks=n).fit(Z, X) for n in (450, 150))
    assert len(third.coef_) == 150
    assert np.sqrt(np.mean((every.predict(Z) - third.predict(Z)) ** 2)) < 0.05
    again = KernelRidgeDecoder(gamma=0.3, landmarks=150).fit(Z, X)
    np.testing.assert_array_equal(again.coef_, third.coef_)


def test_kernel_ridge_takes_no_more_landmarks_than_a_step_has_time_for(monkeypatch, data):
    Z, X, _ = data
    monkeypatch.setattr("emghand.decoders.parts.rbf.BUDGET", 9 * 40)
    assert len(KernelRidgeDecoder(delays=()).fit(Z, X).support_) == 40
    assert len(SvrDecoder(delays=()).fit(Z, X).support_) <= 40


def test_svr_equals_scikit_learn_to_1e_9(data):
    Z, X, _ = data
    decoder = SvrDecoder(delays=(2,), gamma=0.7, cost=2.0, epsilon=0.1).fit(Z, X)
    stacked = stack_delays(Z, (2,), np.zeros(len(Z), dtype=int))
    for i in range(2):
        oracle = SVR(gamma=0.7 / 18, C=2.0, epsilon=0.1).fit(stacked, X[:, i])
        wanted = oracle.predict(stacked)
        np.testing.assert_allclose(decoder.predict(Z)[:, i], wanted, atol=1e-9)


def test_svr_bears_a_dof_that_stays_at_rest(data):
    Z, _, _ = data
    decoder = SvrDecoder().fit(Z, np.zeros((len(Z), 2)))
    np.testing.assert_allclose(decoder.predict(Z), 0.0, atol=0.1)


def test_polynomial_equals_scikit_learn_to_1e_8(data):
    Z, X, _ = data
    decoder = PolynomialDecoder(lambdas=(0.01,)).fit(Z, X)
    oracle = make_pipeline(PolynomialFeatures(2, include_bias=False), Ridge(alpha=0.01 * len(Z)))
    np.testing.assert_allclose(decoder.predict(Z), oracle.fit(Z, X).predict(Z), atol=1e-8)


def test_polynomial_uses_the_features_that_say_most(data):
    Z, X, _ = data
    rng = np.random.default_rng(0)
    noisy = np.hstack([rng.normal(size=(len(Z), 5)), Z])
    decoder = PolynomialDecoder(lambdas=(0.01,), max_features=9).fit(noisy, X)
    np.testing.assert_array_equal(decoder.used_, np.arange(5, 14))
    plain = PolynomialDecoder(lambdas=(0.01,)).fit(Z, X)
    np.testing.assert_allclose(decoder.predict(noisy), plain.predict(Z), atol=1e-10)


@pytest.mark.parametrize("method", ["extra", "boosting"])
def test_trees_equal_scikit_learn_to_1e_12(data, method):
    Z, X, _ = data
    decoder = TreesDecoder(method=method, n_trees=12, max_depth=6, seed=3).fit(Z, X)
    common = {
        "n_estimators": 12,
        "max_depth": 6,
        "min_samples_leaf": 5,
        "max_features": 0.33,
        "random_state": 3,
    }
    if method == "extra":
        wanted = ExtraTreesRegressor(**common).fit(Z, X).predict(Z)
    else:
        wanted = np.column_stack(
            [GradientBoostingRegressor(**common).fit(Z, x).predict(Z) for x in X.T]
        )
    np.testing.assert_allclose(decoder.predict(Z), wanted, atol=1e-12)
    assert decoder.importance_.sum() == pytest.approx(1.0)


def test_postures_are_the_patterns_of_dofs_away_from_rest():
    X = np.repeat([[0.0, 0.0], [0.9, 0.1], [1.0, -0.8], [-1.0, 0.0]], [50, 40, 40, 5], axis=0)
    labels, targets = find_postures(X, rest_zone=0.25, min_examples=10)
    np.testing.assert_array_equal(targets, [[0.0, 0.0], [1.0, -0.8], [0.9, 0.0]])
    np.testing.assert_array_equal(labels, np.repeat([0, 2, 1, -1], [50, 40, 40, 5]))
    with pytest.raises(UserError, match="2 are needed"):
        find_postures(X, rest_zone=0.25, min_examples=45)


def postures_of(data, two):
    Z, X, _ = data
    if two:
        X = np.column_stack([X[:, 1], np.zeros(len(X))])
    labels, targets = find_postures(X, 0.25, 30)
    assert len(targets) == 2 if two else len(targets) > 3
    return Z, X, labels, targets, labels >= 0


@pytest.mark.parametrize("two", [False, True])
def test_lda_equals_scikit_learn_to_1e_9(data, two):
    Z, X, labels, targets, known = postures_of(data, two)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    oracle.fit(Z[known], labels[known])
    np.testing.assert_array_equal(LdaDecoder().fit(Z, X).predict(Z), targets[oracle.predict(Z)])
    weighted = LdaDecoder(output="weighted").fit(Z, X).predict(Z)
    np.testing.assert_allclose(weighted, oracle.predict_proba(Z) @ targets, atol=1e-9)


@pytest.mark.parametrize("two", [False, True])
def test_qda_decides_as_scikit_learn_does(data, two):
    """In 99 of 100 rows: some releases divide a covariance by n, others by n - 1."""
    Z, X, labels, targets, known = postures_of(data, two)
    oracle = QuadraticDiscriminantAnalysis(reg_param=0.1).fit(Z[known], labels[known])
    same = (QdaDecoder().fit(Z, X).predict(Z) == targets[oracle.predict(Z)]).all(axis=1)
    assert same.mean() >= 0.99


@pytest.mark.parametrize("few", [60, 6])
def test_qda_weights_postures_by_their_densities_to_1e_9(few):
    """Of scipy; also of a posture that has fewer rows than there are features."""
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0], [1.0]], [60, few], axis=0)
    Z = rng.normal(size=(len(X), 9)) + 0.3 * X
    log = []
    for part in (Z[:60], Z[60:]):
        covariance = 0.7 * np.cov(part, rowvar=False, bias=True) + 0.3 * np.eye(9)
        density = multivariate_normal(part.mean(axis=0), covariance)
        log.append(density.logpdf(Z) + np.log(len(part) / len(X)))
    decoder = QdaDecoder(shrinkage=0.3, output="weighted", min_examples=5).fit(Z, X)
    weighted = 1.0 / (1.0 + np.exp(log[0] - log[1]))
    np.testing.assert_allclose(decoder.predict(Z)[:, 0], weighted, atol=1e-9)


@pytest.mark.parametrize("cls", [LdaDecoder, QdaDecoder])
def test_an_uncertain_decision_is_rejected_and_the_last_one_holds(data, cls):
    Z, X, *_ = postures_of(data, False)
    sure, plain = (cls(min_probability=p).fit(Z, X).predict(Z) for p in (0.9, 0.0))
    weighted = cls(output="weighted").fit(Z, X)
    assert (weighted.predict(Z) != plain).any()
    held = (sure[1:] == sure[:-1]).all(axis=1)
    taken = (sure[1:] == plain[1:]).all(axis=1)
    assert (held | taken).all()
    assert (held & ~taken).any()


def full_model(Z, X):
    """A, a, W, H, h, Q as `KalmanDecoder` fits them."""
    follows = np.arange(len(X)) > 0
    transition = kalman_model.fit_transition(X, follows)
    observation = kalman_model.fit_observation(Z, X)
    residual = Z - X @ observation.H.T - observation.h
    Q = ledoit_wolf(residual, assume_centered=True)[0] + 1e-6 * np.eye(Z.shape[1])
    return transition, observation, Q


def test_standard_kalman_equals_filterpy_to_1e_9(data):
    filterpy = pytest.importorskip("filterpy.kalman")
    Z, X, _ = data
    decoder = KalmanDecoder(process_gains=(3.0,), gain="standard", low=(-100.0,), high=(100.0,))
    transition, observation, Q = full_model(Z, X)
    oracle = filterpy.KalmanFilter(dim_x=2, dim_z=9, dim_u=2)
    oracle.F, oracle.Q = transition.A, 3.0 * transition.W
    oracle.H, oracle.R = observation.H, Q
    oracle.B, oracle.P = np.eye(2), np.zeros((2, 2))
    oracle.x = np.zeros(2)
    wanted = []
    for z in Z:
        oracle.predict(u=transition.a)
        oracle.update(z - observation.h)
        wanted.append(oracle.x.copy())
    np.testing.assert_allclose(decoder.fit(Z, X).predict(Z), wanted, atol=1e-9)


def test_steady_gain_equals_scipys_riccati_solution_to_1e_9(data):
    Z, X, _ = data
    decoder = KalmanDecoder(process_gains=(3.0,)).fit(Z, X)
    transition, observation, Q = full_model(Z, X)
    H = observation.H
    P = solve_discrete_are(transition.A.T, H.T, 3.0 * transition.W, Q)
    K = P @ H.T @ np.linalg.inv(H @ P @ H.T + Q)
    np.testing.assert_allclose(decoder.gain_, K, atol=1e-9)
    wanted = (np.eye(2) - K @ H) @ transition.A
    np.testing.assert_allclose(decoder.transition_, wanted, atol=1e-9)


def test_the_standard_gain_settles_at_the_steady_one(data):
    Z, X, _ = data
    steady, standard = (
        KalmanDecoder(process_gains=(3.0,), gain=g).fit(Z, X).predict(Z)
        for g in ("steady", "standard")
    )
    assert np.abs(steady - standard)[:5].max() > 1e-3
    np.testing.assert_allclose(steady[-200:], standard[-200:], atol=1e-9)


def test_intent_heads_for_the_target_with_the_speed_of_the_estimate():
    x_hat = np.array([[0.0, 0.0], [0.3, 0.4], [0.3, 0.4], [0.9, 0.4]])
    target = np.array([[0.1, 0.2], [1.0, 0.0], [1.0, 0.4], [0.5, 0.4]])
    follows = np.array([False, True, True, True])
    wanted = [
        [0.1, 0.2],  # nothing came before
        [0.5, 0.0],  # as far, but towards the target
        [0.3, 0.4],  # no step, no intent to move
        [0.5, 0.4],  # not beyond the target
    ]
    np.testing.assert_allclose(intended(x_hat, target, follows), wanted)


def test_refit_with_the_truth_as_intent_is_the_plain_fit_with_a_and_w_kept(data):
    Z, X, groups = data
    follows = np.arange(len(X)) > 0
    np.testing.assert_array_equal(intended(X, X, follows), X)
    plain = KalmanDecoder(process_gains=(3.0,)).fit(Z, X, groups)
    refit = RefitDecoder(process_gains=(3.0,)).fit(Z, X, groups)
    assert np.abs(refit.gain_ - plain.gain_).max() > 1e-3, "refitted to another intent"
    transition = kalman_model.fit_transition(X, follows)
    before = refit.motion_.copy(), refit.motion_offset_.copy(), refit.noise_.copy()
    refit.refit(Z, X)
    np.testing.assert_allclose(refit.gain_, plain.gain_, atol=1e-12)
    np.testing.assert_allclose(refit.transition_, plain.transition_, atol=1e-12)
    for kept, fitted, wanted in zip(
        before,
        (refit.motion_, refit.motion_offset_, refit.noise_),
        (transition.A, transition.a, transition.W),
        strict=True,
    ):
        np.testing.assert_array_equal(kept, fitted)
        np.testing.assert_array_equal(fitted, wanted)


@pytest.mark.parametrize("cls", [RidgeDecoder, KalmanDecoder])
def test_a_differential_decoder_learns_velocities_and_integrates_them(data, cls):
    Z, X, groups = data
    V = np.diff(X, axis=0, prepend=X[:1]) * RATE
    features = np.hstack([V, Z])
    decoder = cls(differential=True, tick_rate=RATE).fit(features, X, groups)
    x_hat = decoder.predict(features)
    np.testing.assert_allclose(x_hat, X - X[0], atol=0.1)


def test_a_differential_decoder_does_not_wind_up():
    rng = np.random.default_rng(0)
    V = rng.normal(size=(400, 1))
    X = np.cumsum(V, axis=0) / RATE
    decoder = RidgeDecoder(
        differential=True, tick_rate=RATE, low=(0.0,), high=(1.0,), lambdas=(1e-9,)
    ).fit(V, X)
    out = decoder.predict(np.concatenate([np.full((600, 1), 5.0), np.full((30, 1), -1.0)]))
    assert out.max() == 1.0
    assert out[599 + 30, 0] == pytest.approx(1.0 - 30 / RATE, abs=1e-3), "turns back at once"
    np.testing.assert_array_equal(decoder.predict(np.full((9, 1), -5.0)), 0.0)


def test_a_differential_decoder_learns_nothing_from_jumps_between_segments():
    rng = np.random.default_rng(0)
    V = rng.normal(size=(400, 1))
    X = np.cumsum(V, axis=0) / RATE
    jumps = X + np.repeat([0.0, 50.0], 200)[:, None]
    segments = np.repeat([0, 1], 200)
    a, b = (
        RidgeDecoder(differential=True, tick_rate=RATE).fit(V, x, segments=segments)
        for x in (X, jumps)
    )
    np.testing.assert_allclose(a.coef_, b.coef_, atol=1e-12)


def test_a_differential_decoder_needs_the_tick_rate(data):
    with pytest.raises(UserError, match="tick_rate must be"):
        RidgeDecoder(differential=True).fit(*data)
