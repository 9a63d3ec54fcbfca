"""A synthetic person who follows a small movement set, as recordings and as bags."""

import sys
import types
from pathlib import Path

import pytest

from emghand.dofs import DEFAULT_DOFS
from emghand.settings import digest, to_json
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.storage.bags import BagWriter
from emghand.tasks.movements import Movement, MovementSet, Schedule

sys.path.insert(0, str(Path(__file__).parents[1] / "bags"))
sys.path.insert(0, str(Path(__file__).parents[1] / "networks"))
from bag_maker import TYPES, Maker

TYPES["/features/info"] = "emghand_interfaces/msg/FeatureInfo"

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
    return _write_bag


def _write_bag(path, recording, features=None):
    """The recording as the nodes would have recorded it."""
    stream = recording.stream
    with BagWriter(path) as writer:
        maker = Maker(writer)
        maker.put(
            "/emg/info",
            types.SimpleNamespace(
                header=maker.header(),
                device=stream.device,
                stream=stream.stream,
                channel_names=list(stream.channel_names),
                rate=stream.rate,
                block_size=stream.block_size,
                unit=stream.unit,
                full_scale=stream.full_scale,
            ),
        )
        if features is not None:
            maker.put(
                "/features/info",
                types.SimpleNamespace(
                    header=maker.header(),
                    stream=stream.stream,
                    names=[],
                    rate=stream.rate,
                    hop=features.hop,
                    window_hops=features.window_hops,
                    settings=to_json(features),
                    settings_hash=digest(features),
                ),
            )
        for i, block in enumerate(recording.blocks):
            maker.frame(block.first_sample, block.samples, i + 1, block.stamp_ns)
        for stamp, row in zip(recording.x_d.stamps_ns, recording.x_d.values, strict=True):
            maker.now = int(stamp)
            maker.series("/task/x_d", recording.x_d.names, row)
        if recording.x_hat is not None:
            for stamp, row in zip(recording.x_hat.stamps_ns, recording.x_hat.values, strict=True):
                maker.now = int(stamp)
                maker.series("/decoder/x_hat", recording.x_hat.names, row)
        for period in recording.periods:
            maker.now = period.stamp_ns
            maker.put(
                "/session/state",
                types.SimpleNamespace(
                    header=maker.header(),
                    session="s",
                    activity="collect",
                    period=int(period.kind),
                    movement=period.movement,
                    movement_index=period.movement_index,
                    repetition=period.repetition,
                    trial=period.trial,
                    n_trials=9,
                ),
            )
    return path
