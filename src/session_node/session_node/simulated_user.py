"""simulated_user: a person who sees prompt and hand, and publishes what they intend to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import SessionState
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.errors import UserError
from emghand.settings import check, setting
from emghand.simulate.user import SimulatedUser, UserSettings
from emghand_ros import qos
from emghand_ros.conversions import dofs_to_ros
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters

BLIND = ("collect", "calibrate")
"""Activities in which the hand shows the prompt or nothing: there is nothing to correct."""
LONGEST_HALT_S = 0.5
"""A longer halt of this process is no part of the user's time."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NodeSettings:
    """What the node knows beside the user."""

    dofs: tuple[str, ...] = setting(
        dof_names(DEFAULT_DOFS), "DOFs the user can move, those of the synthetic person", live=False
    )
    rate: float = setting(
        62.5, "Intentions per second", unit="Hz", low=10.0, high=200.0, live=False
    )
    prompt_timeout: float = setting(
        1.0, "Without a prompt for so long the user relaxes", unit="s", low=0.05, high=60.0
    )
    hand_timeout: float = setting(
        0.5,
        "Without a state of the hand for so long there is nothing to see",
        unit="s",
        low=0.05,
        high=60.0,
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.dofs or len(set(self.dofs)) != len(self.dofs):
            raise UserError("dofs: name each DOF of the user once")


class Sight:
    """What is seen last on a topic, in the order of the user's DOFs.

    DOFs that the user does not have are not seen; those that are not shown are at rest.
    """

    def __init__(self, dofs: Sequence[str]) -> None:
        self._dofs = tuple(dofs)
        self._values = np.zeros(len(self._dofs))
        self._heard = -np.inf

    def take(self, message: JointState) -> None:
        """See a message; one that holds nonsense is overlooked."""
        shown = dict(zip(message.name, message.position, strict=False))
        values = np.array([shown.get(dof, 0.0) for dof in self._dofs], np.float64)
        if np.isfinite(values).all():
            self._values, self._heard = np.clip(values, -1.0, 1.0), time.monotonic()

    def at(self, now: float, timeout: float) -> Floats | None:
        """What is seen now; None when it is too old."""
        return self._values if now - self._heard <= timeout else None


class SimulatedUserNode(EmghandNode):
    """Closes the loop over the topics: prompt and hand in, intention out.

    The device ``synthetic`` of emg_driver makes EMG of the intention, when its parameter
    ``synthetic.intention`` says so.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("simulated_user", **kwargs)
        self._node = SettingsParameters(self, NodeSettings)
        self._settings = SettingsParameters(self, UserSettings, "user")
        dofs = self._node.value.dofs
        self._prompt, self._hand = Sight(dofs), Sight(dofs)
        self._state = SessionState()
        self._user: SimulatedUser | None = None
        self._began, self._ticks = 0.0, 0
        self._intention = self.create_publisher(JointState, "user/intention", qos.TICK)
        self.create_subscription(JointState, "task/x_d", self._prompt.take, qos.COMMAND)
        self.create_subscription(JointState, "hand/state", self._hand.take, qos.COMMAND)
        self.create_subscription(SessionState, "session/state", self._on_state, qos.STATE)
        self.create_timer(1.0 / self._node.value.rate, self._on_timer)

    def configure(self) -> None:
        """Somebody new: nothing practised."""
        node = self._node.value
        self._user = SimulatedUser(self._settings.value, len(node.dofs), node.rate)

    def activate(self) -> None:
        """Begin to act, at rest."""
        if self._user is not None:
            self._user.relax()
        self._began, self._ticks = time.monotonic(), 0

    def cleanup(self) -> None:
        """Nobody is there."""
        self._user = None

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What the user sees, and how much they practised."""
        user, node, now = self._user, self._node.value, time.monotonic()
        if user is None or not self.active:
            return DiagnosticStatus.WARN, "inactive", {}
        prompted = self._prompt.at(now, node.prompt_timeout) is not None
        sees_hand = self._hand.at(now, node.hand_timeout) is not None
        text = "follows the prompts" if prompted else "relaxes: there is no prompt"
        values = {"sees_hand": sees_hand, "trials": user.trials, "clumsiness": user.clumsiness}
        return DiagnosticStatus.OK, text, values

    def _on_state(self, state: SessionState) -> None:
        held = self._state.period == SessionState.HOLD
        ended = held and (state.period, state.trial) != (self._state.period, self._state.trial)
        if ended and self._user is not None and self._state.activity not in BLIND:
            self._user.learn()
        self._state = state

    def _on_timer(self) -> None:
        user, node = self._user, self._node.value
        if user is None or not self.active:
            return
        now = time.monotonic()
        due = int((now - self._began) * node.rate)
        if due - self._ticks > LONGEST_HALT_S * node.rate:
            self._ticks = due - 1
        target = self._prompt.at(now, node.prompt_timeout)
        hand = None
        if self._state.activity not in BLIND:
            hand = self._hand.at(now, node.hand_timeout)
        intention = None
        # The delays of the user are counted in ticks: a late timer must not stretch them.
        while self._ticks < due:
            self._ticks += 1
            shown = np.zeros(user.n_dofs) if target is None else target
            intention = user.step(shown, hand)
        if intention is not None:
            stamp = self.get_clock().now().to_msg()
            self._intention.publish(dofs_to_ros(node.dofs, intention, stamp))


def main() -> None:
    """Run the node."""
    sys.exit(run([SimulatedUserNode]))


if __name__ == "__main__":
    main()
