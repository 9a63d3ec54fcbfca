"""Node that drives a simulated hand."""

from __future__ import annotations

from emghand.progress.rows import SIMULATOR
from hand_bridge.bridge import HandBridge, run_bridge
from hand_bridge.hands.mujoco_hand import MujocoHand, MujocoSettings
from hand_bridge.safety import SafetySettings


def make_node() -> HandBridge:
    """Bridge to the simulated hand."""
    return HandBridge("mujoco_bridge", MujocoSettings, MujocoHand, SafetySettings(), SIMULATOR)


def main() -> int:
    """Run the node until it is told to stop."""
    return run_bridge(make_node)
