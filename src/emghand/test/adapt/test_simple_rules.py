"""The simpler rules against closed forms, and what none of them may do."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from emghand.adapt.companion import companion_of, companion_path, save_companion
from emghand.adapt.memory import MemorySettings, ReplayMemory
from emghand.adapt.rules import RULES, LabelledWindow, RelabelRule, RelabelSettings, make_rule
from emghand.adapt.rules.labels import minimum_jerk, movement_labels, prompt_labels
from emghand.adapt.window import Window
from emghand.decoders import KalmanDecoder, RidgeDecoder
from emghand.decoders.parts import kalman_model
from emghand.errors import UserError
from emghand.simulate.drift import Drift
from emghand.storage.models import save_model
from emghand.training import shifted
from emghand.training.dataset import Dataset

KINDS = ("ridge", "kalman")
CHAINED = ("rls", "smooth_batch", "gradient")


@dataclass(frozen=True)
class KnownSegment:
    """The fields of a segment of the detector."""

    kind: str
    t0_tick: int
    t1_tick: int
    x0: np.ndarray
    x_f: np.ndarray
    moving: np.ndarray


def known_segments(x, ticks):
    """Movements and rests of a course without noise."""
    goes = np.abs(np.diff(x, axis=0)).max(axis=1) > 0.0
    edges = np.flatnonzero(np.diff(goes.astype(int), prepend=2, append=2))
    found = []
    for a, b in itertools.pairwise(edges):
        moving = np.abs(x[b] - x[a]) > 0.0
        kind = "movement" if moving.any() else "plateau"
        found.append(KnownSegment(kind, int(ticks[a]), int(ticks[b]), x[a], x[b], moving))
    return found


@pytest.fixture(scope="module")
def models(person):
    standard = person.model("kalman", params={"gain": "standard"})
    return {kind: person.model(kind) for kind in KINDS} | {"standard": standard}


@pytest.fixture(scope="module")
def drifted(person):
    """Two minutes of use with a changed gain of each electrode; a window and the truth."""
    rng = np.random.default_rng(5)
    none = Drift.none(person.arm.n_electrodes)
    gain = np.exp(rng.normal(0.0, 0.35, person.arm.n_electrodes))
    drift = dataclasses.replace(none, gain=gain)

    def make(model, seconds=120.0, run=0):
        return person.use(model, seconds, run, drift)

    return make


def rule(name, model, person, truth=None, /, **values):
    """A rule; with the truth it learns from the true segments."""

    def segmenter(window):
        rows = np.isin(np.arange(len(truth)), window.ticks)
        return known_segments(truth[rows], np.arange(len(truth))[rows])

    options = {} if truth is None else {"segmenter": segmenter}
    return make_rule(name, model, person.dataset, values, **options)


def part(window, start, stop):
    rows = slice(start, stop)
    return Window(
        *(getattr(window, n)[rows] for n in ("Z", "x_hat", "ticks", "good")), window.tick_rate
    )


def resting(truth, first):
    """A tick from `first` on at which nothing moves, nor soon before or after."""
    still = [i for i in range(first, len(truth) - 20) if not truth[i - 20 : i + 20].any()]
    return still[0]


def bits(model):
    return {k: v.tobytes() for k, v in model.decoder.to_arrays().items()}


def mean_r2(model, window, truth):
    x = model.decoder.predict(model.normaliser.apply(window.Z))
    return float(np.mean(1 - ((truth - x) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)))


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(RULES))
def test_only_rows_of_dofs_that_moved_change_when_asked(person, models, drifted, kind, name):
    model = models[kind]
    window, truth = drifted(model)
    still = 1
    truth = truth.copy()
    truth[:, still] = 0.0
    x_d = {"x_d": truth}
    known = LabelledWindow(**vars(window), **x_d)
    values = {"moving_dofs_only": True}
    found = rule(name, model, person, truth, **values).propose(known).model.decoder
    free = rule(name, model, person, truth)
    # Without calibration data a DOF that did not move is not fitted at all.
    everything = free.propose(known).model
    for array in free.linear.rows:
        new, old = getattr(found, array), getattr(model.decoder, array)
        assert new[still].tobytes() == old[still].tobytes()
        for row in (0, 2):
            assert new[row].tobytes() != old[row].tobytes() or (
                (name, array) == ("gradient", "transition_")
            )
        if everything is not None and array != "transition_":
            changed = getattr(everything.decoder, array)[still]
            assert changed.tobytes() != old[still].tobytes()
    assert (everything is None) == (name == "supervised")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CHAINED)
def test_chained_rules_go_on_from_the_last_and_can_be_undone_to_the_bit(
    person, models, drifted, kind, name
):
    model = models[kind]
    before = bits(model)
    window, truth = drifted(model)
    learner = rule(name, model, person, truth)
    first, whole = part(window, 0, resting(truth, 3600)), window
    a = learner.propose(first).model
    b = learner.propose(whole).model
    assert bits(a) != bits(b)
    assert learner.propose(whole).model is None, "nothing new"
    assert learner.model is model
    assert bits(model) == before
    learner.undo()
    assert bits(learner.propose(first).model) == bits(a)
    assert bits(learner.propose(whole).model) == bits(b)
    alone = rule(name, model, person, truth).propose(whole).model
    if name != "rls":
        assert bits(alone) != bits(b)


@pytest.mark.parametrize("name", ["relabel", "supervised"])
def test_the_others_start_from_the_calibration_each_time(person, models, drifted, name):
    model = models["kalman"]
    window, truth = drifted(model)
    known = LabelledWindow(**vars(window), x_d=truth)
    learner = rule(name, model, person, truth)
    first = bits(learner.propose(known).model)
    learner.propose(dataclasses.replace(known, Z=2.0 * known.Z))
    assert bits(learner.propose(known).model) == first


@pytest.mark.parametrize("name", list(RULES))
def test_a_proposal_names_its_rule_and_leaves_what_it_was_given_alone(
    person, models, drifted, name
):
    model = models["kalman"]
    window, truth = drifted(model, 60.0)
    known = LabelledWindow(**vars(window), x_d=truth)
    kept = {k: np.array(v) for k, v in vars(known).items()}
    data = {k: np.array(v) for k, v in vars(person.dataset).items() if isinstance(v, np.ndarray)}
    learner = make_rule(
        name,
        model,
        person.dataset,
        {"labels": "prompts"},
        score=lambda m, w: mean_r2(m, w, truth),
    )
    found = learner.propose(known)
    assert (found.rule, found.chosen) == (name, name)
    assert [s.name for s in found.scores] == ["calibration", name]
    assert found.scores[0].plausibility == mean_r2(model, window, truth)
    assert found.model.model_id != model.model_id
    assert found.model.scores["adapted"] == {"rule": name, "from": model.model_id}
    assert (found.changes.gain == 1.0).all()
    for k, v in kept.items():
        np.testing.assert_array_equal(getattr(known, k), v)
    for k, v in data.items():
        np.testing.assert_array_equal(getattr(person.dataset, k), v)


@pytest.mark.parametrize("name", list(RULES))
def test_ticks_that_are_bad_or_not_finite_teach_nothing(person, models, drifted, name):
    model = models["kalman"]
    window, truth = drifted(model, 60.0)
    good = np.ones(len(window), dtype=bool)
    good[500:900] = False
    good[1200] = False

    def learned(Z, x_hat, good):
        known = LabelledWindow(Z, x_hat, window.ticks, good, window.tick_rate, truth)
        return rule(name, model, person, truth).propose(known).model

    clean = learned(window.Z, window.x_hat, good)
    Z, x_hat = window.Z.copy(), window.x_hat.copy()
    Z[500:900], x_hat[600], Z[1200, 3] = 1e6, np.nan, np.nan
    assert bits(learned(Z, x_hat, good)) == bits(clean)
    unnoticed = good.copy()
    unnoticed[1200] = True
    assert bits(learned(Z, x_hat, unnoticed)) == bits(clean)


@pytest.mark.parametrize("name", list(RULES))
def test_what_cannot_be_learned_from_is_refused_with_the_reason(person, models, drifted, name):
    model = models["kalman"]
    window, truth = drifted(model, 60.0)
    known = LabelledWindow(**vars(window), x_d=truth)
    learner = rule(name, model, person, truth)
    few = rule(name, model, person, truth, least_s=100.0).propose(known)
    assert few.model is None
    assert "s are needed" in few.cause
    dead = learner.propose(dataclasses.replace(known, good=np.zeros(len(known), dtype=bool)))
    assert dead.model is None
    assert dead.cause.startswith("only 0.0 s of labelled use")
    narrow = LabelledWindow(
        window.Z[:, :5], window.x_hat, window.ticks, window.good, window.tick_rate, truth
    )
    assert "5 features" in learner.propose(narrow).cause
    assert learner.propose(known).model is not None, "the rule is as before"


def test_supervised_needs_to_be_told_what_was_meant(person, models, drifted):
    window, _ = drifted(models["ridge"], 60.0)
    found = rule("supervised", models["ridge"], person).propose(window)
    assert found.model is None
    assert "needs a window with x_d" in found.cause


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


@pytest.mark.parametrize(
    ("kind", "params", "values", "match"),
    [
        ("lda", {}, {}, "not a lda decoder"),
        ("ridge", {"differential": True}, {}, "not a differential ridge decoder"),
        ("kalman", {"gain": "standard"}, {"moving_dofs_only": True}, "steady gain"),
    ],
)
def test_decoders_that_a_rule_cannot_adapt_are_refused(person, kind, params, values, match):
    model = person.model(kind, params=params)
    for name in RULES:
        with pytest.raises(UserError, match=match):
            rule(name, model, person, **values)


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


@pytest.mark.parametrize("name", list(RULES))
def test_delays_and_encoders_of_the_model_stay(person, models, drifted, name):
    model = person.model("ridge", delays=(3, 6), encoder="linear", encoder_size=6)
    rng = np.random.default_rng(1)
    window, truth = drifted(models["ridge"], 60.0)
    x_hat = truth + 0.1 * rng.standard_normal(truth.shape)
    known = LabelledWindow(window.Z, x_hat, window.ticks, window.good, window.tick_rate, truth)
    found = rule(name, model, person, truth).propose(known).model
    assert found.encoder is model.encoder
    assert found.decoder.coef_.shape == model.decoder.coef_.shape == (3, 18)


def test_unknown_rules_and_settings_are_refused(person, models):
    with pytest.raises(UserError, match="choose from: relabel, rls, smooth_batch"):
        make_rule("magic", models["ridge"], person.dataset)
    with pytest.raises(UserError, match="forgetting"):
        make_rule("rls", models["ridge"], person.dataset, {"forgetting": 2.0})
    with pytest.raises(UserError, match="unknown setting"):
        make_rule("rls", models["ridge"], person.dataset, {"beta": 0.5})
    assert isinstance(person.dataset, Dataset)


@pytest.mark.parametrize("name", CHAINED)
def test_what_is_not_more_plausible_is_refused_with_both_scores_and_the_rule_is_as_before(
    person, models, drifted, name
):
    model = models["ridge"]
    window, truth = drifted(model, 60.0)
    known = LabelledWindow(**vars(window), x_d=truth)
    scores = iter([1.0, 1.05, 1.0, float("nan"), 1.0, 1.2])
    learner = make_rule(
        name,
        model,
        person.dataset,
        {"labels": "prompts"},
        score=lambda _model, _window: next(scores),
        margin=0.1,
    )
    found = learner.propose(known)
    assert found.model is None
    assert found.cause == "not more plausible than the calibration"
    assert [s.plausibility for s in found.scores] == [1.0, 1.05]
    assert learner.propose(known).model is None, "no number is no improvement"
    fresh = make_rule(name, model, person.dataset, {"labels": "prompts"}).propose(known)
    assert bits(learner.propose(known).model) == bits(fresh.model)


def test_a_rule_with_a_memory_learns_from_what_left_the_window_and_undo_erases_it(
    person, models, drifted
):
    model = models["ridge"]
    window, truth = drifted(model)
    settings = RelabelSettings()
    memory = ReplayMemory(MemorySettings(), model.n_features, len(model.dofs))
    middle = resting(truth, 3600)
    first, second = part(window, 0, middle), part(window, middle, len(window))

    def segmenter(seen):
        rows = np.isin(window.ticks, seen.ticks)
        return known_segments(truth[rows], window.ticks[rows])

    learner = RelabelRule(model, person.dataset, settings, segmenter=segmenter, memory=memory)
    alone = RelabelRule(model, person.dataset, settings, segmenter=segmenter)
    a = learner.propose(first).model
    assert bits(a) == bits(alone.propose(first).model)
    assert len(memory) == len(first)
    assert len(memory.ticks_by_cluster) > 6
    assert learner.propose(first).model is None, "nothing new"
    assert len(memory) == len(first), "and nothing twice"
    b = learner.propose(second).model
    assert len(memory) == len(window)
    whole = alone.propose(window).model
    np.testing.assert_allclose(b.decoder.coef_, whole.decoder.coef_, atol=1e-8)
    learner.undo()
    assert len(memory) == 0
    assert bits(learner.propose(first).model) == bits(a)


@pytest.mark.parametrize("name", ["relabel", "rls", "smooth_batch", "gradient"])
def test_movements_that_the_detector_finds_are_enough_to_learn_from(person, models, drifted, name):
    pytest.importorskip("emghand.adapt.detector")
    model = models["ridge"]
    window, truth = drifted(model, 240.0)
    found = make_rule(name, model, person.dataset).propose(window)
    assert found.model is not None, found.cause
    assert mean_r2(found.model, window, truth) > mean_r2(model, window, truth) - 0.05


def test_a_rule_is_made_from_the_files_of_a_model_once_it_has_a_reference(
    person, models, drifted, tmp_path
):
    reference = pytest.importorskip("emghand.adapt.reference")
    from emghand.adapt.rules.rls import for_model

    model, uri = models["kalman"], tmp_path / "m.emgmodel"
    save_model(model, uri)
    with pytest.raises(UserError, match=r"m\.emgadapt: cannot be read"):
        for_model(str(uri), 0.05)
    companion = companion_of(model, person.dataset)
    save_companion(companion, companion_path(uri))
    with pytest.raises(UserError, match="has no reference of the user's own use"):
        for_model(str(uri), 0.05)
    own, _ = person.use(model, 300.0, run=7)
    known = reference.learn_reference(own, own.Z).to_arrays()
    whole = dataclasses.replace(companion, reference=known)
    save_companion(whole, companion_path(uri), replace=True)
    window, _ = drifted(model, 240.0)
    found = for_model(str(uri), -100.0).propose(window)
    assert found.model is not None, found.cause
    assert np.isfinite([s.plausibility for s in found.scores]).all()
    assert for_model(str(uri), 100.0).propose(window).model is None
