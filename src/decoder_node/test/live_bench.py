"""Real nodes, real messages, a small real model."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
from emghand_interfaces.msg import (
    EmgFrame,
    EmgInfo,
    FeatureFrame,
    FeatureInfo,
    ModelInfo,
    PipelineEvent,
    StateSnapshot,
    TickTiming,
)
from emghand_interfaces.srv import LoadModel
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from decoder_node.decoder_node import DecoderNode
from decoder_node.feature_node import FeatureNode
from emghand.decoders.normaliser import Normaliser
from emghand.decoders.ridge import RidgeDecoder
from emghand.dofs import Dof
from emghand.pipeline import feature_ticks
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import Model, save_model
from emghand.storage.recording import Block, Recording, Stream
from emghand_ros import qos
from emghand_ros.conversions import emg_to_ros, stream_to_ros, time_to_ns
from emghand_ros.node import EmghandNode
from emghand_ros.testing import wait_until

START_NS = 1_700_000_000_000_000_000
TOPICS = (
    (FeatureFrame, "/features", qos.TICK),
    (FeatureInfo, "/features/info", qos.LATCHED),
    (PipelineEvent, "/features/event", qos.EVENT),
    (StateSnapshot, "/features/state", qos.SNAPSHOT),
    (JointState, "/decoder/x_hat", qos.TICK),
    (JointState, "/decoder/out_x_hat", qos.TICK),
    (TickTiming, "/decoder/timing", qos.TICK),
    (PipelineEvent, "/decoder/event", qos.EVENT),
    (StateSnapshot, "/decoder/state", qos.SNAPSHOT),
    (ModelInfo, "/decoder/model", qos.LATCHED),
)


def make_stream(name="test-1"):
    return Stream("test", name, ("a", "b", "c", "d"), 1000.0, 16, "V", 1.0)


def make_recording(seconds=2.0, first=0, seed=0, stream=None):
    """EMG-like noise whose amplitude changes slowly."""
    stream = stream or make_stream()
    count = int(seconds * stream.rate) // 16 * 16
    rng = np.random.default_rng(seed)
    swell = 1.0 + np.sin(np.arange(count)[:, None] / 300.0 + np.arange(stream.n_channels))
    samples = (1e-4 * swell * rng.normal(size=(count, stream.n_channels))).astype(np.float32)
    blocks = [
        Block(first + i, START_NS + round((first + i) * 1e9 / stream.rate), samples[i : i + 16])
        for i in range(0, count, 16)
    ]
    return Recording("test", stream, blocks)


def make_model(seed=0, features=None, dofs=("index_flex", "wrist_flex")):
    recording = make_recording(3.0, seed=seed)
    features = features or FeatureSettings()
    Z = np.array([tick.z for _, tick in feature_ticks(features, recording)])
    X = np.sin(np.arange(len(Z))[:, None] / (5.0 + np.arange(len(dofs)) + seed))
    normaliser = Normaliser.fit(Z)
    stream = recording.stream
    return Model(
        decoder=RidgeDecoder().fit(normaliser.apply(Z), X),
        normaliser=normaliser,
        dofs=tuple(Dof(name) for name in dofs),
        features=features,
        n_channels=stream.n_channels,
        rate=stream.rate,
        channel_names=stream.channel_names,
        training_hash=f"{seed:064x}",
    )


class Bench:
    """feature_node and decoder_node, fed with EMG, with everything they say kept."""

    def __init__(self, graph, folder):
        self.graph = graph
        self.folder = folder
        self.heard = {topic: [] for _, topic, _ in TOPICS}
        self.node = graph.add(EmghandNode("bench"))
        for kind, topic, profile in TOPICS:
            self.node.create_subscription(kind, topic, self.heard[topic].append, profile)
        self.frames = self.node.create_publisher(EmgFrame, "/emg/raw", qos.EMG)
        self.infos = self.node.create_publisher(EmgInfo, "/emg/info", qos.LATCHED)

    def start(self, model=None, features=None, **parameters):
        features = [Parameter(k, value=v) for k, v in (features or {}).items()]
        given = [Parameter(k.replace("__", "."), value=v) for k, v in parameters.items()]
        if model is not None:
            given.append(Parameter("model", value=str(self.save(model))))
        self.feature_node = self.graph.add(FeatureNode(parameter_overrides=features))
        self.decoder_node = self.graph.add(DecoderNode(parameter_overrides=given))
        started = [self.graph.call(n.start) for n in (self.feature_node, self.decoder_node)]
        self.loader = self.node.create_client(LoadModel, "/decoder_node/load_model")
        wait_until(self._connected, "discovery")
        return all(started)

    def _connected(self):
        def listeners(publisher):
            return publisher.get_subscription_count()

        return (
            self.loader.service_is_ready()
            and listeners(self.frames) == listeners(self.infos) == 1
            and all(
                listeners(p) >= (2 if p.topic_name in ("/features", "/features/info") else 1)
                for node in (self.feature_node, self.decoder_node)
                for p in node.publishers
                if p.topic_name in self.heard
            )
        )

    def save(self, model):
        path = self.folder / f"{model.model_id[:12]}.emgmodel"
        if not path.exists():
            save_model(model, path)
        return path

    def describe(self, stream):
        self.infos.publish(stream_to_ros(stream))

    @staticmethod
    def frame(stream, block):
        return emg_to_ros(block.samples, block.first_sample, 0, block.stamp_ns, stream.stream)

    def play(self, recording, describe=True):
        """Feed a recording; returns when the features of its last tick were heard."""
        stream = recording.stream
        if describe:
            before = len(self.heard["/features/info"])
            self.describe(stream)
            wait_until(lambda: len(self.heard["/features/info"]) > before, "/features/info")
        # No more at once than the depth of the queues: 100 ticks are 1.6 s of EMG.
        for i in range(0, len(recording.blocks), 100):
            for block in recording.blocks[i : i + 100]:
                self.frames.publish(self.frame(stream, block))
            end = block.first_sample + len(block.samples)
            wait_until(
                lambda end=end: (
                    self.heard["/features"][-1:]
                    and self.heard["/features"][-1].tick == end // 16 - 1
                ),
                "the last features",
            )
            self.settle()

    def settle(self):
        """Wait until the decoder has seen every feature frame, and the bench what came of it."""
        last = self.heard["/features"][-1].tick
        decoder = self.decoder_node
        if decoder._pipeline is None or decoder._mismatch:
            return
        wait_until(lambda: decoder._tick == last, "the last tick to be decoded")
        wait_until(lambda: len(self.heard["/decoder/timing"]) == decoder._decoded, "timing")

    def load(self, uri):
        return self.graph.result(
            self.loader.call_async(LoadModel.Request(uri=str(uri))), "load_model"
        )

    def events(self, topic, kind=None):
        return [e for e in self.heard[topic] if kind is None or e.kind == kind]

    def series(self, topic):
        """Stamps [ns] and positions."""
        messages = self.heard[topic]
        return (
            [time_to_ns(m.header.stamp) for m in messages],
            np.array([m.position for m in messages]),
        )


def detail(event):
    return json.loads(event.detail)


def skip_blocks(recording, start, stop):
    kept = [b for i, b in enumerate(recording.blocks) if not start <= i < stop]
    return dataclasses.replace(recording, blocks=kept)
