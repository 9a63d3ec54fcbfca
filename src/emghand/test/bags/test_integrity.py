"""What the message counters of a recording tell about its losses."""

import itertools

from emghand.storage.bags.integrity import Integrity
from emghand.storage.bags.messages import RawMessage, Topic

TOPIC = Topic("/estop", "std_msgs/msg/Bool", "")


def report(sequences, publishers=None):
    integrity = Integrity()
    publishers = publishers or itertools.repeat(None)
    for sequence, publisher in zip(sequences, publishers, strict=False):
        integrity.add(TOPIC, RawMessage(TOPIC.name, b"", 0, 0, sequence), publisher)
    return integrity.report()


def test_a_gap_is_a_loss_and_a_restart_is_none():
    assert report([1, 2, 5, 6])["lost_messages"] == {"/estop": 2}
    assert report([7, 8, 1, 2])["lost"] == 0


def test_publishers_that_are_known_are_counted_apart():
    assert report([1, 50, 2, 51, 3, 53], "ababab")["lost_messages"] == {"/estop": 1}


def test_publishers_that_cannot_be_told_apart_raise_no_alarm():
    found = report([1, 50, 2, 51, 3, 52, 4, 53])
    assert (found["lost"], found["unchecked"]) == (0, ["/estop"])
