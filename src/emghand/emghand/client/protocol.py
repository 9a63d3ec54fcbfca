"""Runs a protocol on the running graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from emghand.client.graph import SETTLE_S, GraphClient

ACTION = "/session/run_protocol"
EVENTS = "/protocol/event"
DEPTH = 1000


def run_protocol(graph: GraphClient, on_event: Callable[[Any], None], **goal: Any) -> Any:
    """Run a protocol; `goal` are fields of ``RunProtocol``. Returns its result.

    Ctrl-C cancels it.

    Parameters
    ----------
    graph : GraphClient
    on_event : callable
        Gets every ``StageEvent`` of this run.

    Raises
    ------
    UserError
        When there is no protocol_node, or it goes away.
    """
    from emghand_interfaces.action import RunProtocol
    from emghand_interfaces.msg import StageEvent
    from rclpy.qos import DurabilityPolicy, QoSProfile

    node = graph._node
    start = node.get_clock().now().nanoseconds

    def take(message: Any) -> None:
        stamp = message.header.stamp
        if stamp.sec * 1_000_000_000 + stamp.nanosec >= start:  # else of an earlier run
            on_event(message)

    profile = QoSProfile(depth=DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    subscription = node.create_subscription(StageEvent, EVENTS, take, profile)
    try:
        graph.wait_for(lambda: node.count_publishers(EVENTS) > 0, EVENTS)
        # Matched on both sides by then: what is sent before arrives late and out of its order.
        _spin(graph, SETTLE_S)
        result = graph.act(RunProtocol, ACTION, goal, None)
        _spin(graph, SETTLE_S)  # events that come together with the result
    finally:
        node.destroy_subscription(subscription)
    return result


def _spin(graph: GraphClient, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        graph._executor.spin_once(timeout_sec=0.02)
