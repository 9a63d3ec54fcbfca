"""The simpler rules against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from known_courses import KINDS, KnownSegment, known_segments, mean_r2, part, resting, rule

from emghand.adapt.rules import RULES, LabelledWindow
from emghand.adapt.rules.labels import minimum_jerk, movement_labels, prompt_labels
from emghand.decoders import KalmanDecoder, RidgeDecoder
from emghand.decoders.parts import kalman_model
from emghand.training import shifted


@pytest.mark.parametrize("kind", KINDS)
def test_relabelling_of_true_segments_equals_the_supervised_fit(person, models, drifted, kind):
    """The synthetic person moves with minimum jerk: here the profile is the truth."""
    model = models[kind]
    window, truth = drifted(model)
    labels = movement_labels(window, known_segments(truth, window.ticks), 0.2)
    np.testing.assert_array_equal(labels.rows, np.arange(len(window)))
    np.testing.assert_allclose(labels.X, truth, atol=1e-12)
    relabelled = rule("relabel", model, person, truth, calibration_weight=0.0).propose(window)
    known = LabelledWindow(**vars(window), x_d=truth)
    supervised = rule("supervised", model, person).propose(known)
    for name, value in supervised.model.decoder.to_arrays().items():
        np.testing.assert_allclose(relabelled.model.decoder.to_arrays()[name], value, atol=1e-8)
    assert mean_r2(supervised.model, window, truth) > mean_r2(model, window, truth) + 0.02


def examples(person, model, window, truth):
    """Calibration and use, normalised, one below the other."""
    data = person.dataset
    Z = model.normaliser.apply(np.vstack([data.Z[data.use], window.Z]))
    return Z, np.vstack([shifted(data, model.lag_s)[data.use], truth])


def test_rls_that_forgets_nothing_equals_ridge_of_all_examples(person, models, drifted):
    model = models["ridge"]
    window, truth = drifted(model)
    learner = rule("rls", model, person, truth, forgetting=1.0)
    learner.propose(part(window, 0, resting(truth, 3000)))
    found = learner.propose(window).model.decoder
    Z, X = examples(person, model, window, truth)
    batch = RidgeDecoder(lambdas=tuple(model.decoder.lambda_)).fit(Z, X)
    np.testing.assert_allclose(found.coef_, batch.coef_, atol=1e-8)
    np.testing.assert_allclose(found.intercept_, batch.intercept_, atol=1e-8)


def test_rls_weighs_each_example_by_the_forgetting_to_the_power_of_its_age(person, models, drifted):
    model = models["ridge"]
    window, truth = drifted(model)
    found = rule("rls", model, person, truth, forgetting=0.999).propose(window).model.decoder
    Z, X = examples(person, model, window, truth)
    m = len(window)
    weights = np.concatenate([np.full(len(Z) - m, 0.999**m), 0.999 ** np.arange(m - 1.0, -1, -1)])
    U = np.hstack([Z, np.ones((len(Z), 1))])
    penalty = np.diag(np.append(np.full(Z.shape[1], model.decoder.lambda_[0] * weights.sum()), 0.0))
    theta = np.linalg.solve((U * weights[:, None]).T @ U + penalty, (U * weights[:, None]).T @ X)
    np.testing.assert_allclose(found.coef_, theta[:-1].T, atol=1e-8)
    np.testing.assert_allclose(found.intercept_, theta[-1], atol=1e-8)


def test_rls_of_a_kalman_filter_that_forgets_nothing_has_the_observation_model_of_all_examples(
    person, models, drifted
):
    model = models["kalman"]
    window, truth = drifted(model)
    learner = rule("rls", model, person, truth, forgetting=1.0)
    learner.propose(window)
    Z, X = examples(person, model, window, truth)
    batch = kalman_model.fit_observation(Z, X)
    np.testing.assert_allclose(learner._parameters["H"], batch.H, atol=1e-8)
    np.testing.assert_allclose(learner._parameters["h"], batch.h, atol=1e-8)


@pytest.mark.parametrize("name", ["rls", "smooth_batch", "relabel"])
def test_what_all_kalman_rules_start_from_is_the_calibrated_filter(person, models, name):
    model = models["kalman"]
    linear = rule(name, model, person).linear
    decoder = linear.decoder(linear.start)
    for array, value in model.decoder.to_arrays().items():
        np.testing.assert_allclose(getattr(decoder, array), value, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_smooth_batch_without_smoothing_equals_the_batch_fit_and_with_it_lies_between(
    person, models, drifted, kind
):
    model = models[kind]
    window, truth = drifted(model)
    batch = rule("relabel", model, person, truth).propose(window).model.decoder.to_arrays()
    smooth = {
        beta: rule("smooth_batch", model, person, truth, beta=beta).propose(window).model.decoder
        for beta in (0.0, 0.5, 1.0)
    }
    for name, value in batch.items():
        np.testing.assert_allclose(getattr(smooth[0.0], name), value, atol=1e-8)
        start = model.decoder.to_arrays()[name]
        np.testing.assert_allclose(getattr(smooth[1.0], name), start, atol=1e-8)
        if kind == "ridge":
            np.testing.assert_allclose(getattr(smooth[0.5], name), (start + value) / 2, atol=1e-8)


def test_two_batches_are_averaged_with_weights_that_halve(person, models, drifted):
    model = models["ridge"]
    window, truth = drifted(model)
    middle = resting(truth, 3600)
    parts = [part(window, 0, middle), part(window, middle, len(window))]
    a, b = (rule("relabel", model, person, truth).propose(p).model.decoder.coef_ for p in parts)
    smooth = rule("smooth_batch", model, person, truth, beta=0.5)
    for p in parts:
        last = smooth.propose(p).model.decoder.coef_
    np.testing.assert_allclose(last, model.decoder.coef_ / 4 + a / 4 + b / 2, atol=1e-8)


def loss(decoder, model, window, truth):
    Z = model.normaliser.apply(window.Z)
    if isinstance(decoder, RidgeDecoder):
        return float(((Z @ decoder.coef_.T + decoder.intercept_ - truth) ** 2).mean())
    x = Z[1:] @ decoder.gain_.T + decoder.offset_ + truth[:-1] @ decoder.transition_.T
    return float(((x - truth[1:]) ** 2).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_step_over_all_ticks_lowers_their_error_and_more_steps_lower_it_more(
    person, models, drifted, kind
):
    model = models[kind]
    window, truth = drifted(model, 60.0)
    known = LabelledWindow(**vars(window), x_d=truth)
    errors = [loss(model.decoder, model, window, truth)]
    for passes in (1, 2, 20):
        values = {"labels": "prompts", "step_ticks": 100_000, "rate": 1.0, "passes": passes}
        found = rule("gradient", model, person, **values).propose(known)
        errors.append(loss(found.model.decoder, model, window, truth))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.999 * errors[0]


def test_small_stochastic_steps_recover_what_drift_has_cost(person, models, drifted):
    model = models["ridge"]
    window, truth = drifted(model, 240.0)
    found = rule("gradient", model, person, truth, passes=10).propose(window)
    assert loss(found.model.decoder, model, window, truth) < 0.8 * loss(
        model.decoder, model, window, truth
    )


def test_prompts_are_taken_from_before_the_tick_and_never_across_a_gap(person, models, drifted):
    window, _ = drifted(models["ridge"], 60.0)
    kept = np.r_[0:400, 500:1000]
    x_d = np.sin(window.ticks / 30.0)[:, None] * np.ones(3)
    x_d[700:720] = np.nan
    known = LabelledWindow(
        *(v[kept] for v in (window.Z, window.x_hat, window.ticks, window.good)),
        window.tick_rate,
        x_d[kept],
    )
    found = prompt_labels(known, 10 / window.tick_rate)
    ticks = known.ticks[found.rows]
    expected = np.r_[10:400, 510:710, 730:1000]
    np.testing.assert_array_equal(ticks, expected)
    np.testing.assert_allclose(found.X[:, 0], np.sin((ticks - 10) / 30.0), atol=1e-9)
    assert len(np.unique(found.piece)) == 3


def test_ends_near_rest_are_at_rest_and_what_does_not_move_is_held(person, models, drifted):
    window, _ = drifted(models["ridge"], 60.0)
    moving = np.array([True, False, False])
    x0, x_f = np.array([0.15, 0.6, -0.1]), np.array([0.8, 0.7, -0.3])
    segment = KnownSegment("movement", 100, 160, x0, x_f, moving)
    plateau = KnownSegment("plateau", 160, 200, x_f, x_f, np.zeros(3, dtype=bool))
    found = movement_labels(window, [segment, plateau], 0.2)
    np.testing.assert_array_equal(found.rows, np.arange(100, 201))
    x_held = np.array([0.0, 0.6, 0.0])
    s = minimum_jerk(np.arange(61) / 60.0)
    np.testing.assert_allclose(found.X[:61], np.outer(s, [0.8, 0, 0]) + x_held)
    np.testing.assert_allclose(found.X[61:], np.tile([0.8, 0.7, -0.3], (40, 1)))
    np.testing.assert_array_equal(found.piece, np.repeat([0, 1], [61, 40]))


def test_training_on_its_own_output_leaves_a_perfect_decoder_where_it_is(person, models, drifted):
    """Ridge without penalty reproduces what it made itself."""
    model = person.model("ridge", params={"lambdas": (1e-12,)})
    window, truth = drifted(model)
    values = {"labels": "output", "calibration_weight": 0.0}
    found = rule("relabel", model, person, truth, **values).propose(window)
    np.testing.assert_allclose(found.model.decoder.coef_, model.decoder.coef_, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in RULES if n != "gradient"])
def test_a_kalman_filter_with_the_standard_gain_adapts_as_the_steady_one(
    person, models, drifted, name
):
    model = models["standard"]
    window, truth = drifted(model)
    known = LabelledWindow(**vars(window), x_d=truth)
    found = rule(name, model, person, truth).propose(known).model
    steady = rule(name, models["kalman"], person, truth).propose(known).model
    assert isinstance(found.decoder, KalmanDecoder)
    Z = window.Z[:1200]
    here, there = (m.decoder.predict(m.normaliser.apply(Z))[600:] for m in (found, steady))
    np.testing.assert_allclose(here, there, atol=1e-3)
