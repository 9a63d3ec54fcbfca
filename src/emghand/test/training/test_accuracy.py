"""The accuracy the project promises, by the code of the benchmark."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from emghand.evaluate.offline import evaluate
from emghand.signal.settings import FeatureSettings
from emghand.storage.datasets import read_jhu
from emghand.training import dataset_from_recording, train

DATA = Path(os.environ.get("EMGHAND_DATA", "../shared/data")) / "jhu_myo_mediapipe"
BENCHMARK = Path(__file__).resolve().parents[4] / "benchmark" / "accuracy.py"


@pytest.fixture
def benchmark(monkeypatch):
    spec = importlib.util.spec_from_file_location("accuracy", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up there.
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recording at {DATA}, EMGHAND_DATA?")
@pytest.mark.parametrize("decoder", ["ridge", "kalman"])
def test_five_fingers_of_a_real_recording(benchmark, decoder):
    """At least 0.50; a figure far above the 0.55 of outside baselines would mean a leak."""
    found = benchmark.jhu(read_jhu(DATA, rate=benchmark.JHU_RATE), decoder)
    assert 0.50 <= found.scores.mean_r2 <= 0.65
    assert found.null <= 0.1
    assert found.ticks > 5400


def test_six_dofs_of_a_synthetic_person_with_default_settings(benchmark):
    seen = benchmark.synthetic_recording(person=1, run=0, repetitions=3)
    unseen = benchmark.synthetic_recording(person=1, run=1, repetitions=1)
    model = train(dataset_from_recording(seen, FeatureSettings()))
    found = evaluate(model, [unseen])
    assert found.x_hat_compensated.mean_r2 >= 0.85
    assert found.out_x_hat_compensated.mean_r2 >= 0.85
    assert np.nanmax(found.out_x_hat_compensated.unintended) < 0.1


def test_examples_do_not_depend_on_what_comes_after_them(collected):
    early = dataclasses.replace(collected, blocks=collected.blocks[:500])
    data, whole = (dataset_from_recording(r, FeatureSettings()) for r in (early, collected))
    np.testing.assert_array_equal(data.Z, whole.Z[: len(data)])
    np.testing.assert_array_equal(data.X, whole.X[: len(data)])
