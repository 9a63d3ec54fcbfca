"""Search for hyper-parameters, parameters by name, and tuning of the output."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from emghand.cli.main import main
from emghand.control.chain import OutputChain
from emghand.control.settings import OutputSettings
from emghand.errors import UserError
from emghand.evaluate.splits import split
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import load_model, save_model
from emghand.training import TrainSettings, dataset_from_recording, fit, shifted, train
from emghand.training.tune_output import tune_output

GRID = {"gamma": [0.1, 1.0], "penalty": [1e-4, 1.0]}


@pytest.fixture(scope="module")
def dataset(collected):
    return dataset_from_recording(collected, FeatureSettings())


def searched(dataset):
    return fit(
        dataset, TrainSettings("kernel_ridge", params={"landmarks": 60, "delays": []}, search=GRID)
    )


def test_the_search_finds_what_a_plain_loop_finds(dataset):
    found = searched(dataset)
    errors = {}
    for gamma in GRID["gamma"]:
        for penalty in GRID["penalty"]:
            params = {"landmarks": 60, "delays": (), "gamma": gamma, "penalty": penalty}
            settings = TrainSettings("kernel_ridge", params=params)
            parts = []
            for part in split(dataset, "repetition"):
                seen, test = dataset.rows(part.train), dataset.rows(part.test)
                fitted = fit(seen, settings)
                target = shifted(dataset, fitted.lag_s)[part.test][test.use]
                error = ((fitted.predict(test)[test.use] - target) ** 2).mean(axis=0)
                parts.append((error / seen.X[seen.use].var(axis=0)).mean())
            errors[gamma, penalty] = np.mean(parts)
    for candidate in found.searched:
        wanted = errors[candidate.params["gamma"], candidate.params["penalty"]]
        assert candidate.error == pytest.approx(wanted, rel=1e-12)
    assert [c.error for c in found.searched] == sorted(errors.values())
    best = found.searched[0].params
    assert found.decoder.gamma == best["gamma"]
    assert found.decoder.penalty == best["penalty"]


def test_a_search_repeats_to_the_bit_and_is_kept_in_the_model(dataset, tmp_path):
    settings = TrainSettings("trees", params={"n_trees": 5}, search={"max_depth": [2, 8]})
    a, b = train(dataset, settings), train(dataset, settings)
    assert a.model_id == b.model_id
    save_model(a, tmp_path / "m.emgmodel")
    kept = load_model(tmp_path / "m.emgmodel").scores["search"]
    assert [c["params"] for c in kept] == [{"max_depth": 8}, {"max_depth": 2}]
    assert kept == b.scores["search"]


def test_nothing_of_a_held_out_repetition_enters_its_fold(dataset, monkeypatch):
    """With one repetition poisoned, the folds that learn from it differ, its own fit does not."""
    import emghand.training.search as module

    def fits(data):
        learned = []
        monkeypatch.setattr(module, "fit", lambda *args: learned.append(fit(*args)) or learned[-1])
        module.search(data, TrainSettings("ridge", search={"lambdas": [(0.1,)]}))
        return learned

    last = split(dataset, "repetition")[-1].test
    poisoned = dataclasses.replace(
        dataset,
        Z=np.where(last[:, None], 1e3, dataset.Z),
        X=np.where(last[:, None], 0.5, dataset.X),
    )
    clean, dirty = fits(dataset), fits(poisoned)
    for number, (a, b) in enumerate(zip(clean, dirty, strict=True)):
        same = np.array_equal(a.decoder.coef_, b.decoder.coef_)
        assert same == (number == len(clean) - 1)
        assert np.array_equal(a.normaliser.mean, b.normaliser.mean) == same


def test_parameters_reach_the_decoder_and_default_delays_stay():
    settings = TrainSettings("kernel_ridge", params={"gamma": 0.5, "delays": [2, 4]})
    assert settings.params == {"gamma": 0.5, "delays": (2, 4)}


def test_delays_that_are_not_given_are_those_of_the_decoder(dataset):
    assert len(fit(dataset, TrainSettings("svr")).decoder.delays) == 10
    assert fit(dataset, TrainSettings("svr", (3,))).decoder.delays == (3,)
    assert fit(dataset, TrainSettings("svr", params={"delays": ()})).decoder.delays == ()


def test_a_differential_decoder_gets_rate_and_ranges_of_the_data(dataset):
    decoder = fit(dataset, TrainSettings("ridge", params={"differential": True})).decoder
    assert decoder.tick_rate == dataset.tick_rate
    assert decoder.low == tuple(d.low for d in dataset.dofs)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"params": {"depth": 1}}, "unknown parameter depth"),
        ({"search": {"depth": [1]}}, "unknown parameter depth"),
        ({"search": {"lambdas": []}}, "needs a list"),
        ({"search": {"lambdas": 0.1}}, "needs a list"),
        ({"search": {"lambdas": [(0.1,)]}, "params": {"lambdas": (1.0,)}}, "not both"),
    ],
)
def test_searches_that_make_no_sense_are_refused(dataset, settings, match):
    with pytest.raises(UserError, match=match):
        fit(dataset, TrainSettings("ridge", **settings))


class HalfTooSmall:
    """Stands in for a fitted decoder: the truth, half as large, with a little noise at rest."""

    lag_s = 0.0

    def predict(self, part):
        ripple = 0.04 * np.sin(np.arange(len(part)))[:, None]
        return np.where(part.X > 0.0, part.X / 2.0, part.X) + ripple


def test_tuned_gains_and_dead_zones_undo_what_the_decoder_does(dataset, monkeypatch):
    monkeypatch.setattr("emghand.training.tune_output.fit", lambda *args: HalfTooSmall())
    base = OutputSettings(speed_limit=(0.0,), dead_zone=("hard",), dead_zone_positive=(0.0,))
    tuning = tune_output(dataset, TrainSettings("ridge"), base)
    index, wrist = range(2)
    assert tuning.output.gain_positive[index] == 2.0
    assert tuning.output.gain_positive[wrist] == 2.0
    assert tuning.output.gain_negative[wrist] == 1.0
    assert 0.05 <= tuning.output.dead_zone_positive[index] <= 0.15
    assert tuning.after < tuning.before / 3


def test_the_tuned_rmse_is_that_of_the_live_chain(dataset):
    settings = TrainSettings("ridge")
    tuning = tune_output(dataset, settings)
    total = count = 0
    for part in split(dataset, "repetition"):
        fitted = fit(dataset.rows(part.train), settings)
        test = dataset.rows(part.test)
        chain = OutputChain(tuning.output, dataset.dofs, dataset.tick_rate)
        out = []
        for i, x in enumerate(fitted.predict(test)):
            if i and test.segment[i] != test.segment[i - 1]:
                chain.reset()
            out.append(chain.step(x))
        error = np.array(out) - shifted(dataset, fitted.lag_s)[part.test]
        total = total + (error[test.use] ** 2).sum(axis=0)
        count += test.use.sum()
    np.testing.assert_allclose(np.sqrt(total / count), list(tuning.rmse_after.values()), rtol=1e-9)
    assert tuning.after <= tuning.before


def test_the_command_searches_tunes_and_says_so(tmp_path, collected, write_bag, capsys):
    bag = write_bag(tmp_path / "bag", collected)
    model = tmp_path / "m.emgmodel"
    argv = ["train", str(bag), "--output", str(model), "--decoder", "polynomial"]
    argv += ["--param", "lambdas=[0.1]", "--search", "max_features=2,12", "--tune-output", "--json"]
    assert main(argv) == 0
    printed = json.loads(capsys.readouterr().out)
    loaded = load_model(model)
    assert printed["search"] == loaded.scores["search"]
    assert loaded.decoder.lambdas == (0.1,)
    assert loaded.decoder.max_features == printed["search"][0]["params"]["max_features"]
    tuned = printed["tuned_output"]
    assert list(loaded.output.gain_positive) == tuned["gain_positive"]


@pytest.mark.parametrize(
    "option", [["--param", "gamma"], ["--search", "gamma"], ["--search", "gamma=1]"]]
)
def test_options_that_are_no_assignment_are_refused(tmp_path, option, capsys):
    assert main(["train", str(tmp_path), "--output", str(tmp_path / "m"), *option]) != 0
    assert option[0] in capsys.readouterr().err
