import struct
import threading
import time

import numpy as np
import pytest

from bag_tools.playback import Playback, Sinks, Timeline, has_header, restamped
from emghand.storage.bags import BagReader, BagWriter, Topic
from emghand.storage.bags.definitions import Types, find_definition

MS = 1_000_000
T0 = 1_700_000_000_000_000_000


def test_recorded_time_runs_at_the_rate_and_stands_still_while_paused():
    line = Timeline(1000, 0, 2.0)
    assert line.recorded(50) == 1100
    assert line.steady(1100) == 50
    line.change(50, paused=True)
    assert line.recorded(90) == 1100
    assert line.steady(1200) is None
    line.change(90, paused=False, rate=1.0)
    assert line.recorded(100) == 1110
    assert line.steady(1110) == 100


def test_restamping_keeps_distances_between_stamps():
    line = Timeline(T0, 5 * MS, 1.0)
    assert line.restamp(T0 - 3 * MS, 100 * MS) == 102 * MS
    assert line.restamp(T0 + 16 * MS, 100 * MS) - line.restamp(T0, 100 * MS) == 16 * MS


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_stamp_is_exchanged_in_the_bytes_in_either_byte_order(order):
    head = bytes([0, int(order == "<"), 0, 0])
    data = head + struct.pack(order + "iI", 7, 8) + b"rest"
    new = restamped(data, lambda ns: ns + 1_000_000_001)
    assert new == head + struct.pack(order + "iI", 8, 9) + b"rest"


def test_a_restamped_message_differs_in_its_stamp_only():
    topic = Topic("/x", "emghand_interfaces/msg/FeatureFrame")
    topic = Topic(topic.name, topic.type, definition=find_definition(topic.type))
    types = Types()
    types.add(topic)
    stamp = types.make("builtin_interfaces/msg/Time", sec=5, nanosec=6)
    header = types.make("std_msgs/msg/Header", stamp=stamp, frame_id="dev")
    message = types.make(
        topic.type, header=header, tick=3, quality=1, reset=True, data=np.arange(4.0)
    )
    back = types.decode(topic, restamped(types.encode(topic, message), lambda _: 9_000_000_010))
    assert (back.header.stamp.sec, back.header.stamp.nanosec) == (9, 10)
    assert back.header.frame_id == "dev"
    assert (back.tick, back.quality, back.reset) == (3, 1, True)
    assert np.array_equal(back.data, np.arange(4.0))


@pytest.mark.parametrize(
    ("type_name", "expected"),
    [
        ("emghand_interfaces/msg/EmgFrame", True),
        ("emghand_interfaces/msg/EmgInfo", True),
        ("emghand_interfaces/msg/HandStatus", True),
        ("sensor_msgs/msg/JointState", True),
        ("std_msgs/msg/Bool", False),
        ("builtin_interfaces/msg/Time", False),
    ],
)
def test_types_that_begin_with_a_header_are_found(type_name, expected):
    assert has_header(Topic("/x", type_name, definition=find_definition(type_name))) is expected


@pytest.fixture
def bag(tmp_path):
    """21 messages on /x in 200 ms, one on /info at the start."""
    with BagWriter(tmp_path / "bag") as writer:
        for name in ("/x", "/info"):
            writer.add_topic(Topic(name, "std_msgs/msg/Int32"))
        writer.write("/info", b"\x00\x01\x00\x00\x07\x00\x00\x00", T0)
        for i in range(21):
            writer.write("/x", b"\x00\x01\x00\x00" + struct.pack("<i", i), T0 + i * 10 * MS)
    return tmp_path / "bag"


class Played:
    def __init__(self, bag, **options):
        self.got = []
        self.clock = []
        self.done = threading.Event()
        self.reader = BagReader(bag)
        sinks = Sinks(
            lambda m: self.got.append((time.monotonic_ns(), m)), self.clock.append, self.done.set
        )
        self.playback = Playback(self.reader, {"/x", "/info"}, {"/info"}, sinks, **options)
        self.playback.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.playback.stop()
        self.reader.close()

    def wait(self):
        assert self.done.wait(5.0)
        return self

    @property
    def numbers(self):
        return [struct.unpack("<i", m.data[4:])[0] for _, m in self.got if m.topic == "/x"]


def test_messages_keep_their_times_without_drift(bag):
    with Played(bag).wait() as played:
        assert played.numbers == list(range(21))
        times = [when for when, m in played.got if m.topic == "/x"]
        assert 200 * MS <= times[-1] - times[0] + 20 * MS < 300 * MS
        due = [times[0] + i * 10 * MS for i in range(21)]
        assert min(t - d for t, d in zip(times, due, strict=True)) > -20 * MS


def test_twice_the_rate_takes_half_the_time(bag):
    start = time.monotonic()
    with Played(bag, rate=2.0).wait():
        assert 0.1 <= time.monotonic() - start < 0.19


def test_what_is_skipped_still_leaves_the_latched_messages(bag):
    with Played(bag, start_offset=0.15).wait() as played:
        assert played.got[0][1].topic == "/info"
        assert played.numbers == list(range(15, 21))


def test_a_paused_playback_resumes_where_it_was(bag):
    with Played(bag, paused=True, clock_rate=200.0) as played:
        time.sleep(0.05)
        assert played.numbers == []
        assert set(played.clock) == {T0}
        played.playback.change(paused=False)
        played.wait()
        assert played.numbers == list(range(21))


def test_the_clock_follows_the_recorded_time(bag):
    with Played(bag, clock_rate=100.0).wait() as played:
        assert 15 <= len(played.clock) <= 23
        assert played.clock == sorted(played.clock)
        assert played.clock[0] >= T0 and played.clock[-1] <= T0 + 260 * MS


def test_a_loop_starts_again(bag):
    with Played(bag, loop=True, rate=10.0) as played:
        deadline = time.monotonic() + 5
        while len(played.numbers) < 50:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert played.numbers[:42] == [*range(21), *range(21)]
        assert not played.done.is_set()


def test_stopping_does_not_wait_for_the_next_message(bag):
    with Played(bag, rate=0.01) as played:
        time.sleep(0.05)
        start = time.monotonic()
        played.playback.stop()
        assert time.monotonic() - start < 0.5
        assert not played.done.is_set()
