"""A session of the synthetic person with two models, made once; and the makers of other rooms."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS / "evaluate"))


def _load(path):
    spec = importlib.util.spec_from_file_location(f"report_{path.parent.name}_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_training = _load(TESTS / "training" / "conftest.py")
collected = _training.collected
unseen = _training.unseen
write_bag = _training.write_bag


@pytest.fixture(scope="session")
def session(tmp_path_factory, collected, unseen, write_bag):
    from emghand.signal.settings import FeatureSettings
    from emghand.storage.models import save_model
    from emghand.storage.sessions import Session
    from emghand.training import TrainSettings, dataset_from_recording, train

    made = Session.create(tmp_path_factory.mktemp("report") / "s01", "p01")
    dataset = dataset_from_recording(collected, FeatureSettings())
    for kind in ("kalman", "ridge"):
        model = train(dataset, TrainSettings(kind))
        save_model(model, made.path / "models" / f"{kind}.emgmodel")
    write_bag(made.new_bag_path("test"), unseen)
    return made


@pytest.fixture(scope="session")
def timed_bag(tmp_path_factory):
    """Bag of a live run of 200 ticks with known latencies, in ms: 2, 0.1, 0.05, 0.25."""
    from bag_maker import MS, TYPES, Maker

    from emghand.storage.bags import BagWriter

    TYPES["/decoder/timing"] = "emghand_interfaces/msg/TickTiming"
    path = tmp_path_factory.mktemp("timed") / "live"
    with BagWriter(path) as writer:
        maker = Maker(writer)
        for tick in range(200):
            maker.now += 15 * MS
            maker.put(
                "/decoder/timing",
                types.SimpleNamespace(
                    header=maker.header(maker.now - 2 * MS),
                    tick=tick,
                    arrival_ns=2_000_000,
                    decode_ns=100_000,
                    filter_ns=50_000,
                    publish_ns=250_000,
                    total_ns=2_400_000,
                    missed=3 + (tick > 100),
                ),
            )
            maker.series("/decoder/out_x_hat", ["index_flex"], [0.0])
    return path
