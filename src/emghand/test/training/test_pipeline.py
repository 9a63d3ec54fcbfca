"""The whole path: bits, faults, restarts, exchange of models."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.control.decoder_pipeline import DecoderPipeline
from emghand.control.settings import OutputSettings
from emghand.errors import UserError
from emghand.pipeline import Pipeline
from emghand.settings import SettingsError
from emghand.signal.settings import FeatureSettings
from emghand.storage.recording import Block
from emghand.training import TrainSettings, dataset_from_recording, train

BUSY = OutputSettings(latch=("leaky",), dead_zone_hysteresis=True, mode=("position", "velocity"))


@pytest.fixture(scope="module", params=["kalman", "ridge"])
def model(request, collected):
    dataset = dataset_from_recording(collected, FeatureSettings())
    return train(dataset, TrainSettings(request.param, delays=(2, 6)), BUSY)


@pytest.fixture(scope="module")
def features(unseen):
    return dataset_from_recording(unseen, FeatureSettings()).Z


def cut(recording, edges):
    """The samples of a recording in other blocks."""
    samples = np.concatenate([b.samples for b in recording.blocks])
    edges = [0, *edges, len(samples)]
    return [Block(a, a * 1_000_000, samples[a:b]) for a, b in itertools.pairwise(edges) if b > a]


def outputs(decoder, Z, first=0):
    decoded = [decoder.step(z, first + i) for i, z in enumerate(Z)]
    return np.array([np.concatenate([d.x_hat, d.out_x_hat]) for d in decoded])


@given(edges=st.lists(st.integers(0, 6000), max_size=12))
@settings(max_examples=8, deadline=None)
def test_results_do_not_depend_on_the_block_sizes(model, unseen, edges):
    short = dataclasses.replace(unseen, blocks=unseen.blocks[:380])
    run = Pipeline(model, unseen.stream).run(short)
    other = dataclasses.replace(short, blocks=cut(short, sorted(edges)))
    again = Pipeline(model, unseen.stream).run(other)
    np.testing.assert_array_equal(run.x_hat, again.x_hat)
    np.testing.assert_array_equal(run.out_x_hat, again.out_x_hat)
    np.testing.assert_array_equal(run.stamps_ns, again.stamps_ns)


@pytest.mark.parametrize("at", [5, 100, 233])
def test_a_snapshot_continues_bit_for_bit(model, unseen, at):
    first, second = Pipeline(model, unseen.stream), Pipeline(model, unseen.stream)
    for block in unseen.blocks[:at]:
        first.push(block)
    for block in unseen.blocks[200:240]:
        second.push(block)
    second.restore(first.snapshot())
    for block in unseen.blocks[at : at + 60]:
        for a, b in zip(first.push(block), second.push(block), strict=True):
            np.testing.assert_array_equal(a.decoded.x_hat, b.decoded.x_hat)
            np.testing.assert_array_equal(a.decoded.out_x_hat, b.decoded.out_x_hat)


def test_a_run_does_not_depend_on_what_was_before(model, unseen):
    pipeline = Pipeline(model, unseen.stream)
    first = pipeline.run(unseen)
    np.testing.assert_array_equal(first.out_x_hat, pipeline.run(unseen).out_x_hat)


def test_the_pipeline_does_not_touch_the_model(model, features):
    DecoderPipeline(model).step(features[0], 0)
    first = outputs(DecoderPipeline(model), features[:50])
    np.testing.assert_array_equal(first, outputs(DecoderPipeline(model), features[:50]))


@given(
    at=st.integers(0, 39),
    fault=st.sampled_from(["nan", "inf", "huge", "length", "quality", "order"]),
)
@settings(max_examples=40, deadline=None)
def test_a_refused_tick_yields_nothing_is_counted_and_changes_nothing(model, features, at, fault):
    clean, hit = DecoderPipeline(model), DecoderPipeline(model)
    for i, z in enumerate(features[:40]):
        if i == at:
            bad, tick, quality = z.copy(), i, 0
            if fault in ("nan", "inf", "huge"):
                bad[3] = {"nan": np.nan, "inf": -np.inf, "huge": 1e40}[fault]
            elif fault == "length":
                bad = z[:-1]
            elif fault == "quality":
                quality = 4
            elif i:
                tick = i - 1
            else:
                continue
            before = hit.snapshot()
            refused = hit.step(bad, tick, quality)
            reason = "nan" if fault in ("inf", "huge") else fault
            assert refused.x_hat is None
            assert refused.out_x_hat is None
            assert refused.fault == reason
            assert hit.faults[reason] == 1
            after = hit.snapshot()
            del before["faults"], after["faults"]
            assert all((before[k] == after[k]).all() for k in before)
        a, b = clean.step(z, i), hit.step(z, i)
        np.testing.assert_array_equal(a.x_hat, b.x_hat)
        np.testing.assert_array_equal(a.out_x_hat, b.out_x_hat)


def test_after_a_long_silence_it_starts_from_rest(model, features):
    fresh = outputs(DecoderPipeline(model), features[90:120], first=90)
    long, short = DecoderPipeline(model), DecoderPipeline(model)
    outputs(long, features[:50])
    outputs(short, features[:50])
    ticks = round(model.output.restart_s * model.tick_rate)
    assert long.step(features[90], 50 + ticks).restarted
    assert not short.step(features[90], 49 + ticks).restarted
    later = outputs(long, features[91:120], first=51 + ticks)
    np.testing.assert_array_equal(later, fresh[1:])


def test_reset_starts_from_rest_and_takes_any_tick(model, features):
    decoder = DecoderPipeline(model)
    fresh = outputs(decoder, features[:30], first=1000)
    decoder.reset()
    np.testing.assert_array_equal(outputs(decoder, features[:30], first=0), fresh)


def test_an_exchange_of_the_model_moves_the_hand_no_faster_than_the_limit(model, features):
    decoder = DecoderPipeline(model, OutputSettings(speed_limit=(1.0,)))
    before = outputs(decoder, features)[:, 2:]
    decoder.set_model(dataclasses.replace(model, lag_s=0.0))
    after = decoder.step(features[0], len(features)).out_x_hat
    limit = 1.0 / model.tick_rate
    assert np.abs(after - before[-1]).max() <= limit * (1 + 1e-9)
    decoder.set_output(OutputSettings(gain_positive=(0.0,), speed_limit=(1.0,)))
    then = decoder.step(features[1], len(features) + 1).out_x_hat
    assert np.abs(then - after).max() <= limit * (1 + 1e-9)
    assert decoder.model.lag_s == 0.0


def test_settings_or_models_that_do_not_fit_leave_the_old_ones_in_force(model, features):
    decoder = DecoderPipeline(model)
    wrong = OutputSettings(gain_positive=(1.0, 1.0, 1.0))
    with pytest.raises(SettingsError, match="gain_positive"):
        decoder.set_output(wrong)
    assert decoder.output == model.output
    tied = DecoderPipeline(model, OutputSettings(tie=("", "index_flex")))
    renamed = dataclasses.replace(
        model, dofs=tuple(dataclasses.replace(d, name=f"{d.name}_2") for d in model.dofs)
    )
    with pytest.raises(SettingsError, match="unknown DOF"):
        tied.set_model(renamed)
    assert tied.model is model
    np.testing.assert_array_equal(tied.step(features[0], 0).out_x_hat.shape, (2,))


def test_estimates_of_a_decoder_that_integrates_are_not_integrated_again(model):
    params = model.decoder.get_params() | {"differential": True, "tick_rate": model.tick_rate}
    integrates = type(model.decoder).from_arrays(params, model.decoder.to_arrays())
    model = dataclasses.replace(model, decoder=integrates)
    with pytest.raises(SettingsError, match="integrates velocities itself"):
        DecoderPipeline(model, OutputSettings(mode=("velocity",)))
    DecoderPipeline(model, OutputSettings())


def test_a_snapshot_that_does_not_fit_changes_nothing(model, features):
    decoder = DecoderPipeline(model)
    outputs(decoder, features[:30])
    good = decoder.snapshot()
    other = DecoderPipeline(model, OutputSettings())
    for bad in ({}, other.snapshot(), {k: v for k, v in good.items() if k != "faults"}):
        with pytest.raises(UserError, match="snapshot"):
            decoder.restore(bad)
    for key, value in decoder.snapshot().items():
        np.testing.assert_array_equal(value, good[key])


def test_a_model_does_not_run_on_another_stream(model, unseen):
    for changes in ({"rate": 500.0}, {"unit": "count"}, {"channel_names": ("a", "b")}):
        with pytest.raises(UserError, match="another stream"):
            Pipeline(model, dataclasses.replace(unseen.stream, **changes))
