"""What keeps a hand safe, as plain Python on an injected steady clock: no ROS in here."""

from hand_bridge.safety.check import CommandCheck, Refusal
from hand_bridge.safety.core import SafetyCore
from hand_bridge.safety.settings import SafetySettings
from hand_bridge.safety.types import Command, Drive, Power, Reading, State, Status

__all__ = [
    "Command",
    "CommandCheck",
    "Drive",
    "Power",
    "Reading",
    "Refusal",
    "SafetyCore",
    "SafetySettings",
    "State",
    "Status",
]
