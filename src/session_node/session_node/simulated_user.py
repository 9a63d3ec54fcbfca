"""simulated_user: a person who sees prompt and hand, and publishes what they intend to do."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import SessionState
from sensor_msgs.msg import JointState

from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.errors import UserError
from emghand.settings import check, setting
from emghand.simulate.participant import Participant
from emghand.simulate.user import SimulatedUser, UserSettings
from emghand_ros import qos
from emghand_ros.conversions import dofs_to_ros
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters

LONGEST_HALT_S = 0.5
"""A longer halt of this process is no part of the user's time."""


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


class SimulatedUserNode(EmghandNode):
    """Closes the loop over the topics: prompt and hand in, intention out.

    The device ``synthetic`` of emg_driver makes EMG of the intention, when its parameter
    ``synthetic.intention`` says so.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("simulated_user", **kwargs)
        self._node = SettingsParameters(self, NodeSettings)
        self._settings = SettingsParameters(self, UserSettings, "user")
        self._participant: Participant | None = None
        self._began, self._ticks = 0.0, 0
        self._intention = self.create_publisher(JointState, "user/intention", qos.TICK)
        self.create_subscription(JointState, "task/x_d", self._on_prompt, qos.COMMAND)
        self.create_subscription(JointState, "hand/state", self._on_hand, qos.COMMAND)
        self.create_subscription(SessionState, "session/state", self._on_state, qos.STATE)
        self.create_timer(1.0 / self._node.value.rate, self._on_timer)

    def configure(self) -> None:
        """Somebody new: nothing practised."""
        node = self._node.value
        user = SimulatedUser(self._settings.value, len(node.dofs), node.rate)
        self._participant = Participant(user, node.dofs)

    def activate(self) -> None:
        """Begin to act, at rest."""
        if self._participant is not None:
            self._participant.user.relax()
        self._began, self._ticks = time.monotonic(), 0

    def cleanup(self) -> None:
        """Nobody is there."""
        self._participant = None

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What the user sees, and how much they practised."""
        participant, now = self._participant, time.monotonic()
        if participant is None or not self.active:
            return DiagnosticStatus.WARN, "inactive", {}
        user = participant.user
        prompted = participant.prompt.at(now) is not None
        sees_hand = participant.hand.at(now) is not None
        text = "follows the prompts" if prompted else "relaxes: there is no prompt"
        values = {"sees_hand": sees_hand, "trials": user.trials, "clumsiness": user.clumsiness}
        return DiagnosticStatus.OK, text, values

    def _on_prompt(self, message: JointState) -> None:
        if self._participant is not None:
            self._participant.prompt.take(message.name, message.position, time.monotonic())

    def _on_hand(self, message: JointState) -> None:
        if self._participant is not None:
            self._participant.hand.take(message.name, message.position, time.monotonic())

    def _on_state(self, state: SessionState) -> None:
        if self._participant is not None:
            self._participant.attend(state.activity, state.period, state.trial)

    def _on_timer(self) -> None:
        participant, node = self._participant, self._node.value
        if participant is None or not self.active:
            return
        # These two may be changed while it runs.
        participant.prompt.timeout = node.prompt_timeout
        participant.hand.timeout = node.hand_timeout
        now = time.monotonic()
        due = int((now - self._began) * node.rate)
        if due - self._ticks > LONGEST_HALT_S * node.rate:
            self._ticks = due - 1
        intention = None
        # The delays of the user are counted in ticks: a late timer must not stretch them.
        while self._ticks < due:
            self._ticks += 1
            intention = participant.intend(now)
        if intention is not None:
            stamp = self.get_clock().now().to_msg()
            self._intention.publish(dofs_to_ros(node.dofs, intention, stamp))


def main() -> None:
    """Run the node."""
    sys.exit(run([SimulatedUserNode]))


if __name__ == "__main__":
    main()
