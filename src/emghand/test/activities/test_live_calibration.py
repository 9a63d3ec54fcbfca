"""A calibration while the settings of the features change under it."""

import json
from types import SimpleNamespace

import pytest

from emghand.activities.activity import COMPLETE, FAILED
from emghand.activities.calibrate import CalibrationRun
from emghand.activities.settings import SessionSettings
from emghand.settings import digest, to_json
from emghand.signal.settings import FeatureSettings
from emghand.training.calibration import load_calibration

TICK_NS = 16_000_000


class Room:
    """Time passes with what the activity waits; a tick of features arrives every 16 ms."""

    def __init__(self, changes):
        self.settings = SessionSettings()
        self.changes = changes  # by time [s]: what is done then
        self.heard = {}
        self.now = 0
        self.width = 2

    def run(self, activity):
        for seconds in activity.work():
            end = self.now + round(seconds * 1e9)
            while self.now < end:
                self.now = min(self.now + TICK_NS, end)
                for at in [t for t in self.changes if self.now >= t * 1e9]:
                    self.changes.pop(at)(self)
                self.tell("features", quality=0, data=[0.001 * (self.now % 7)] * self.width)

    def tell(self, topic, **fields):
        sec, nanosec = divmod(self.now, 10**9)
        stamp = SimpleNamespace(sec=sec, nanosec=nanosec)
        message = SimpleNamespace(header=SimpleNamespace(stamp=stamp), **fields)
        if topic in self.heard:
            self.heard[topic](message)

    def settle(self, width, **changes):
        settings = FeatureSettings(**changes)
        self.tell(
            "features/info",
            names=[f"f{i}" for i in range(width)],
            settings=to_json(settings),
            settings_hash=digest(settings),
        )

    def listen(self, topic, callback):
        self.heard[topic] = callback
        if topic == "features/info":
            self.settle(self.width)
        if topic == "emg/info":
            self.tell(
                "emg/info",
                device="d",
                stream="s",
                channel_names=["a", "b"],
                rate=1000.0,
                block_size=16,
                unit="V",
                full_scale=1.0,
            )

    def steady_ns(self):
        return self.now

    to_ros = staticmethod(lambda steady: steady)
    now_ns = steady_ns
    wake = state = feedback = lambda self, *args, **fields: None


def wider(room):
    room.width = 3


def calibrate(folder, changes):
    room = Room(changes)
    goal = SimpleNamespace(
        session=str(folder / "s"), subject="p1", rest=3.0, contraction=3.0, recording=""
    )
    activity = CalibrationRun("calibrate", goal, room)
    room.run(activity)
    return activity, room


@pytest.mark.parametrize(
    "changes",
    [
        {2.0: wider, 2.05: lambda room: room.settle(3, hop=32)},
        {2.0: wider},
        {2.0: lambda room: room.settle(3, hop=32), 2.05: wider},
        {2.0: lambda room: room.settle(2, hop=32)},
        {7.9: wider},
    ],
    ids=["tick first", "nobody tells", "info first", "same length", "last moment"],
)
def test_a_change_of_the_features_ends_it_in_a_sentence(tmp_path, changes):
    activity, room = calibrate(tmp_path, changes)
    assert (activity.status, activity.result()) == (FAILED, {})
    assert "calibrate again" in activity.message
    assert not list((tmp_path / "s/results").glob("*"))
    assert room.now < 8.5e9


def test_settings_that_are_told_again_or_changed_before_are_no_change(tmp_path):
    changes = {2.0: lambda room: room.settle(2)}
    activity, _ = calibrate(tmp_path, changes)
    assert activity.status == COMPLETE, activity.message
    assert json.loads(activity.result()["values"])
    assert load_calibration(activity.result()["uri"]).rest is not None
