"""A running decoder adapts at rest only, says what it does, and can be put back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import worker_rules
from test_worker import EVERY, RATE, make_model, setup_of

from emghand.adapt.live import Adaptation, RunningModel
from emghand.adapt.messages import Failure, Outcome
from emghand.adapt.proposal import Changes
from emghand.adapt.settings import AdaptationSettings
from emghand.adapt.worker import InProcess, Proposed
from emghand.control.decoder_pipeline import DecoderPipeline
from emghand.control.settings import OutputSettings
from emghand.decoders.ridge import RidgeDecoder
from emghand.errors import UserError
from emghand.settings import SettingsError
from emghand.storage.models import save_model

SETTINGS = AdaptationSettings(blend_s=0.2, settle_s=0.2, rest_s=0.5)
REST = round(0.5 * RATE)
ACTIVE, QUIET = np.full(4, 1.5), np.full(4, 0.5)


def outcome_of(model, cause="better"):
    changes = Changes.none(4)
    if model is None:
        return Proposed(Outcome(cause, "test", "", (), changes), None)
    return Proposed(Outcome(cause, "test", "x", (), changes, "x.emgmodel", model.model_id), model)


class Script:
    """A worker that says what it is told to."""

    def __init__(self):
        self.fed, self.say, self.dropped, self.closed = [], [], 0, False
        self.restarts = 0

    def feed(self, z, x_hat, tick, good, x_d=None):
        self.fed.append((tick, good))

    def restart(self):
        self.restarts += 1

    def poll(self):
        said, self.say = self.say, []
        return said

    def close(self):
        self.closed = True


class Rig:
    """A pipeline whose estimate is 0 for QUIET and about 1 for ACTIVE features."""

    def __init__(self, output=None, settings=SETTINGS):
        output = output or OutputSettings(dead_zone=("off",), speed_limit=(0.0,))
        self.model = self.make(1.0, output)
        self.pipeline = DecoderPipeline(self.model)
        self.notices = []
        self.calibration = RunningModel(self.model, "m.emgmodel")
        self.adaptation = Adaptation(
            self.pipeline, self.calibration, self.exchange, settings, self.notices.append
        )
        self.worker = Script()
        self.adaptation.start(self.worker)
        self.tick = 0

    def make(self, gain, output=None):
        model = make_model()
        normaliser = type(model.normaliser).from_arrays({"mean": QUIET, "scale": np.ones(4)})
        Z = np.random.default_rng(0).standard_normal((200, 4))
        decoder = RidgeDecoder().fit(Z, gain * Z[:, :2])
        output = output or self.model.output
        return dataclasses.replace(model, decoder=decoder, normaliser=normaliser, output=output)

    def exchange(self, running, blend_s):
        self.pipeline.set_model(running.model, blend_s)

    def run(self, n, z=QUIET, quality=0):
        for _ in range(n):
            decoded = self.pipeline.step(z, self.tick, quality)
            self.adaptation.after_tick(z, self.tick, decoded)
            self.tick += 1

    @property
    def kinds(self):
        return [n.kind for n in self.notices]

    @property
    def adapted(self):
        return self.pipeline.model is not self.model


@pytest.fixture
def rig():
    return Rig()


def test_a_proposed_model_takes_over_when_the_hand_has_been_at_rest(rig):
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(REST - 1)
    assert not rig.adapted
    rig.run(1)
    assert rig.adapted
    assert rig.kinds == ["proposed", "accepted", "swapped"]
    swapped = rig.notices[-1]
    assert swapped.tick == REST and swapped.model.model is rig.pipeline.model
    assert swapped.outcome.chosen == "x"


def test_never_in_a_movement_nor_shortly_after_it(rig):
    rig.run(10, ACTIVE)
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(300, ACTIVE)
    rig.run(REST - 1)
    rig.run(1, ACTIVE)
    rig.run(REST - 1)
    assert not rig.adapted and rig.adaptation.waiting
    rig.run(1)
    assert rig.adapted


def test_not_while_the_hand_is_still_on_its_way_to_rest():
    rig = Rig(OutputSettings(speed_limit=(0.5,), dead_zone=("off",)))
    rig.run(200, ACTIVE)
    rig.worker.say = [outcome_of(rig.make(0.9))]
    # From 1 to 0.2 at 0.5 /s.
    rig.run(round(1.6 * RATE) + REST - 2)
    assert not rig.adapted
    rig.run(5)
    assert rig.adapted


def test_ticks_that_are_missing_are_no_rest(rig):
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(REST - 1)
    rig.tick += 1
    rig.run(1)
    assert not rig.adapted


def test_a_hand_rests_where_its_filters_hold_it():
    rig = Rig(OutputSettings(relax_pos=(0.5,), lock=(True, False), lock_value=(0.4,)))
    rig.run(50)
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(REST)
    assert rig.adapted


def test_undo_takes_the_calibration_back_at_once_and_learns_no_more(rig):
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(REST + 100)
    rig.run(5, ACTIVE)
    rig.adaptation.undo()
    assert rig.pipeline.model is rig.model and rig.pipeline.blending
    assert rig.worker.closed and rig.adaptation.worker is None
    fed = len(rig.worker.fed)
    rig.run(200)
    assert len(rig.worker.fed) == fed
    assert rig.kinds[-1] == "undone" and rig.notices[-1].tick == REST + 105


def test_undo_in_the_middle_of_a_hand_over_is_as_smooth(rig):
    rig.worker.say = [outcome_of(rig.make(-1.0))]
    rig.run(REST + 40)
    assert rig.pipeline.blending
    rig.adaptation.undo()
    rig.run(200)
    assert rig.pipeline.model is rig.model and not rig.pipeline.blending


def test_undo_before_anything_was_exchanged_stops_a_model_that_waits(rig):
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(REST - 2)
    rig.adaptation.undo()
    rig.run(REST)
    assert not rig.adapted and not rig.pipeline.blending
    assert "was in force" in rig.notices[-1].cause


@pytest.mark.parametrize("cause", ["emergency stop", "the hand is disarmed"])
def test_while_it_is_held_nothing_is_learned_or_exchanged_and_that_is_said_once(rig, cause):
    rig.run(5)
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.adaptation.hold(cause)
    rig.adaptation.poll()
    for _ in range(REST):
        rig.adaptation.hold(cause)
        rig.run(2)
    assert rig.kinds == ["paused", "proposed", "accepted"]
    assert rig.notices[0].cause == cause
    assert [tick for tick, _ in rig.worker.fed] == list(range(5))
    rig.adaptation.hold("")
    rig.run(REST)
    assert rig.kinds[3:] == ["resumed", "swapped"]


def test_a_bad_signal_pauses_until_it_was_good_for_a_while(rig):
    rig.run(3)
    rig.run(4, quality=1)
    settle = int(np.ceil(0.2 * RATE))
    rig.run(settle + 2)
    assert rig.kinds == ["paused", "resumed"]
    assert rig.notices[0].cause == "the signal is refused: quality"
    assert [t for t, _ in rig.worker.fed] == [0, 1, 2, *range(6 + settle, 9 + settle)]


@pytest.mark.parametrize("how", ["bad", "missing"])
def test_after_a_signal_that_was_away_for_long_nothing_from_before_counts(how):
    rig = Rig(settings=dataclasses.replace(SETTINGS, forget_s=5.0))

    def away(seconds):
        if how == "bad":
            rig.run(round(seconds * RATE), quality=2)
        else:
            rig.adaptation.missed(seconds)

    rig.run(20, ACTIVE)
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(5, ACTIVE)
    away(4.0)
    rig.run(30, ACTIVE)
    assert rig.adaptation.waiting and not rig.worker.restarts
    away(6.0)
    rig.run(3 * REST)
    assert rig.worker.restarts == 1
    assert not rig.adapted and not rig.adaptation.waiting
    (told,) = [n for n in rig.notices if n.kind == "forgotten"]
    assert "for 6 s" in told.cause
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(REST)
    assert rig.adapted


def test_where_nothing_was_learned_from_there_is_nothing_to_forget():
    rig = Rig(settings=dataclasses.replace(SETTINGS, forget_s=5.0))
    rig.adaptation.missed(3600.0)
    rig.run(20, ACTIVE)
    assert not rig.worker.restarts
    rig.adaptation.stop()
    rig.adaptation.missed(3600.0)
    rig.adaptation.start(rig.worker)
    rig.run(20, ACTIVE)
    assert not rig.worker.restarts
    rig.adaptation.missed(3600.0)
    rig.run(1, ACTIVE)
    assert rig.worker.restarts == 1
    assert [n.kind for n in rig.notices].count("forgotten") == 1


def test_features_that_are_not_finite_pause_too(rig):
    rig.run(1)
    rig.run(1, np.full(4, np.nan))
    assert [n.cause for n in rig.notices] == ["the signal is refused: nan"]


def test_ticks_of_a_hand_over_are_not_learned_from(rig):
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(REST + 5)
    assert [good for _, good in rig.worker.fed] == [True] * REST + [False] * 5


def test_a_refusal_keeps_the_decoder_and_gives_up_an_older_proposal(rig):
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(5)
    rig.worker.say = [outcome_of(None, "no candidate is more plausible")]
    rig.run(2 * REST)
    assert rig.kinds == ["proposed", "accepted", "proposed", "refused"]
    assert rig.notices[-1].cause.startswith("no candidate is more plausible (an older proposal")
    assert not rig.adapted


def test_models_of_no_fit_or_in_force_already_are_refused(rig):
    rig.worker.say = [
        outcome_of(dataclasses.replace(rig.make(0.9), channel_names=("e", "f", "g", "h"))),
        outcome_of(rig.make(1.0)),
    ]
    rig.run(2 * REST)
    causes = [n.cause for n in rig.notices if n.kind == "refused"]
    assert "other channel_names" in causes[0] and "in force already" in causes[1]


def test_a_failure_is_said_and_changes_nothing(rig):
    rig.worker.say = [Failure("the worker was killed (SIGKILL)")]
    rig.run(REST)
    assert [(n.kind, n.cause) for n in rig.notices] == [
        ("failed", "the worker was killed (SIGKILL)")
    ]
    assert not rig.adapted


def test_an_exchange_that_is_refused_is_said_and_the_old_model_stays(rig):
    def refuse(running, blend_s):
        raise UserError("does not fit the filters")

    rig.adaptation._exchange = refuse
    rig.worker.say = [outcome_of(rig.make(0.9))]
    rig.run(REST)
    assert rig.kinds[-1] == "refused" and rig.adaptation.running is rig.calibration


def test_synchronous_runs_repeat_to_the_bit(tmp_path):
    def once(folder):
        rig = Rig()
        save_model(rig.model, folder / "m.emgmodel")
        rule = worker_rules.centre(folder / "m.emgmodel")
        rig.adaptation.start(InProcess(setup_of(rule, folder)))
        rng = np.random.default_rng(4)
        outs = []
        for tick in range(8 * EVERY):
            z = QUIET + 0.02 * rng.standard_normal(4) + 0.0002 * tick
            decoded = rig.pipeline.step(z, tick)
            rig.adaptation.after_tick(z, tick, decoded)
            outs.append(decoded.out_x_hat)
        swaps = [(n.tick, n.model.model.model_id) for n in rig.notices if n.kind == "swapped"]
        return np.array(outs).tobytes(), swaps

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = once(tmp_path / "a"), once(tmp_path / "b")
    assert len(first[1]) >= 3
    assert first == second


def test_settings_out_of_range_are_refused():
    with pytest.raises(SettingsError, match="mode"):
        AdaptationSettings(mode="magic")
    with pytest.raises(SettingsError, match="blend_s"):
        AdaptationSettings(blend_s=0.0)
