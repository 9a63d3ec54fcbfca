"""Recordings of several made-up people over several days, small enough for every decoder."""

import dataclasses
import functools

from emghand.dofs import DEFAULT_DOFS
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.tasks.movements import Movement, MovementSet, Schedule
from emghand.training import dataset_from_recording, join

INDEX, WRIST = DEFAULT_DOFS[1], DEFAULT_DOFS[5]
VISITS = (
    (0, "s01", "2026-03-01"),
    (0, "s01", "2026-03-01"),
    (0, "s02", "2026-03-01"),
    (0, "s03", "2026-03-02"),
    (1, "s01", "2026-03-01"),
)
"""Person, session and day of each recording."""


@functools.cache
def make_recording(person, run):
    """Three repetitions of two movements, 14 s, 4 channels."""
    movements = (
        Movement("index", {"index_flex": 1.0}, rise=0.3, hold=0.4, fall=0.3),
        Movement("wrist", {"wrist_flex": -1.0}, rise=0.3, hold=0.4, fall=0.3),
    )
    chosen = MovementSet("small", (INDEX, WRIST), movements, prompt=0.1, rest=1.2)
    settings = SyntheticSettings(seed=person + 1, run=run, n_channels=4)
    recording = simulate_recording(Schedule(chosen, 3, shuffle=True, seed=run), settings)
    _, session, day = VISITS[run % len(VISITS)]
    return dataclasses.replace(recording, subject=f"p{person}", session=session, date=day)


@functools.cache
def make_dataset(hop=64):
    """All visits as one set of examples: 16 ticks per second keep it small."""
    return join(examples(list(recordings()), hop))


def recordings():
    """One recording per visit."""
    for run, (person, _, _) in enumerate(VISITS):
        yield make_recording(person, run)


def examples(recorded, hop=64):
    """Examples of each recording."""
    settings = FeatureSettings(hop=hop, window_hops=4)
    return [dataset_from_recording(r, settings) for r in recorded]


def garbage(rng, shape, size=1e6):
    """Finite numbers that no statistic survives."""
    return rng.normal(0.0, size, shape) * rng.choice([1.0, 1e-3, 1e3], shape)
