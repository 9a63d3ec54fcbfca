"""A session of the synthetic person: one bag with recorded estimates, one without."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
TRAINING = Path(__file__).parents[1] / "training" / "conftest.py"


def _load(path):
    spec = importlib.util.spec_from_file_location("adapt_training_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_training = _load(TRAINING)
record = _training.record
write_bag = _training.write_bag


@pytest.fixture(scope="session")
def session(tmp_path_factory, write_bag):
    from emghand.pipeline import Pipeline
    from emghand.signal.settings import FeatureSettings
    from emghand.storage.models import save_model
    from emghand.storage.recording import Series
    from emghand.storage.sessions import Session
    from emghand.training import TrainSettings, dataset_from_recording, train

    made = Session.create(tmp_path_factory.mktemp("adapt") / "s01", "p01")
    model = train(dataset_from_recording(record(0, 3), FeatureSettings()), TrainSettings("kalman"))
    save_model(model, made.path / "models" / "kalman.emgmodel")
    recording = record(1, 3)
    run = Pipeline(model, recording.stream).run(recording)
    published = Series(tuple(d.name for d in run.dofs), run.stamps_ns, run.x_hat)
    write_bag(made.new_bag_path("control"), dataclasses.replace(recording, x_hat=published))
    write_bag(made.new_bag_path("test"), record(2, 3))
    return made.path
