"""A session with bags of a synthetic person, as the nodes would have recorded them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "emghand" / "test" / "bags"))
from bag_maker import write_recording

from emghand.dofs import Dof
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.storage.sessions import Session
from emghand.tasks.movements import Movement, MovementSet, Schedule

ACTIONS = ("flex_index", "flex_wrist", "extend_wrist")
FEATURES = FeatureSettings()


def simulated(run=0, repetitions=3, names=ACTIONS):
    timing = {"rise": 0.25, "hold": 0.5, "fall": 0.25}
    movements = tuple(Movement(name, {name: 1.0}, **timing) for name in names)
    dofs = tuple(Dof(name, 0.0, 1.0) for name in names)
    schedule = Schedule(MovementSet("small", dofs, movements, rest=0.4), repetitions)
    settings = SyntheticSettings(seed=3, run=run, n_channels=8, dofs=names)
    return simulate_recording(schedule, settings)


def write_bag(path, recording, estimates=None):
    """Write a recording; `estimates`: rows of out_x_hat at the stamps of its x_d."""
    return write_recording(path, recording, FEATURES, estimates)


def make_session(path, subject="p01", **recording):
    """A session with one bag ``collect``."""
    session = Session.create(path, subject)
    bag = write_bag(session.new_bag_path("collect"), simulated(**recording))
    session.add_file(bag)
    return session
