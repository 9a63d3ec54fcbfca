"""What goes on around the decoder: emergency stop, hand, prompts, perturbations."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

import numpy as np
from emghand_interfaces.msg import HandStatus, SessionState
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String

from emghand_ros import qos
from emghand_ros.conversions import MessageError, dofs_from_ros

HAND_S = 2.0
"""Bridges tell their state twice a second; one that was silent for so long is gone [s]."""

SHOWN_S = 0.1
"""A prompt comes 60 times a second; older than this it is over [s]."""

RESET_S = 1.0
"""A state told so long after an emergency stop was told in knowledge of it [s]."""


class Surroundings:
    """Listens to ``/estop``, ``/hand/status``, ``/session/state``, ``/perturbation/state`` and
    ``/task/x_d``.

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
        self.perturbed = ""
        """Labels of the perturbations that are in force."""
        self._stopped_at = 0.0
        self._status: HandStatus | None = None
        self._shown: JointState | None = None
        self._shown_at = 0.0
        self._heard = 0.0
        self._on_change = on_change
        # As the bridges do: one that hears every writer, one that misses nothing of reliable ones,
        # and one for a stop that was published before.
        for profile in (qos.ANY_WRITER, qos.EVENT, qos.LATCHED):
            node.create_subscription(Bool, "/estop", self._on_estop, profile)
        node.create_subscription(HandStatus, "hand/status", self._on_status, qos.LATCHED)
        node.create_subscription(SessionState, "session/state", self._on_session, qos.STATE)
        node.create_subscription(String, "perturbation/state", self._on_perturber, qos.LATCHED)
        node.create_subscription(JointState, "task/x_d", self._on_x_d, qos.TICK)

    def x_d(self, dofs: Sequence[str]) -> NDArray[np.float64] | None:
        """What is shown to the user now, shape (n_dofs,); None: nothing is, or of other DOFs."""
        if self._shown is None or time.monotonic() - self._shown_at > SHOWN_S:
            return None
        try:
            return dofs_from_ros(self._shown, dofs)
        except MessageError:
            return None

    def hold(self, need_hand: bool, prompts: bool = False) -> str:
        """Why nothing should be learned now; empty: nothing speaks against it.

        Parameters
        ----------
        need_hand : bool
            Use counts only while a hand is armed.
        prompts : bool
            Movements that are shown are what shall be learned from.
        """
        status = self._status
        alive = status is not None and time.monotonic() - self._heard < HAND_S
        if self.stopped:
            return "emergency stop"
        if self.prompt and not prompts:
            return "a movement is being shown"
        if self.perturbed:
            # Not how this person uses their hand; and what was learned would undo the trial.
            return f"perturbed on purpose: {self.perturbed}"
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

    def _on_x_d(self, message: JointState) -> None:
        self._shown, self._shown_at = message, time.monotonic()

    def _on_perturber(self, message: String) -> None:
        try:
            self.perturbed = ", ".join(json.loads(message.data)["active"])
        except (ValueError, KeyError, TypeError):
            self.perturbed = ""
        self._on_change()

    def _on_session(self, message: SessionState) -> None:
        self.prompt = message.period == SessionState.PROMPT
        self._on_change()
