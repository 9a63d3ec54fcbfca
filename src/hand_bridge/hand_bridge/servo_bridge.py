"""Node that drives a hand of serial servos."""

from __future__ import annotations

from emghand.progress.rows import HAND
from hand_bridge.bridge import HandBridge, run_bridge
from hand_bridge.hands.servo_hand import ServoHand, ServoSettings
from hand_bridge.safety import SafetySettings

SERVO_SAFETY = SafetySettings(
    speed_limit=(4.0,),
    on_watchdog="hold",
    on_signal="hold",
    on_limit="hold",
    on_estop="limp",
)
"""A cup in the hand is not dropped when the signal fails; an emergency stop lets go."""


def make_node() -> HandBridge:
    """Bridge to the servos."""
    return HandBridge("servo_bridge", ServoSettings, ServoHand, SERVO_SAFETY, HAND)


def main() -> int:
    """Run the node until it is told to stop."""
    return run_bridge(make_node)
