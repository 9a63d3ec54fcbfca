import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from feature_people import make_person
from known_courses import KINDS

from emghand.simulate.drift import Drift


@pytest.fixture(scope="session")
def person():
    return make_person()


@pytest.fixture(scope="session")
def models(person):
    standard = person.model("kalman", params={"gain": "standard"})
    return {kind: person.model(kind) for kind in KINDS} | {"standard": standard}


@pytest.fixture(scope="session")
def drifted(person):
    """Two minutes of use with a changed gain of each electrode; a window and the truth."""
    rng = np.random.default_rng(5)
    none = Drift.none(person.arm.n_electrodes)
    gain = np.exp(rng.normal(0.0, 0.35, person.arm.n_electrodes))
    drift = dataclasses.replace(none, gain=gain)

    def make(model, seconds=120.0, run=0):
        return person.use(model, seconds, run, drift)

    return make
