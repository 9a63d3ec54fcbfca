"""What goes on around the decoder: emergency stop, hand, prompts."""

from __future__ import annotations

import time
from collections.abc import Callable

from emghand_interfaces.msg import HandStatus, SessionState
from rclpy.node import Node
from std_msgs.msg import Bool

from emghand_ros import qos

HAND_S = 2.0
"""Bridges tell their state twice a second; one that was silent for so long is gone [s]."""

RESET_S = 1.0
"""A state told so long after an emergency stop was told in knowledge of it [s]."""


class Surroundings:
    """Listens to ``/estop``, ``/hand/status`` and ``/session/state``.

    With several bridges, the one that spoke last counts.

    Parameters
    ----------
    node : Node
    on_change : callable
        Called after every message.
    """

    def __init__(self, node: Node, on_change: Callable[[], None]) -> None:
        self.prompt = False
        """A movement is being shown to the user."""
        self.stopped = False
        """An emergency stop is in force."""
        self._stopped_at = 0.0
        self._status: HandStatus | None = None
        self._heard = 0.0
        self._on_change = on_change
        # As the bridges do: one that hears every writer, one that misses nothing of reliable ones,
        # and one for a stop that was published before.
        for profile in (qos.ANY_WRITER, qos.EVENT, qos.LATCHED):
            node.create_subscription(Bool, "/estop", self._on_estop, profile)
        node.create_subscription(HandStatus, "hand/status", self._on_status, qos.LATCHED)
        node.create_subscription(SessionState, "session/state", self._on_session, qos.STATE)

    def hold(self, need_hand: bool) -> str:
        """Why nothing should be learned now; empty: nothing speaks against it."""
        status = self._status
        alive = status is not None and time.monotonic() - self._heard < HAND_S
        if self.stopped:
            return "emergency stop"
        if self.prompt:
            return "a movement is being shown"
        if status is None or not alive:
            return "no bridge says that its hand is armed" if need_hand else ""
        if status.state == HandStatus.DISARMED:
            return "the hand is disarmed" if need_hand else ""
        if status.state == HandStatus.FAULT:
            return f"the hand is in fault: {status.fault or 'unknown'}"
        return ""

    def _on_estop(self, message: Bool) -> None:
        if message.data:
            self.stopped, self._stopped_at = True, time.monotonic()
        elif self._status is None:
            # Only a bridge resets a stop; without any, there is nothing but the topic.
            self.stopped = False
        self._on_change()

    def _on_status(self, message: HandStatus) -> None:
        self._status, self._heard = message, time.monotonic()
        if message.state == HandStatus.ESTOP:
            self.stopped, self._stopped_at = True, -RESET_S
        elif time.monotonic() - self._stopped_at > RESET_S:
            self.stopped = False
        self._on_change()

    def _on_session(self, message: SessionState) -> None:
        self.prompt = message.period == SessionState.PROMPT
        self._on_change()
