"""Fixtures of the system tests; the folder's helpers become importable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

MOVEMENTS = """\
dofs: [thumb_flex, index_flex, middle_flex, ring_flex, little_flex, wrist_flex]
repetitions: 2
rest: 0.5
rise: 0.5
hold: 1.0
fall: 0.5
movements:
  - {name: thumb, targets: {thumb_flex: 1.0}}
  - {name: index, targets: {index_flex: 1.0}}
  - {name: middle, targets: {middle_flex: 1.0}}
  - {name: ring, targets: {ring_flex: 1.0}}
  - {name: little, targets: {little_flex: 1.0}}
  - {name: wrist_in, targets: {wrist_flex: 1.0}}
  - {name: wrist_out, targets: {wrist_flex: -1.0}}
"""


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a decoder trained on the person whom the synthetic device simulates by default."""
    from emghand.signal.settings import FeatureSettings
    from emghand.simulate import simulate_recording
    from emghand.storage.models import save_model
    from emghand.tasks.movements import Schedule, load_movement_set
    from emghand.training import dataset_from_recording, train

    folder = tmp_path_factory.mktemp("model")
    movements = folder / "movements.yaml"
    movements.write_text(MOVEMENTS)
    recording = simulate_recording(Schedule(load_movement_set(movements)))
    path = folder / "person.emgmodel"
    save_model(train(dataset_from_recording(recording, FeatureSettings())), path)
    return path
