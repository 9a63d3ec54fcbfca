"""What a replay needs beside the data: events and state snapshots of a pipeline."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from emghand_interfaces.msg import PipelineEvent, StateSnapshot
from numpy.typing import NDArray
from rclpy.event_handler import PublisherEventCallbacks, QoSPublisherMatchedInfo
from rclpy.node import Node

from emghand.control.announcements import pack_arrays, pipeline_event
from emghand_ros import qos
from emghand_ros.conversions import bytes_to_field

SETTLE_S = 0.25
"""After this time a new subscriber has found the publisher as well: what is published before, it
may not hear."""


class Journal:
    """Publishes the events and snapshots of one pipeline.

    Parameters
    ----------
    node : Node
    prefix : str
        Of the topics: ``<prefix>/event`` and ``<prefix>/state``.

    Attributes
    ----------
    snapshot_due : bool
        A snapshot shall be taken at the next tick, whatever the period says.

    Notes
    -----
    A new subscriber gets a snapshot soon: a recording that starts now can only be replayed from its
    first snapshot on.
    """

    def __init__(self, node: Node, prefix: str) -> None:
        self._node = node
        self._name = node.get_fully_qualified_name()
        self._events = node.create_publisher(PipelineEvent, f"{prefix}/event", qos.EVENT)
        self._states = node.create_publisher(
            StateSnapshot,
            f"{prefix}/state",
            qos.SNAPSHOT,
            event_callbacks=PublisherEventCallbacks(matched=self._on_matched),
        )
        self.snapshot_due = True
        self._last_snapshot = 0
        self._settled_at = math.inf

    def _on_matched(self, info: QoSPublisherMatchedInfo) -> None:
        if info.current_count_change > 0:
            self._settled_at = time.monotonic() + SETTLE_S

    def is_due(self, tick: int, period_ticks: int) -> bool:
        """Whether a snapshot shall be taken after this tick."""
        if time.monotonic() >= self._settled_at:
            self._settled_at = math.inf
            return True
        # A counter that began anew lies below the last snapshot.
        return self.snapshot_due or not 0 <= tick - self._last_snapshot < period_ticks

    def snapshot(
        self,
        tick: int,
        arrays: Mapping[str, NDArray],
        settings: str,
        model_id: str = "",
    ) -> None:
        """Publish the state after a tick; `settings` is JSON."""
        message = StateSnapshot(
            node=self._name,
            tick=tick,
            model_id=model_id,
            settings=settings,
            data=bytes_to_field(pack_arrays(arrays)),
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._states.publish(message)
        self.snapshot_due = False
        self._last_snapshot = tick

    def event(self, kind: str, tick: int, last_tick: int | None = None, **detail: Any) -> None:
        """Publish an event; `detail` becomes JSON."""
        message = PipelineEvent(**pipeline_event(self._name, kind, tick, last_tick, **detail))
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._events.publish(message)
