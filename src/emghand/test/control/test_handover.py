"""A new model takes over without a bump."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emghand.control.decoder_pipeline import DecoderPipeline
from emghand.control.handover import LARGEST_STEP, WARM_S, Handover
from emghand.control.settings import OutputSettings
from emghand.decoders.kalman import KalmanDecoder
from emghand.decoders.normaliser import Normaliser
from emghand.decoders.ridge import RidgeDecoder
from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import Model

N = 4
NAMES = ("a", "b", "c", "d")
DOFS = (Dof("index_flex"), Dof("wrist_flex"), Dof("grip", 0.0, 1.0))
FREE = OutputSettings(speed_limit=(0.0,))
RATE = 62.5
HELD = np.ones(N)


def make_model(decoder, output=FREE):
    return Model(
        decoder=decoder,
        normaliser=Normaliser.from_arrays({"mean": np.zeros(N), "scale": np.ones(N)}),
        dofs=DOFS,
        features=FeatureSettings(),
        n_channels=N,
        rate=1000.0,
        channel_names=NAMES,
        output=output,
    )


def ridge(target, delays=()):
    """Says `target` when all features are 1."""
    fitted = RidgeDecoder(delays=delays)
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((60, N))
    fitted.fit(Z, rng.standard_normal((60, 3)))
    arrays = {k: np.zeros_like(v) for k, v in fitted.to_arrays().items()}
    offset = next(k for k, v in arrays.items() if v.shape == (3,))
    arrays[offset] = np.asarray(target, dtype=np.float64)
    return RidgeDecoder.from_arrays(fitted.get_params(), arrays)


def kalman(target, pole, **params):
    """Settles at `target`, with a pole per DOF."""
    pole = np.broadcast_to(pole, 3)
    learned = {
        "gain_": np.zeros((3, N)),
        "transition_": np.diag(pole),
        "offset_": (1.0 - pole) * target,
        "process_gain_": np.ones(1),
    }
    params = {"low": (-1.0, -1.0, 0.0), "high": (1.0,) * 3} | params
    return KalmanDecoder.from_arrays(params, learned)


def run(pipeline, n, first=0):
    decoded = [pipeline.step(HELD, first + i) for i in range(n)]
    return np.array([d.x_hat for d in decoded]), np.array([d.out_x_hat for d in decoded])


def settle(pipeline, longest=400):
    """Outputs until the hand-over is over, and a while longer."""
    tick, outs = pipeline._last_tick + 1, []
    while pipeline.blending:
        assert len(outs) < longest
        outs += list(run(pipeline, 1, tick)[1])
        tick += 1
    outs += list(run(pipeline, 20, tick)[1])
    return np.array(outs)


targets = arrays(np.float64, 3, elements=st.floats(-1.0, 1.0))
poles = st.floats(0.0, 0.95)
wild = arrays(np.float64, 3, elements=st.floats(-100.0, 100.0))
decoders = st.one_of(
    st.builds(ridge, targets), st.builds(ridge, wild), st.builds(kalman, targets, poles)
)
outputs = st.sampled_from(
    (
        FREE,
        OutputSettings(speed_limit=(0.0,), dead_zone=("off",)),
        OutputSettings(speed_limit=(0.0,), gain_positive=(2.0,), dead_zone_hysteresis=True),
        OutputSettings(speed_limit=(0.0,), gain_negative=(0.5,), relax_pos=(0.1,)),
    )
)


@given(old=decoders, new=decoders, output=outputs, blend_s=st.floats(0.001, 1.0))
@settings(max_examples=25, deadline=None)
def test_with_constant_input_no_hand_over_moves_the_hand_by_more_than_a_step(
    old, new, output, blend_s
):
    pipeline = DecoderPipeline(make_model(old, output))
    before = run(pipeline, 300)[1][-1:]
    pipeline.set_model(make_model(new, output), blend_s)
    outs = np.vstack([before, settle(pipeline)])
    assert np.abs(np.diff(outs, axis=0)).max() <= LARGEST_STEP
    alone = DecoderPipeline(make_model(new, output))
    then = run(pipeline, 1, pipeline._last_tick + 1)[0][-1]
    assert not pipeline.blending
    np.testing.assert_allclose(then, run(alone, 300)[0][-1], atol=0.02)


@given(a=wild, b=targets, c=targets, at=st.integers(1, 90))
@settings(max_examples=15, deadline=None)
def test_a_hand_over_that_is_left_half_way_is_as_smooth(a, b, c, at):
    pipeline = DecoderPipeline(make_model(ridge(a)))
    outs = [run(pipeline, 5)[1]]
    pipeline.set_model(make_model(ridge(b)), 0.5)
    outs.append(run(pipeline, at, 5)[1])
    pipeline.set_model(make_model(kalman(c, 0.8)), 0.5)
    outs.append(settle(pipeline))
    assert np.abs(np.diff(np.vstack(outs), axis=0)).max() <= LARGEST_STEP
    assert pipeline.model.decoder.kind == "kalman"


class Says:
    """An estimator that says what it is told to."""

    def __init__(self, value):
        self.value, self.started = value, None
        self.model = SimpleNamespace(tick_rate=RATE)
        self.decoder = SimpleNamespace(delays=(), n_dofs_=3, start_from=self.start_from)

    def start_from(self, x_hat):
        self.started = x_hat

    def step(self, z):
        return np.full(3, self.value)


@pytest.mark.parametrize("at", [0, 10, 35])
@pytest.mark.parametrize("who", ["old", "new"])
def test_an_estimate_that_is_no_number_ends_with_its_tick(at, who):
    old, new = Says(0.1), Says(0.9)
    handover = Handover(old, new, 10, LARGEST_STEP, 2.0)
    estimates = []
    while not handover.finished:
        assert len(estimates) < 100
        old.value, new.value = 0.1, 0.9
        if len(estimates) == at:
            (old if who == "old" else new).value = np.nan
        estimates.append(handover.step(HELD)[0])
    assert np.isfinite(new.started).all()
    assert np.flatnonzero(np.isnan(estimates)).tolist() == ([at] if who == "old" else [])
    said = np.array(estimates)[np.isfinite(estimates)]
    assert said[0] == pytest.approx(0.1) and said[-1] == 0.9
    assert np.abs(np.diff(said)).max() <= LARGEST_STEP + 1e-12


def test_models_far_apart_take_the_longer_the_farther_they_are():
    def ticks(apart):
        output = dataclasses.replace(FREE, dead_zone=("off",))
        pipeline = DecoderPipeline(make_model(ridge([-0.5 * apart, 0.0, 0.0]), output))
        pipeline.set_model(make_model(ridge([0.5 * apart, 0.0, 0.0])), 0.2)
        return len(settle(pipeline)) - 20 - round(WARM_S * RATE)

    assert ticks(0.1) == round(0.2 * RATE)
    assert ticks(1.0) in (20, 21)
    assert ticks(2.0) in (40, 41)
    assert ticks(200.0) in (40, 41)


def test_the_estimate_goes_linearly_from_the_old_to_the_new_one():
    pipeline = DecoderPipeline(make_model(ridge([0.2, 0.0, 0.0])))
    run(pipeline, 3)
    pipeline.set_model(make_model(ridge([0.6, 0.0, 0.0])), 1.0)
    x_hat = run(pipeline, 100, 3)[0][:, 0]
    warm, blend = round(WARM_S * RATE), round(RATE)
    expected = 0.2 + 0.4 * np.clip((np.arange(100) + 1 - warm) / blend, 0.0, 1.0)
    np.testing.assert_allclose(x_hat, expected, atol=1e-12)


@pytest.mark.parametrize("differential", [False, True])
def test_a_held_hand_stays_where_it_is_while_a_like_decoder_takes_over(differential):
    # One that integrates stands still: only where it was put says where it is.
    like = {"target": 0.0, "pole": 0.5, "differential": True, "tick_rate": RATE}
    new = kalman(**like) if differential else kalman(0.8, 0.97)
    pipeline = DecoderPipeline(make_model(kalman(0.8, 0.97)))
    before = run(pipeline, 1500)[1][-1]
    pipeline.set_model(make_model(new), 0.5)
    outs = settle(pipeline)
    np.testing.assert_allclose(outs, np.tile(before, (len(outs), 1)), atol=1e-6)


def test_the_output_filters_in_force_stay_through_a_hand_over():
    pipeline = DecoderPipeline(make_model(ridge([0.5, 0.0, 0.0])))
    pipeline.set_model(make_model(ridge([0.5, 0, 0]), OutputSettings(gain_positive=(0.0,))), 0.5)
    assert pipeline.output == FREE
    assert settle(pipeline)[-1, 0] > 0.4


def test_a_reset_ends_a_hand_over_and_the_new_decoder_starts_alone():
    pipeline = DecoderPipeline(make_model(ridge([0.5, 0.0, 0.0])))
    run(pipeline, 5)
    pipeline.set_model(make_model(kalman(0.8, 0.9)), 0.5)
    run(pipeline, 40, 5)
    pipeline.reset()
    assert not pipeline.blending
    alone = DecoderPipeline(make_model(kalman(0.8, 0.9)))
    np.testing.assert_array_equal(run(pipeline, 9)[1], run(alone, 9)[1])


def test_there_is_no_snapshot_during_a_hand_over_and_the_usual_one_after_it():
    pipeline = DecoderPipeline(make_model(ridge([0.5, 0.0, 0.0])))
    new = make_model(kalman(0.8, 0.9))
    run(pipeline, 5)
    pipeline.set_model(new, 0.5)
    run(pipeline, 1, 5)
    with pytest.raises(UserError, match="while a new model takes over"):
        pipeline.snapshot()
    settle(pipeline)
    other = DecoderPipeline(make_model(new.decoder))
    other.restore(pipeline.snapshot())
    first = pipeline._last_tick + 1
    np.testing.assert_array_equal(run(pipeline, 9, first)[1], run(other, 9, first)[1])


def test_other_dofs_or_features_are_exchanged_without_a_blend():
    pipeline = DecoderPipeline(make_model(ridge([0.5, 0.0, 0.0])))
    run(pipeline, 5)
    renamed = (Dof("thumb_flex"), *DOFS[1:])
    pipeline.set_model(dataclasses.replace(make_model(ridge([0.1, 0, 0])), dofs=renamed), 0.5)
    assert not pipeline.blending
    assert pipeline.dofs == renamed


def test_a_blend_into_a_model_that_does_not_fit_the_filters_leaves_the_old_one():
    output = OutputSettings(mode=("velocity",))
    pipeline = DecoderPipeline(make_model(ridge([0.5, 0.0, 0.0]), output))
    new = make_model(kalman(0.0, 0.5, differential=True, tick_rate=RATE))
    with pytest.raises(UserError, match="integrates velocities itself"):
        pipeline.set_model(new, 0.5)
    assert pipeline.model.decoder.kind == "ridge" and not pipeline.blending
