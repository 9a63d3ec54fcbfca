"""sound_node: a high tone at movement start and a low one at its end, where the subject sits."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import SessionState

from emghand.settings import check, setting
from emghand.storage.recording import PeriodKind
from emghand.tasks.sounds import SoundCues, ToneSettings
from emghand_ros import qos
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters
from session_node.player import PLAYERS, Player


@dataclass(frozen=True)
class SoundSettings:
    """How sounds are played."""

    player: str = setting(
        "auto", "Program that plays; auto: the first that works.", choices=("auto", *PLAYERS),
        live=False,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)


class SoundNode(EmghandNode):
    """Listens to /session/state and plays.

    Without an audio device it stays silent and says so once in the log, and on /diagnostics.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("sound_node", **kwargs)
        self._settings = SettingsParameters(self, SoundSettings)
        self._tones = SettingsParameters(self, ToneSettings, "tone")
        self._player: Player | None = None
        self._cues = SoundCues()
        self._told = ""
        # Not as a late joiner: what was asked before this node was there must not sound now.
        self.create_subscription(SessionState, "session/state", self._on_state, qos.EVENT)

    def configure(self) -> None:
        """Look for a player."""
        self._player = Player(self._tones.value.waves(), self._settings.value.player)

    def cleanup(self) -> None:
        """End what still plays."""
        if self._player is not None:
            self._player.close()
            self._player = None

    def _on_state(self, message: SessionState) -> None:
        known = message.period in set(PeriodKind)
        period = PeriodKind(message.period) if known else PeriodKind.IDLE
        sound = self._cues.step(period, message.trial)
        if sound and self.active and self._player is not None:
            self._player.play(sound)

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What plays, or why nothing does."""
        player = self._player
        if not self.active or player is None:
            return DiagnosticStatus.WARN, "inactive", {}
        values = {"played": player.played, "dropped": player.dropped}
        if not player.wait(0.0):
            return DiagnosticStatus.OK, "looking for a player", values
        if player.reason and player.reason != self._told:
            self._told = player.reason
            self.get_logger().warning(f"silent: {player.reason}")
        if player.reason:
            return DiagnosticStatus.WARN, f"silent: {player.reason}", values
        return DiagnosticStatus.OK, f"plays with {player.command[0]}", values


def main() -> None:
    """Run the node."""
    sys.exit(run([SoundNode]))


if __name__ == "__main__":
    main()
