"""A result of a trial is written after the data it speaks of."""

import pytest

from emghand.storage.bags.definitions import find_definition
from emghand.storage.bags.holding import EMG_TYPE, JOINT_TYPE, RESULT_TYPE, ResultHold
from emghand.storage.bags.making import Maker
from emghand.storage.bags.messages import RawMessage, Topic

MS = 1_000_000
T0 = 1_700_000_000_000_000_000
TYPES = {
    "/emg/raw": EMG_TYPE,
    "/hand/state": JOINT_TYPE,
    "/session/trial": RESULT_TYPE,
    "/estop": "std_msgs/msg/Bool",
}
TOPICS = {name: Topic(name, kind, definition=find_definition(kind)) for name, kind in TYPES.items()}


class Bag:
    """What was written, in order; times are in ms after `T0`."""

    def __init__(self):
        self.maker = Maker()
        self.written = []
        self.is_full = False
        self.hold = ResultHold(self.write)

    def write(self, topic, message, who):
        if not self.is_full:
            self.written.append((topic.name, who))
        return not self.is_full

    def put(self, name, at, who=None, **fields):
        data = self.maker.encode(TYPES[name], self.maker.make(TYPES[name], fields))
        self.hold.take(TOPICS[name], RawMessage(name, data, T0 + at * MS, 0, 0), who)

    def sample(self, name, stamp, at=None, who=None):
        header = {"stamp": T0 + stamp * MS}
        self.put(name, stamp if at is None else at, who, header=header)

    def result(self, end, at=None):
        self.put("/session/trial", end if at is None else at, f"trial to {end}", end=T0 + end * MS)

    def at(self, now):
        """Results that are written by then."""
        self.hold.release(T0 + now * MS)
        return [who for name, who in self.written if name == "/session/trial"]


@pytest.fixture
def bag():
    return Bag()


def test_a_result_waits_for_the_end_of_its_trial_in_the_raw_emg(bag):
    bag.sample("/emg/raw", 84)
    bag.result(112)
    bag.sample("/emg/raw", 100, at=116)  # samples up to 116, but nothing says so
    assert bag.at(117) == [] and len(bag.hold) == 1
    bag.sample("/emg/raw", 116, at=132)
    assert bag.at(133) == ["trial to 112"] and len(bag.hold) == 0
    assert [name for name, _ in bag.written] == ["/emg/raw"] * 3 + ["/session/trial"]


def test_samples_that_were_refused_do_not_count(bag):
    bag.sample("/emg/raw", 96)
    bag.result(100)
    bag.is_full = True
    bag.sample("/emg/raw", 112)
    bag.is_full = False
    assert bag.at(112) == []


def test_every_stream_is_waited_for(bag):
    bag.sample("/hand/state", 96)
    bag.sample("/emg/raw", 96)
    bag.result(100)
    bag.sample("/emg/raw", 112)
    assert bag.at(112) == []
    bag.sample("/hand/state", 112)
    assert bag.at(112) == ["trial to 100"]


def test_results_keep_their_order_and_their_publisher(bag):
    bag.sample("/emg/raw", 0)
    bag.result(300)
    bag.result(100, at=301)
    bag.sample("/emg/raw", 200, at=302)
    assert bag.at(302) == []
    bag.sample("/emg/raw", 303)
    assert bag.at(303) == ["trial to 300", "trial to 100"]


def test_other_messages_pass(bag):
    bag.sample("/emg/raw", 0)
    bag.result(100)
    bag.put("/estop", 101)
    assert bag.written[-1] == ("/estop", None)


def test_where_nothing_is_streamed_nothing_is_waited_for(bag):
    bag.result(100)
    assert bag.at(100) == ["trial to 100"]


@pytest.mark.parametrize(("name", "patience"), [("/emg/raw", 1000), ("/hand/state", 200)])
def test_a_stream_that_has_fallen_silent_is_waited_for_no_longer_than_this(bag, name, patience):
    bag.sample(name, 100)
    bag.result(100 + patience // 2)
    assert bag.at(100 + patience - 1) == []
    assert len(bag.at(100 + patience)) == 1


def test_a_stream_with_stamps_of_another_day_is_waited_for_a_second(bag):
    bag.result(100)
    for now in range(100, 1100, 20):
        bag.sample("/hand/state", -10_000, at=now)
        assert bag.at(now) == []
    assert len(bag.at(1100)) == 1


def test_a_clock_that_is_set_back_keeps_no_result(bag):
    bag.sample("/emg/raw", 90)
    bag.result(100)
    assert len(bag.at(-3_600_000)) == 1


def test_the_end_of_a_recording_writes_what_is_held(bag):
    bag.sample("/emg/raw", 90)
    bag.result(100)
    bag.hold.close()
    assert bag.written[-1] == ("/session/trial", "trial to 100")


@pytest.mark.parametrize("order", [">", "<"])
def test_stamps_are_read_in_either_byte_order(bag, order):
    seconds = (T0 // 10**9 + 1).to_bytes(4, "little" if order == "<" else "big")
    data = bytes([0, order == "<", 0, 0]) + seconds + bytes(20)
    bag.hold.take(TOPICS["/emg/raw"], RawMessage("/emg/raw", data, T0, 0, 0))
    bag.result(999, at=0)
    assert len(bag.at(0)) == 1


def test_what_is_no_message_is_passed_on(bag):
    bag.sample("/emg/raw", 0)
    for name in ("/session/trial", "/hand/state"):
        bag.hold.take(TOPICS[name], RawMessage(name, b"\x00\x01\x00\x00\x07", T0, 0, 0))
    assert len(bag.at(0)) == 1 and len(bag.written) == 3
