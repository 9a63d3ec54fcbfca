from types import SimpleNamespace

import pytest

from emghand_ros.senders import has_left, sender_of


class Node:
    """A node whose command topic is remapped, and that sees some publishers of it."""

    def __init__(self, *gids):
        self.gids = gids

    def resolve_topic_name(self, topic):
        return {"in": "/other"}[topic]

    def count_publishers(self, topic):
        return len(self.gids) if topic == "/other" else 0

    def get_publishers_info_by_topic(self, topic):
        assert topic == "/other"
        return [SimpleNamespace(endpoint_gid=gid) for gid in self.gids]


ONE, TWO = list(range(16)), list(range(16, 32))


def test_the_sender_is_the_publisher_of_the_message():
    info = {"publisher_gid": {"data": bytes(ONE)}}
    assert sender_of(Node(), "in", info) == bytes(ONE).hex()


@pytest.mark.parametrize("info", [{}, {"publisher_gid": None}])
def test_where_nobody_says_who_sent_it_only_a_single_publisher_is_known(info):
    assert sender_of(Node(ONE), "in", info) == "only"
    assert sender_of(Node(ONE, TWO), "in", info) == "one of several"


def test_a_sender_has_left_when_none_of_the_publishers_is_it():
    assert not has_left(Node(ONE, TWO), "in", bytes(ONE).hex())
    assert has_left(Node(TWO), "in", bytes(ONE).hex())
    assert not has_left(Node(), "in", "only"), "not known"
