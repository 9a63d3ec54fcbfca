"""Writes bags with raw EMG, labels and estimates through the project's own writer."""

import dataclasses
import types

import numpy as np

from emghand.settings import digest, to_json
from emghand.storage.bags import BagWriter, Topic
from emghand.storage.bags.definitions import Types, find_definition

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
TYPES = {
    "/emg/raw": "emghand_interfaces/msg/EmgFrame",
    "/emg/info": "emghand_interfaces/msg/EmgInfo",
    "/task/x_d": "sensor_msgs/msg/JointState",
    "/glove/dof": "sensor_msgs/msg/JointState",
    "/decoder/x_hat": "sensor_msgs/msg/JointState",
    "/decoder/out_x_hat": "sensor_msgs/msg/JointState",
    "/session/state": "emghand_interfaces/msg/SessionState",
    "/features": "emghand_interfaces/msg/FeatureFrame",
    "/features/info": "emghand_interfaces/msg/FeatureInfo",
}


def namespace(**values):
    return types.SimpleNamespace(**values)


class Maker:
    """Encodes messages with the type store and hands them to a writer."""

    def __init__(self, writer, prefix=""):
        self.writer = writer
        self.prefix = prefix
        self.types = Types()
        self.topics = {}
        self.now = T0
        self.frame_id = "synthetic"

    def put(self, topic, message, sequence=0):
        if topic not in self.topics:
            found = find_definition(TYPES[topic])
            self.topics[topic] = Topic(topic, TYPES[topic], definition=found)
        definition = self.topics[topic]
        name = self.prefix + topic
        self.writer.add_topic(dataclasses.replace(definition, name=name))
        self.now += MS
        data = self.types.encode(definition, message)
        assert self.writer.write(name, data, self.now, self.now - MS // 10, sequence, wait=True)

    def header(self, stamp=None):
        sec, nanosec = divmod(self.now if stamp is None else stamp, 10**9)
        return namespace(stamp=namespace(sec=sec, nanosec=nanosec), frame_id=self.frame_id)

    def info(self, stream="a", channels=4):
        self.put(
            "/emg/info",
            namespace(
                header=self.header(),
                device="synthetic",
                stream=stream,
                channel_names=[f"c{i}" for i in range(channels)],
                rate=1000.0,
                block_size=16,
                unit="V",
                full_scale=0.0,
            ),
        )

    def frame(self, first, samples, sequence=0, stamp=None):
        self.put(
            "/emg/raw",
            namespace(
                header=self.header(stamp),
                first_sample=first,
                dropped=0,
                n_channels=samples.shape[1],
                data=samples.astype(np.float32).ravel(),
            ),
            sequence,
        )

    def series(self, topic, names, values):
        empty = np.empty(0)
        self.put(
            topic,
            namespace(
                header=self.header(),
                name=list(names),
                position=np.asarray(values, np.float64),
                velocity=empty,
                effort=empty,
            ),
        )

    def feature(self, tick, sequence=0):
        self.put(
            "/features",
            namespace(header=self.header(), tick=tick, quality=0, reset=False, data=np.ones(3)),
            sequence,
        )

    def state(
        self,
        period,
        movement="fist",
        trial=0,
        activity="collect",
        n_trials=1,
        movement_index=0,
        repetition=0,
    ):
        self.put(
            "/session/state",
            namespace(
                header=self.header(),
                session="s",
                activity=activity,
                period=period,
                movement=movement,
                movement_index=movement_index,
                repetition=repetition,
                trial=trial,
                n_trials=n_trials,
            ),
        )


def write_recording(path, recording, features=None, estimates=None):
    """A bag of a recording, as the nodes would have written it.

    `features`: settings that /features/info states; `estimates`: rows of /decoder/out_x_hat at
    the stamps of x_d.
    """
    stream, x_d, x_hat = recording.stream, recording.x_d, recording.x_hat
    with BagWriter(path) as writer:
        maker = Maker(writer)
        maker.frame_id = stream.stream
        fields = ("device", "stream", "rate", "block_size", "unit", "full_scale")
        info = {name: getattr(stream, name) for name in fields}
        names = list(stream.channel_names)
        maker.put("/emg/info", namespace(header=maker.header(), channel_names=names, **info))
        if features is not None:
            maker.put(
                "/features/info",
                namespace(
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
        for i, (stamp, row) in enumerate(zip(x_d.stamps_ns, x_d.values, strict=True)):
            maker.now = int(stamp)
            maker.series("/task/x_d", x_d.names, row)
            if estimates is not None:
                maker.now = int(stamp)
                maker.series("/decoder/out_x_hat", x_d.names, estimates[i])
        if x_hat is not None:
            for stamp, row in zip(x_hat.stamps_ns, x_hat.values, strict=True):
                maker.now = int(stamp)
                maker.series("/decoder/x_hat", x_hat.names, row)
        for period in recording.periods:
            maker.now = period.stamp_ns
            maker.state(
                int(period.kind),
                period.movement,
                period.trial,
                n_trials=9,
                movement_index=period.movement_index,
                repetition=period.repetition,
            )
    return path
