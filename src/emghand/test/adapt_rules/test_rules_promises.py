"""What every simple rule keeps, refuses and forgets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from known_courses import KINDS, bits, known_segments, mean_r2, part, resting, rule

from emghand.adapt.companion import companion_of, companion_path, save_companion
from emghand.adapt.memory import MemorySettings, ReplayMemory
from emghand.adapt.rules import RULES, LabelledWindow, RelabelRule, RelabelSettings, make_rule
from emghand.errors import UserError
from emghand.storage.models import save_model
from emghand.training.dataset import Dataset

CHAINED = ("rls", "smooth_batch", "gradient")


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(RULES))
def test_a_channel_that_goes_mad_or_dies_never_makes_a_decoder_that_is_not_finite(
    person, models, drifted, kind, name
):
    model = models[kind]
    window, truth = drifted(model, 60.0)
    for value in (0.0, 1e6, 1e29, 1e200):
        Z = window.Z.copy()
        Z[1000:, 3] = value
        known = LabelledWindow(Z, *(vars(window)[k] for k in list(vars(window))[1:]), truth)
        found = rule(name, model, person, truth).propose(known)
        if found.model is not None:
            assert all(np.isfinite(v).all() for v in found.model.decoder.to_arrays().values())
        else:
            assert found.cause


def test_rest_alone_teaches_nothing(person, models, drifted):
    window, truth = drifted(models["kalman"], 60.0)
    known = LabelledWindow(**vars(window), x_d=np.zeros_like(truth))
    for name in RULES:
        learner = rule(name, models["kalman"], person, np.zeros_like(truth))
        assert learner.propose(known).cause == "no DOF moved in what was seen"


def test_supervised_needs_to_be_told_what_was_meant(person, models, drifted):
    window, _ = drifted(models["ridge"], 60.0)
    found = rule("supervised", models["ridge"], person).propose(window)
    assert found.model is None
    assert "needs a window with x_d" in found.cause


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
    from emghand.adapt.registry import RuleOptions, rule_for
    from emghand.adapt.rules.files import for_model

    options = RuleOptions("rls")

    model, uri = models["kalman"], tmp_path / "m.emgmodel"
    save_model(model, uri)
    with pytest.raises(UserError, match=r"m\.emgadapt: cannot be read"):
        for_model(str(uri), options)
    companion = companion_of(model, person.dataset)
    save_companion(companion, companion_path(uri))
    with pytest.raises(UserError, match="has no reference of the user's own use"):
        for_model(str(uri), options)
    with pytest.raises(UserError, match="has no reference of the user's own use; learn it"):
        rule_for(str(uri), options)
    own, _ = person.use(model, 300.0, run=7)
    known = reference.learn_reference(own, own.Z).to_arrays()
    whole = dataclasses.replace(companion, reference=known)
    save_companion(whole, companion_path(uri), replace=True)
    window, _ = drifted(model, 240.0)
    found = rule_for(str(uri), RuleOptions("rls", -100.0))().propose(window)
    assert found.model is not None, found.cause
    assert np.isfinite([s.plausibility for s in found.scores]).all()
    assert for_model(str(uri), RuleOptions("rls", 100.0)).propose(window).model is None
