"""The real nodes, recorded by the real recorder, repeated offline."""

import dataclasses
import time

import numpy as np
import pytest
from emghand_interfaces.msg import EmgFrame, EmgInfo
from emghand_interfaces.srv import LoadModel
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

import decoder_node.adaptation
from bag_tools.recorder import BagRecorder
from decoder_node.decoder_node import DecoderNode
from decoder_node.feature_node import FeatureNode
from emghand.adapt.proposal import CandidateScore, Changes, Proposal
from emghand.decoders import RidgeDecoder
from emghand.decoders.normaliser import Normaliser
from emghand.dofs import parse_dofs
from emghand.replay import check_bag
from emghand.signal.settings import FeatureSettings
from emghand.storage.bags import BagReader
from emghand.storage.models import Model, load_model, save_model
from emghand_ros import conversions, qos
from emghand_ros.testing import Graph, wait_until

pytestmark = pytest.mark.ros
NAMES = ("a", "b", "c", "d")


def model_file(folder, seed):
    rng = np.random.default_rng(seed)
    n = len(NAMES)
    model = Model(
        decoder=RidgeDecoder().fit(rng.standard_normal((99, n)), rng.standard_normal((99, 2))),
        normaliser=Normaliser.fit(np.abs(1e-4 * rng.standard_normal((99, n)))),
        dofs=parse_dofs(["index_flex", "wrist_flex"]),
        features=FeatureSettings(),
        n_channels=n,
        rate=1000.0,
        channel_names=NAMES,
    )
    path = folder / f"{seed}.emgmodel"
    save_model(model, path)
    return path


class Source(Node):
    def __init__(self):
        super().__init__("source")
        self.raw = self.create_publisher(EmgFrame, "/emg/raw", qos.EMG)
        self.info = self.create_publisher(EmgInfo, "/emg/info", qos.LATCHED)
        self.rng = np.random.default_rng(3)
        self.sample = 0
        self.stream = ""

    def open(self, stream):
        self.stream, self.sample = stream, 0
        info = EmgInfo(device="test", stream=stream, channel_names=NAMES, rate=1000.0, unit="V")
        self.info.publish(info)

    def frames(self, count, drop=()):
        for i in range(count):
            block = 1e-4 * self.rng.standard_normal((16, len(NAMES)))
            if i not in drop:
                frame = conversions.emg_to_ros(block, self.sample, 0, time.time_ns(), self.stream)
                self.raw.publish(frame)
            self.sample += 16
            time.sleep(0.002)


def request(graph, source, kind, name, **fields):
    client = source.create_client(kind, name)
    assert client.wait_for_service(5.0)
    response = graph.result(client.call_async(kind.Request(**fields)), name)
    assert response.success, response.message


def test_what_the_nodes_did_live_is_repeated_to_the_bit(tmp_path):
    first, second = (model_file(tmp_path, seed) for seed in (1, 2))
    with Graph() as graph:
        source = graph.add(Source())
        features = graph.add(FeatureNode())
        model = Parameter("model", value=str(first))
        decoder = graph.add(DecoderNode(parameter_overrides=[model]))
        recorder = graph.add(BagRecorder())
        for node in (features, decoder, recorder):
            assert graph.call(node.start), node.failure
        wait_until(lambda: source.raw.get_subscription_count() == 1, "feature_node listens")
        source.open("one")
        source.frames(50)
        recorder.start_recording(str(tmp_path / "bag"), ())
        recording = recorder._recording
        # Everybody listens; what follows begins in the middle of a run.
        wait_until(lambda: source.raw.get_subscription_count() == 2, "the recorder listens")
        wait_until(lambda: "/decoder/state" in recording.topics, "the recorder knows the topics")
        wait_until(
            lambda: len(recorder._asked[1]) == 2 and not recorder._to_ask,
            "the recorder asks for snapshots",
        )
        source.frames(100, drop=(30, 60, 61, 62))
        request(graph, source, LoadModel, "/decoder_node/load_model", uri=str(second))
        source.frames(50)
        graph.call(lambda: decoder.set_parameters([Parameter("output.speed_limit", value=[0.5])]))
        source.frames(50)
        request(graph, source, Trigger, "/decoder_node/reset")
        source.frames(50)
        source.open("two")
        source.frames(60)
        wait_until(lambda: decoder._tick == 59, "the last tick is decoded")
        time.sleep(0.2)
        report = recorder.stop_recording()
    assert report["lost"] == 0
    replay = check_bag(tmp_path / "bag")
    assert replay.passed, replay.to_json()
    assert replay.x_hat.compared > 250
    assert len(replay.models) == 2
    assert replay.breaks == []


class Turn:
    """Proposes the calibration decoder with a gain that differs every time."""

    name = "turn"

    def __init__(self, uri):
        self.model = load_model(uri)

    def propose(self, window):
        arrays = self.model.normaliser.to_arrays()
        arrays["mean"] = arrays["mean"] + 0.1 * window.Z.mean(axis=0)
        normaliser = Normaliser.from_arrays(arrays)
        model = dataclasses.replace(self.model, normaliser=normaliser)
        scores = (CandidateScore("turned", 0.0),)
        return Proposal(model, "it turned", self.name, "turned", scores, Changes.none(len(NAMES)))


def test_what_adaptation_did_live_is_repeated_to_the_bit(tmp_path, monkeypatch):
    path = model_file(tmp_path, 1)
    monkeypatch.setattr(decoder_node.adaptation, "rule_for", lambda uri, options: lambda: Turn(uri))
    given = {
        "model": str(path), "adaptation.enabled": True, "adaptation.need_hand": False,
        "adaptation.wait": True, "adaptation.update_s": 2.0, "adaptation.rest_zone": 1.0,
        "adaptation.rest_s": 0.0, "output.gain_positive": [0.1], "output.gain_negative": [0.1],
        "output_source": "parameters", "adaptation.folder": str(tmp_path / "elsewhere"),
    }  # fmt: skip
    with Graph() as graph:
        source = graph.add(Source())
        features = graph.add(FeatureNode())
        decoder = graph.add(
            DecoderNode(parameter_overrides=[Parameter(k, value=v) for k, v in given.items()])
        )
        recorder = graph.add(BagRecorder())
        for node in (features, decoder, recorder):
            assert graph.call(node.start), node.failure
        recorder.start_recording(str(tmp_path / "bag"), ())
        wait_until(lambda: source.raw.get_subscription_count() == 2, "everybody listens")
        source.open("one")
        source.frames(600, drop=(333,))
        request(graph, source, Trigger, "/decoder_node/undo_adaptation")
        source.frames(100)
        wait_until(lambda: decoder._tick == 699, "the last tick is decoded")
        time.sleep(0.2)
        report = recorder.stop_recording()
    assert report["lost"] == 0
    with BagReader(tmp_path / "bag") as bag:
        kinds = [bag.decode(m).kind for m in bag.messages(["/decoder/adaptation"])]
    assert kinds.count("swapped") >= 3 and kinds.count("undone") == 1
    replay = check_bag(tmp_path / "bag")
    assert replay.passed, replay.to_json()
    assert len(replay.models) >= 4
