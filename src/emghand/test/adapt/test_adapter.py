"""The adapter on a synthetic person: what it regains, and that it changes nothing else."""

import dataclasses

import numpy as np
import pytest

from emghand.adapt.adapter import TemplateAdapter, reference_of
from emghand.adapt.study import Person
from emghand.adapt.window import Window
from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings
from emghand.training import TrainSettings, train


@pytest.fixture(scope="module")
def person():
    return Person(1)


@pytest.fixture(scope="module")
def adapter(person):
    return person.adapter(known_rings=True)


def test_a_shift_of_the_electrodes_is_recovered(person, adapter):
    found = person.try_drift(adapter, "shift", 2)
    assert found.supervised - found.drifted > 0.2
    assert found.adapted - found.drifted > 0.75 * (found.supervised - found.drifted)
    assert abs(found.proposal.changes.rotation_deg) in (8.0, 10.0, 12.0, 14.0)
    assert [s.name for s in found.proposal.scores] == ["calibration", "align", "template"]
    assert found.proposal.chosen == "template"


def test_a_dead_electrode_is_left_out(person, adapter):
    found = person.try_drift(adapter, "dead", 2)
    assert np.flatnonzero(found.proposal.changes.dead).tolist() == [person.arm.strongest()]
    model = found.proposal.model
    assert model.normaliser.scale[person.arm.strongest()] == 0.0
    assert found.adapted - found.drifted > 0.7 * (found.supervised - found.drifted)


def test_without_drift_little_is_lost(person, adapter):
    found = person.try_drift(adapter)
    assert found.adapted - found.drifted > -0.04


def use_of(person, seconds=300.0):
    from emghand.simulate.use import free_use

    rng = np.random.default_rng(9)
    course = free_use(rng, len(person.dofs), person.arm.rate, seconds)
    Z = person.arm.features(course, rng)
    n = len(Z)
    x_hat = person.model.estimates(Z)
    return Window(Z, x_hat, np.arange(n), np.ones(n, dtype=bool), person.arm.rate)


def test_proposals_repeat_to_the_bit_and_change_nothing_they_were_given(person, adapter):
    window = use_of(person)
    before = [a.copy() for a in (window.Z, window.x_hat, person.calibration.Z)]
    arrays = {k: v.copy() for k, v in person.model.decoder.to_arrays().items()}
    first, other = adapter.propose(window), adapter.propose(use_of(person, 420.0))
    again = adapter.propose(window)
    assert other.scores != first.scores == again.scores
    for a, b in zip(
        first.model.decoder.to_arrays().values(),
        again.model.decoder.to_arrays().values(),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(before, (window.Z, window.x_hat, person.calibration.Z), strict=True):
        np.testing.assert_array_equal(a, b)
    for name, value in person.model.decoder.to_arrays().items():
        np.testing.assert_array_equal(value, arrays[name])


def test_too_little_use_or_dead_channels_are_refused_with_a_reason(person, adapter):
    short = adapter.propose(use_of(person, 60.0))
    assert short.model is None
    assert "of use, of 240 s" in short.cause
    window = use_of(person)
    Z = window.Z.copy()
    Z[:, ::2] = 0.0
    Z[:, 1] = 0.0
    silent = adapter.propose(dataclasses.replace(window, Z=Z))
    assert silent.model is None
    assert "dead" in silent.cause
    still = adapter.propose(dataclasses.replace(window, good=np.arange(len(window)) % 7 == 0))
    assert still.model is None


@pytest.mark.parametrize("value", [0.0, 1e29, 1e300, np.nan])
def test_a_channel_that_dies_or_goes_mad_in_the_window_never_makes_a_decoder_of_no_use(
    person, adapter, value
):
    window = use_of(person)
    Z = window.Z.copy()
    Z[len(Z) // 2 :, person.arm.strongest()] = value
    found = adapter.propose(dataclasses.replace(window, Z=Z))
    assert found.cause
    if found.model is not None:
        assert np.isfinite(found.model.estimates(window.Z)).all()


def test_a_fit_that_fails_is_refused_with_the_reason(person, adapter, monkeypatch):
    def fail(*_):
        raise np.linalg.LinAlgError("singular")

    monkeypatch.setattr("emghand.adapt.adapter.fit_template", fail)
    found = adapter.propose(use_of(person))
    assert found.model is None
    assert found.cause == "what was seen does not determine a decoder (singular)"
    other = use_of(person)
    found = adapter.propose(dataclasses.replace(other, Z=other.Z[:, 1:]))
    assert found.cause == "the window has 31 features, the model 32"


def test_channels_that_the_calibration_left_out_stay_out(person):
    training = TrainSettings("kalman", max_features=12)
    model = train(person.calibration, training)
    reference = reference_of(model, person.own_use)
    found = TemplateAdapter(model, person.calibration, training, reference).propose(
        dataclasses.replace(use_of(person), Z=1.3 * use_of(person).Z)
    )
    assert found.chosen in ("align", "template")
    used = np.flatnonzero(found.model.normaliser.scale)
    assert set(used.tolist()) <= set(model.normaliser.columns.tolist())


def test_what_cannot_be_adapted_is_said(person):
    reference = reference_of(person.model, person.own_use)
    log = dataclasses.replace(
        person.model, features=dataclasses.replace(person.model.features, features=("wl",))
    )
    with pytest.raises(UserError, match="mav or rms alone"):
        TemplateAdapter(log, person.calibration, person.training, reference)
    with pytest.raises(UserError, match="do not form 3 rings"):
        reference_of(person.model, person.own_use, rings=3)
    pairs = dataclasses.replace(
        person.model, features=FeatureSettings(features=("mav",), montage="both")
    )
    with pytest.raises(UserError, match="single channels"):
        reference_of(pairs, use_of(person))
