import dataclasses
import io

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import FeatureFrame, FeatureInfo, StateSnapshot
from live_bench import detail, make_model, make_recording, make_stream, skip_blocks
from rclpy.parameter import Parameter

from decoder_node.decoder_node import load
from emghand.control.settings import OutputSettings
from emghand.errors import UserError
from emghand.pipeline import DecoderPipeline, Pipeline
from emghand.storage.models import save_model
from emghand.storage.recording import Block
from emghand_ros import qos
from emghand_ros.testing import wait_until

pytestmark = pytest.mark.ros


def assert_same(bench, run):
    for topic, values in (("/decoder/x_hat", run.x_hat), ("/decoder/out_x_hat", run.out_x_hat)):
        stamps, heard = bench.series(topic)
        assert stamps == run.stamps_ns.tolist()
        assert heard.tobytes() == values.tobytes()


def test_live_estimates_equal_the_offline_pipeline_to_the_bit(bench):
    model, recording = make_model(), make_recording(4.0)
    assert bench.start(model)
    bench.play(recording)
    run = Pipeline(model, recording.stream).run(recording)
    assert len(run.ticks) > 200
    assert_same(bench, run)
    assert [m.tick for m in bench.heard["/decoder/timing"]] == run.ticks.tolist()
    assert bench.events("/decoder/event", "missed") == []


def test_gaps_and_nan_change_live_and_offline_alike_and_are_announced(bench):
    model = make_model()
    recording = skip_blocks(make_recording(4.0), 60, 61)
    recording = skip_blocks(recording, 120, 140)
    blocks = list(recording.blocks)
    bad = blocks[200].samples.copy()
    bad[3:6, 1] = np.nan
    blocks[200] = dataclasses.replace(blocks[200], samples=bad)
    recording = dataclasses.replace(recording, blocks=blocks)
    bench.start(model)
    bench.play(recording)
    assert_same(bench, Pipeline(model, recording.stream).run(recording))
    gaps = [detail(e) for e in bench.events("/features/event", "gap")]
    assert [(g["action"], g["count"]) for g in gaps] == [
        ("filled", 16),
        ("reset", 320),
        ("filled", 3),
    ]
    resets = bench.events("/decoder/event", "reset")
    assert [detail(e)["reason"] for e in resets] == ["features"]


def test_a_new_stream_starts_both_pipelines_afresh(bench):
    model = make_model()
    first, second = make_recording(1.0), make_recording(1.5, seed=5, stream=make_stream("test-2"))
    bench.start(model)
    bench.play(first)
    bench.play(second)
    runs = [Pipeline(model, r.stream).run(r) for r in (first, second)]
    _, heard = bench.series("/decoder/out_x_hat")
    assert heard.tobytes() == b"".join(r.out_x_hat.tobytes() for r in runs)
    starts = [detail(e)["stream"]["stream"] for e in bench.events("/features/event", "start")]
    assert starts == ["test-1", "test-2"]
    assert [e.tick for e in bench.events("/decoder/event", "start")] == [18, 18]


def test_a_sample_counter_that_begins_anew_is_followed_by_ticks_events_and_snapshots(bench):
    model, other = make_model(0), make_model(1)
    bench.start(model, features={"snapshot_period": 0.5}, snapshot_period=0.5)
    bench.play(make_recording(3.0))
    bench.play(make_recording(1.5, seed=5), describe=False)
    assert bench.load(bench.save(other)).success
    bench.play(make_recording(0.5, first=1488, seed=6), describe=False)
    assert [e.tick for e in bench.events("/decoder/event", "model")] == [1488 // 16]
    assert bench.events("/decoder/event", "missed") == []
    for topic in ("/features/state", "/decoder/state"):
        ticks = [s.tick for s in bench.heard[topic]]
        again = int(np.argmin(np.diff(ticks))) + 1
        assert len(ticks[again:]) >= 2


def test_frames_and_their_description_may_arrive_in_any_order(bench):
    model = make_model()
    old, new = make_recording(1.0), make_recording(1.5, seed=5, stream=make_stream("test-2"))
    bench.start(model)
    bench.play(old)
    for block in new.blocks[:3]:
        bench.frames.publish(bench.frame(new.stream, block))
    other = bench.feature_node._counts
    wait_until(lambda: other["other_stream"] == 3, "early frames to be passed over")
    level, text, _ = bench.graph.call(bench.feature_node.diagnose)
    assert level == DiagnosticStatus.ERROR and "second driver" in text
    bench.describe(new.stream)
    wait_until(lambda: len(bench.heard["/features/info"]) == 2, "the new description")
    late = dataclasses.replace(old.blocks[-1], first_sample=1008)
    bench.frames.publish(bench.frame(old.stream, late))
    rest = dataclasses.replace(new, blocks=new.blocks[3:])
    bench.play(rest, describe=False)
    expected = Pipeline(model, new.stream).run(rest)
    _, heard = bench.series("/decoder/out_x_hat")
    assert heard[-len(expected.ticks) :].tobytes() == expected.out_x_hat.tobytes()


def test_a_frame_with_other_channels_is_refused_and_shown(bench):
    model, recording = make_model(), make_recording(1.0)
    bench.start(model)
    bench.play(recording)
    narrow = Block(recording.blocks[-1].first_sample + 16, 0, np.zeros((16, 3), np.float32))
    bench.frames.publish(bench.frame(recording.stream, narrow))
    wait_until(lambda: bench.events("/features/event", "fault"), "the refusal")
    fault = bench.events("/features/event", "fault")[0]
    assert "3 channels" in detail(fault)["reason"]
    _, _, values = bench.graph.call(bench.feature_node.diagnose)
    assert values["refused"] == 1


def test_a_model_taken_in_hot_decodes_from_the_announced_tick_on(bench):
    old, new = make_model(0), make_model(1)
    bench.start(old)
    first, second = make_recording(2.0), make_recording(2.0, first=2000, seed=7)
    bench.play(first)
    answer = bench.load(bench.save(new))
    assert answer.success and answer.model_id == new.model_id
    bench.play(second, describe=False)
    event = bench.events("/decoder/event", "model")[0]
    assert (event.tick, detail(event)["model_id"]) == (2000 // 16, new.model_id)
    pipeline = Pipeline(old, first.stream)
    ticks = [t for b in first.blocks for t in pipeline.push(b)]
    pipeline.decoder.set_model(new)
    ticks += [t for b in second.blocks for t in pipeline.push(b)]
    expected = np.array([t.decoded.out_x_hat for t in ticks])
    assert bench.series("/decoder/out_x_hat")[1].tobytes() == expected.tobytes()
    assert bench.heard["/decoder/model"][-1].model_id == new.model_id


def test_a_model_that_does_not_fit_is_refused_and_the_old_one_goes_on(bench):
    model = make_model()
    other = make_model(features=dataclasses.replace(model.features, window_hops=10))
    bench.start(model)
    bench.play(make_recording(1.0))
    answer = bench.load(bench.save(other))
    assert not answer.success
    assert "trained with window_hops = 10, feature_node runs with 19" in answer.message
    answer = bench.load(bench.folder / "missing.emgmodel")
    assert not answer.success and "missing.emgmodel" in answer.message
    before = len(bench.heard["/decoder/x_hat"])
    bench.play(make_recording(1.0, first=1008), describe=False)
    assert len(bench.heard["/decoder/x_hat"]) > before
    assert {m.model_id for m in bench.heard["/decoder/model"]} == {model.model_id}


def test_a_model_that_is_too_slow_for_its_ticks_is_refused(tmp_path):
    path = tmp_path / "slow.emgmodel"
    save_model(dataclasses.replace(make_model(), rate=1e9), path)
    with pytest.raises(UserError, match=r"a tick takes .* ms on this machine"):
        load(str(path))


def test_features_of_another_space_are_not_decoded_and_the_reason_is_shown(bench):
    bench.start(make_model(), features={"features": ["rms"]})
    bench.play(make_recording(1.0))
    wait_until(lambda: bench.decoder_node._unused > 10, "frames to be passed over")
    level, message, _ = bench.graph.call(bench.decoder_node.diagnose)
    assert level == b"\x02" and "trained with features = ('mav',)" in message
    assert bench.heard["/decoder/out_x_hat"] == []


def test_features_that_cannot_be_understood_are_not_decoded_by_another_model_either(bench):
    bench.start(make_model(0))
    bench.play(make_recording(1.0))
    infos = bench.node.create_publisher(FeatureInfo, "/features/info", qos.LATCHED)
    infos.publish(FeatureInfo(names=["?"], rate=1.0, settings="{"))
    wait_until(lambda: bench.decoder_node._mismatch, "the description")
    before = len(bench.heard["/decoder/out_x_hat"])
    bench.load(bench.save(make_model(1)))
    bench.play(make_recording(1.0, first=1008), describe=False)
    wait_until(lambda: bench.decoder_node._unused > 10, "frames to be passed over")
    level, message, _ = bench.graph.call(bench.decoder_node.diagnose)
    assert level == b"\x02" and "settings cannot be read" in message
    assert len(bench.heard["/decoder/out_x_hat"]) == before


def test_guard_thresholds_do_not_make_a_model_unfit(bench):
    bench.start(make_model(), features={"guard_fraction": 0.75})
    bench.play(make_recording(1.0))
    assert bench.heard["/decoder/out_x_hat"]


def test_a_faulty_tick_is_announced_and_publishes_nothing(bench):
    model = make_model()
    bench.start(model)
    bench.play(make_recording(1.0))
    outputs = len(bench.heard["/decoder/out_x_hat"])
    last = bench.heard["/features"][-1]
    features = bench.node.create_publisher(FeatureFrame, "/features", qos.TICK)
    wait_until(lambda: features.get_subscription_count() == 2, "the decoder")
    cases = [([np.nan] * 4, 0, "nan"), ([1.0] * 3, 0, "length"), ([0.0] * 4, 1, "quality")]
    for i, (data, quality, _) in enumerate(cases):
        features.publish(
            FeatureFrame(header=last.header, tick=last.tick + 1 + i, quality=quality, data=data)
        )
    features.publish(FeatureFrame(header=last.header, tick=last.tick, data=[0.0] * 4))
    wait_until(lambda: len(bench.events("/decoder/event", "fault")) == 4, "the faults")
    faults = bench.events("/decoder/event", "fault")
    assert [detail(e)["fault"] for e in faults] == ["nan", "length", "quality", "order"]
    assert [e.tick - last.tick for e in faults] == [1, 2, 3, 0]
    assert len(bench.heard["/decoder/out_x_hat"]) == outputs
    assert len(bench.heard["/decoder/x_hat"]) == outputs


def test_ticks_that_never_arrived_are_announced(bench):
    bench.start(make_model())
    bench.play(make_recording(1.0))
    last = bench.heard["/features"][-1]
    features = bench.node.create_publisher(FeatureFrame, "/features", qos.TICK)
    wait_until(lambda: features.get_subscription_count() == 2, "the decoder")
    features.publish(FeatureFrame(header=last.header, tick=last.tick + 5, data=last.data))
    wait_until(lambda: bench.events("/decoder/event", "missed"), "the event")
    event = bench.events("/decoder/event", "missed")[0]
    assert (event.tick, event.last_tick) == (last.tick + 1, last.tick + 4)
    wait_until(lambda: bench.heard["/decoder/timing"][-1].missed == 4, "the count")


def test_output_settings_change_between_two_ticks_and_are_announced(bench):
    model = make_model()
    bench.start(model)
    first, second = make_recording(2.0), make_recording(1.0, first=2000, seed=3)
    bench.play(first)
    set_now = bench.decoder_node.set_parameters
    refused = bench.graph.call(lambda: set_now([Parameter("output.mode", value=["sideways"])]))[0]
    assert not refused.successful and "sideways" in refused.reason
    refused = bench.graph.call(
        lambda: set_now([Parameter("output.gain_positive", value=[1.0, 2.0, 3.0])])
    )[0]
    assert not refused.successful and "give 1 or 2" in refused.reason
    accepted = bench.graph.call(lambda: set_now([Parameter("output.latch", value=["off"])]))[0]
    assert accepted.successful
    bench.play(second, describe=False)
    events = bench.events("/decoder/event", "output")
    settings = dataclasses.replace(OutputSettings(), latch=("off",))
    assert [e.tick for e in events] == [2000 // 16]
    assert detail(events[0])["output"]["latch"] == ["off"]
    pipeline = Pipeline(model, first.stream)
    ticks = [t for b in first.blocks for t in pipeline.push(b)]
    pipeline.decoder.set_output(settings)
    ticks += [t for b in second.blocks for t in pipeline.push(b)]
    expected = np.array([t.decoded.out_x_hat for t in ticks])
    assert bench.series("/decoder/out_x_hat")[1].tobytes() == expected.tobytes()


def test_the_output_filters_come_from_the_model_unless_the_parameters_are_asked_for(bench):
    tuned = dataclasses.replace(make_model(), output=OutputSettings(speed_limit=(2.5,)))
    bench.start(tuned)
    assert list(bench.decoder_node.get_parameter("output.speed_limit").value) == [2.5]


def test_the_output_filters_come_from_the_parameters_when_asked_for(bench):
    tuned = dataclasses.replace(make_model(), output=OutputSettings(speed_limit=(2.5,)))
    bench.start(tuned, output_source="parameters", output__speed_limit=[1.5])
    assert list(bench.decoder_node.get_parameter("output.speed_limit").value) == [1.5]
    bench.play(make_recording(1.0))
    assert detail(bench.events("/decoder/event", "start")[0])["output"]["speed_limit"] == [1.5]


def test_a_replay_from_any_snapshot_gives_the_same_bits(bench):
    model, recording = make_model(), make_recording(4.0)
    bench.start(model, features={"snapshot_period": 1.0}, snapshot_period=1.0)
    bench.play(recording)
    wait_until(lambda: len(bench.heard["/decoder/state"]) >= 3, "snapshots")
    for snapshot in bench.heard["/decoder/state"]:
        arrays = dict(np.load(io.BytesIO(bytes(snapshot.data)), allow_pickle=False))
        decoder = DecoderPipeline(model)
        decoder.restore(arrays)
        after = [m for m in bench.heard["/features"] if m.tick > snapshot.tick]
        outs = [decoder.step(np.array(m.data), m.tick, m.quality).out_x_hat for m in after]
        heard = bench.series("/decoder/out_x_hat")[1][-len(after) :] if after else np.zeros((0, 2))
        assert np.array(outs).reshape(-1, 2).tobytes() == heard.tobytes()
    pipeline = Pipeline(model, recording.stream).features
    for snapshot in bench.heard["/features/state"]:
        pipeline.restore(dict(np.load(io.BytesIO(bytes(snapshot.data)), allow_pickle=False)))
        end = (snapshot.tick + 1) * 16
        ticks = [
            t
            for b in recording.blocks
            if b.first_sample >= end
            for t in pipeline.push(b.samples, b.first_sample)
        ]
        heard = [m for m in bench.heard["/features"] if m.tick > snapshot.tick]
        assert [t.z.tobytes() for t in ticks] == [bytes(m.data) for m in heard]


def test_a_new_listener_soon_gets_a_snapshot(bench):
    bench.start(make_model())
    bench.play(make_recording(2.0))
    late = []
    bench.node.create_subscription(StateSnapshot, "/features/state", late.append, qos.SNAPSHOT)
    bench.node.create_subscription(StateSnapshot, "/decoder/state", late.append, qos.SNAPSHOT)
    first = 2000

    def play_on_until_both_came():
        nonlocal first
        bench.play(make_recording(0.16, first=first), describe=False)
        first += 160
        return len(late) == 2

    wait_until(play_on_until_both_came, "both snapshots")
    assert min(s.tick for s in late) >= 2000 // 16
