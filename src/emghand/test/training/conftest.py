"""A synthetic person who follows a small movement set, as recordings and as bags."""

import sys
from pathlib import Path

import pytest

from emghand.dofs import DEFAULT_DOFS
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.tasks.movements import Movement, MovementSet, Schedule

sys.path.insert(0, str(Path(__file__).parents[1] / "bags"))
sys.path.insert(0, str(Path(__file__).parents[1] / "networks"))
from bag_maker import write_recording

INDEX, WRIST = DEFAULT_DOFS[1], DEFAULT_DOFS[5]


def record(run, repetitions, prompt=0.0):
    movements = (
        Movement("index", {"index_flex": 1.0}, rise=0.5, hold=0.8, fall=0.5),
        Movement("wrist out", {"wrist_flex": -1.0}, rise=0.5, hold=0.8, fall=0.5),
        Movement("wrist in", {"wrist_flex": 1.0}, rise=0.5, hold=0.8, fall=0.5),
    )
    chosen = MovementSet("small", (INDEX, WRIST), movements, prompt=prompt, rest=0.7)
    schedule = Schedule(chosen, repetitions, shuffle=True, seed=run)
    return simulate_recording(schedule, SyntheticSettings(seed=3, run=run, n_channels=12))


@pytest.fixture(scope="session")
def collected():
    return record(0, 3, prompt=0.4)


@pytest.fixture(scope="session")
def unseen():
    return record(1, 2)


@pytest.fixture(scope="session")
def write_bag():
    return write_recording
