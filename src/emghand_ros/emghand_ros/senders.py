"""Who sent a message; for executors that tell callbacks, see `emghand_ros.node.run`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node

ID_LENGTH = 32
"""Hexadecimal digits of the id of a publisher at least; what is shorter names none."""


def sender_of(node: Node, topic: str, info: Mapping[str, Any]) -> str:
    """Id of the publisher of a message.

    Parameters
    ----------
    node : Node
    topic : str
        Of the message, as the node names it.
    info : mapping
        What the executor tells of the message.
    """
    gid = info.get("publisher_gid")
    if gid:
        return bytes(gid["data"]).hex()
    # This distribution does not say who sent a message: only a single publisher is safe.
    only = node.count_publishers(node.resolve_topic_name(topic)) == 1
    return "only" if only else "one of several"


def has_left(node: Node, topic: str, sender: str) -> bool:
    """Whether a publisher is no part of the graph any more; False where that is not known."""
    if len(sender) < ID_LENGTH:
        return False
    there = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    return not any(sender.startswith(bytes(p.endpoint_gid).hex()) for p in there)
