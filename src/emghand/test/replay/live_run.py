"""Writes a bag as the two nodes would, with everything that can happen to them."""

import dataclasses
import io
import json
import types

import numpy as np

from emghand.control.decoder_pipeline import DecoderPipeline
from emghand.control.settings import OutputSettings
from emghand.decoders import RidgeDecoder
from emghand.decoders.normaliser import Normaliser
from emghand.dofs import parse_dofs
from emghand.pipeline import FeaturePipeline
from emghand.settings import to_json
from emghand.signal.settings import FeatureSettings
from emghand.storage.bags import BagWriter, Topic
from emghand.storage.bags.definitions import Types, find_definition
from emghand.storage.models import Model
from emghand.storage.recording import Stream

T0 = 1_700_000_000_000_000_000
RATE = 1000.0
CHANNELS = 4
NAMES = tuple(f"c{i}" for i in range(CHANNELS))
DOFS = parse_dofs(["index_flex", "wrist_flex"])
FEATURES = FeatureSettings(window_hops=4, features=("mav", "wl", "ar"), notch_hz=0.0)
TYPES = {
    "/emg/raw": "emghand_interfaces/msg/EmgFrame",
    "/emg/info": "emghand_interfaces/msg/EmgInfo",
    "/features": "emghand_interfaces/msg/FeatureFrame",
    "/features/event": "emghand_interfaces/msg/PipelineEvent",
    "/features/state": "emghand_interfaces/msg/StateSnapshot",
    "/decoder/event": "emghand_interfaces/msg/PipelineEvent",
    "/decoder/state": "emghand_interfaces/msg/StateSnapshot",
    "/decoder/x_hat": "sensor_msgs/msg/JointState",
    "/decoder/out_x_hat": "sensor_msgs/msg/JointState",
}


def make_model(seed, **output):
    rng = np.random.default_rng(seed)
    n = 6 * CHANNELS  # ar are four
    decoder = RidgeDecoder().fit(rng.standard_normal((200, n)), rng.standard_normal((200, 2)))
    normaliser = Normaliser.fit(np.abs(rng.standard_normal((50, n))))
    return Model(
        decoder=decoder, normaliser=normaliser, dofs=DOFS, features=FEATURES,
        n_channels=CHANNELS, rate=RATE, channel_names=NAMES, output=OutputSettings(**output),
    )  # fmt: skip


def pack(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def message(**fields):
    return types.SimpleNamespace(**fields)


class LiveRun:
    """Both nodes in one, feeding a bag."""

    def __init__(self, path, model, period=20):
        self.writer = BagWriter(path)
        self.types = Types()
        self.topics = {}
        self.rng = np.random.default_rng(5)
        self.now = T0
        self.model = model
        self.period = period
        self.recording = True
        self.next_sample = 0
        self.next_stream = 0
        self.decoder = None
        self.decoder_tick = -1
        self.missing_ticks = set()
        self.before_tick = {}
        self.open_stream()

    def close(self):
        self.writer.close()

    def put(self, topic, **fields):
        if topic not in self.topics:
            definition = find_definition(TYPES[topic])
            self.topics[topic] = Topic(topic, TYPES[topic], definition=definition)
            self.writer.add_topic(self.topics[topic])
        stamp = fields.pop("stamp", self.now)
        sec, nanosec = divmod(stamp, 10**9)
        header = message(stamp=message(sec=sec, nanosec=nanosec), frame_id="")
        data = self.types.encode(self.topics[topic], message(header=header, **fields))
        self.now += 1000
        if self.recording:
            assert self.writer.write(topic, data, self.now, wait=True)

    def event(self, node, kind, tick, last_tick=None, **detail):
        self.put(
            f"/{node}/event", node=node, kind=kind, tick=tick,
            last_tick=tick if last_tick is None else last_tick, detail=json.dumps(detail),
        )  # fmt: skip

    def snapshot(self, node, tick, arrays, settings, model_id=""):
        self.put(
            f"/{node}/state", node=node, tick=tick, model_id=model_id, settings=settings,
            data=pack(arrays),
        )  # fmt: skip

    def open_stream(self):
        self.next_stream += 1
        self.next_sample = 0
        self.stream = f"s{self.next_stream}"
        self.info = Stream("synthetic", self.stream, NAMES, RATE, 16)
        self.describe()
        self.features = FeaturePipeline(FEATURES, CHANNELS, RATE, 0.0, NAMES)
        self.features_started = False
        self.decoder_fresh = True
        self.due = True

    def describe(self):
        self.put("/emg/info", **dataclasses.asdict(self.info))

    def frames(self, count, *, drop=(), lose_in_node=(), lose_in_bag=(), scale=1.0, block=16):
        """So many frames; some never leave the device, reach the node, or reach the bag."""
        for i in range(count):
            samples = scale * self.rng.standard_normal((block, CHANNELS)).astype(np.float32)
            first, self.next_sample = self.next_sample, self.next_sample + block
            if i in drop:
                continue
            stamp = self.now = self.now + 16_000_000
            recording, self.recording = self.recording, self.recording and i not in lose_in_bag
            self.put(
                "/emg/raw", first_sample=first, dropped=0, n_channels=CHANNELS,
                data=samples.ravel(), stamp=stamp,
            )  # fmt: skip
            self.recording = recording
            if i not in lose_in_node:
                self.feature_node(samples, first, stamp)

    def feature_node(self, samples, first, stamp):
        if not self.features_started:
            self.features_started = True
            self.event(
                "features", "start", first // FEATURES.hop, first_sample=first,
                stream=dataclasses.asdict(self.info), settings=dataclasses.asdict(FEATURES),
            )  # fmt: skip
        ticks = self.features.push(samples.astype(np.float64), first)
        for t in ticks:
            ns = stamp + round((t.last_sample - first) * 1e9 / RATE)
            self.put("/features", stamp=ns, tick=t.tick, quality=t.quality, reset=t.reset, data=t.z)
        if ticks and (self.due or ticks[-1].tick % self.period == 0):
            self.due = False
            self.snapshot("features", ticks[-1].tick, self.features.snapshot(), to_json(FEATURES))
        for g in self.features.take_gaps():
            self.event(
                "features", "gap", g.tick, first_sample=g.first_sample, count=g.count,
                action=g.action,
            )  # fmt: skip
        for t in ticks:
            ns = stamp + round((t.last_sample - first) * 1e9 / RATE)
            if t.tick not in self.missing_ticks:
                self.decoder_node(t, ns)

    def told(self):
        return {
            "model_id": self.model.model_id, "uri": "",
            "output": dataclasses.asdict(self.decoder.output),
        }  # fmt: skip

    def decoder_node(self, t, stamp):
        if self.decoder is None:
            self.decoder = DecoderPipeline(self.model)
        snapshot_due = t.tick % self.period == 3
        if self.decoder_fresh:
            self.decoder_fresh = False
            self.decoder.reset()
            self.event("decoder", "start", t.tick, **self.told())
            snapshot_due = True
        elif t.reset:
            self.decoder.reset()
            self.event("decoder", "reset", t.tick, reason="features")
        elif t.tick > self.decoder_tick + 1:
            self.event("decoder", "missed", self.decoder_tick + 1, t.tick - 1)
        decoded = self.decoder.step(t.z, t.tick, t.quality)
        self.decoder_tick = t.tick
        if decoded.x_hat is None:
            self.event("decoder", "fault", t.tick, fault=decoded.fault)
            return
        empty = np.empty(0)
        for topic, values in (
            ("/decoder/out_x_hat", decoded.out_x_hat), ("/decoder/x_hat", decoded.x_hat)
        ):  # fmt: skip
            self.put(
                topic, stamp=stamp, name=[d.name for d in DOFS], position=values,
                velocity=empty, effort=empty,
            )  # fmt: skip
        if snapshot_due and not self.decoder.blending:
            self.snapshot(
                "decoder", t.tick, self.decoder.snapshot(), to_json(self.decoder.output),
                self.model.model_id,
            )  # fmt: skip

    def swap_model(self, model, blend_s=0.0):
        self.model = model
        self.decoder.set_model(model, blend_s)
        told = self.told() | ({"blend_s": blend_s} if blend_s else {})
        self.event("decoder", "model", self.decoder_tick + 1, **told)

    def set_output(self, **settings):
        self.decoder.set_output(OutputSettings(**settings))
        self.event("decoder", "output", self.decoder_tick + 1, **self.told())

    def reset_decoder(self):
        self.decoder.reset()
        self.event("decoder", "reset", self.decoder_tick + 1, reason="service")
