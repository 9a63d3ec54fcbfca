"""A session with bags of a synthetic person, as the nodes would have recorded them."""

import sys
import types
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "emghand" / "test" / "bags"))
from bag_maker import TYPES, Maker

from emghand.dofs import Dof
from emghand.settings import digest, to_json
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.storage.bags import BagWriter
from emghand.storage.sessions import Session
from emghand.tasks.movements import Movement, MovementSet, Schedule

TYPES["/features/info"] = "emghand_interfaces/msg/FeatureInfo"
TYPES["/decoder/out_x_hat"] = "sensor_msgs/msg/JointState"
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
    stream = recording.stream
    with BagWriter(path) as writer:
        maker = Maker(writer)
        maker.frame_id = stream.stream
        fields = ("device", "stream", "rate", "block_size", "unit", "full_scale")
        info = {name: getattr(stream, name) for name in fields}
        maker.put(
            "/emg/info",
            types.SimpleNamespace(
                header=maker.header(), channel_names=list(stream.channel_names), **info
            ),
        )
        maker.put(
            "/features/info",
            types.SimpleNamespace(
                header=maker.header(),
                stream=stream.stream,
                names=[],
                rate=stream.rate,
                hop=FEATURES.hop,
                window_hops=FEATURES.window_hops,
                settings=to_json(FEATURES),
                settings_hash=digest(FEATURES),
            ),
        )
        for i, block in enumerate(recording.blocks):
            maker.frame(block.first_sample, block.samples, i + 1, block.stamp_ns)
        x_d = recording.x_d
        for i, (stamp, row) in enumerate(zip(x_d.stamps_ns, x_d.values, strict=True)):
            maker.now = int(stamp)
            maker.series("/task/x_d", x_d.names, row)
            if estimates is not None:
                maker.now = int(stamp)
                maker.series("/decoder/out_x_hat", x_d.names, estimates[i])
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


def make_session(path, subject="p01", **recording):
    """A session with one bag ``collect``."""
    session = Session.create(path, subject)
    bag = write_bag(session.new_bag_path("collect"), simulated(**recording))
    session.add_file(bag)
    return session
