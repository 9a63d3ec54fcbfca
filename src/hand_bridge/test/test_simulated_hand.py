"""The hand of the closed loop without physics goes where bridge and simulated hand go."""

from __future__ import annotations

import numpy as np
import pytest

from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.simulate.hand import HandSettings, SimulatedHand

pytest.importorskip("mujoco", reason="needs MuJoCo")

from hand_bridge.hands.mujoco_hand import MujocoHand, MujocoSettings
from hand_bridge.safety import Command, SafetyCore, SafetySettings

TICK_NS = 16_000_000
NAMES = dof_names(DEFAULT_DOFS)


def test_course_of_the_simulated_hand_is_that_of_the_bridge():
    device = MujocoHand(MujocoSettings(), NAMES, lambda reason: None)
    device.open()
    core = SafetyCore(DEFAULT_DOFS, SafetySettings(ramp_in=0.0))
    simple = SimulatedHand(HandSettings(), len(NAMES), 62.5)
    core.step(0, device.read())
    assert core.arm(0) == ""
    now, courses = 0, ([], [])
    for i in range(400):
        goal = np.zeros(6) if i < 50 or i > 300 else 0.8 * np.sin(0.05 * i) * np.ones(6)
        goal[1] = 0.7 if i > 100 else 0.0
        core.command(Command("decoder", NAMES, goal.tolist(), now + 1, 0), now)
        for _ in range(2):
            now += TICK_NS // 2
            device.apply(core.step(now, device.read()))
        courses[0].append(device.read().position)
        courses[1].append(simple.step(goal))
    device.close()
    error = np.abs(np.array(courses[0]) - np.array(courses[1]))
    assert np.abs(np.array(courses[0])).max() > 0.6
    assert error.max() < 0.15
    assert np.sqrt((error**2).mean()) < 0.03
