"""Movements of the synthetic people of the benchmark, one of each kind."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from emghand.adapt.detector import DetectorSettings

BENCHMARK = Path(__file__).resolve().parents[4] / "benchmark" / "movements.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("movements_benchmark", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_free_use_is_cut_into_its_movements(benchmark):
    result = benchmark.score_use(benchmark.decoded_use(103, 300.0), DetectorSettings())
    assert result.starts.hits > 120
    assert result.starts.f1 >= 0.95
    assert result.starts.error_s <= 0.08
    assert abs(result.starts.bias_s) <= 0.05
    assert result.dof_f1 >= 0.93


def test_prompted_movements_are_found_in_raw_emg(benchmark):
    detector, literature, bursts = benchmark.score_raw(100, 1)
    assert detector.hits + detector.missed == 20
    assert detector.f1 >= 0.9
    assert detector.error_s <= 0.1
    # An envelope sees what leaves rest, and thresholds near the noise see noise.
    assert bursts.hits + bursts.missed == 10
    assert bursts.f1 >= 0.8 > literature.f1
