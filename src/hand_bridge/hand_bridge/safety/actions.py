"""Fault actions: where a hand goes when it may no longer follow commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.dofs import Dof
from emghand.settings import SettingsError
from hand_bridge.safety.settings import SafetySettings
from hand_bridge.safety.types import Power


@dataclass(frozen=True)
class Plan:
    """Where to go in this step. `goal` None: stay; `speed` in normalised units per second."""

    power: Power
    goal: NDArray[np.float64] | None = None
    speed: NDArray[np.float64] | float = 0.0
    current: float = 1.0


OFF = Plan(Power.OFF)
LIMP = Plan(Power.LIMP)


def open_posture(dofs: Sequence[Dof], settings: SafetySettings) -> NDArray[np.float64]:
    """Posture of the action open, shape (n_dofs,), within the limits of the DOFs.

    Raises
    ------
    SettingsError
        When the setting has not one value per DOF.
    """
    given = settings.open_posture
    if not given:
        return np.array([0.0 if d.name.startswith("wrist") else d.low for d in dofs])
    if len(given) != len(dofs):
        raise SettingsError(f"open_posture: {len(given)} values for {len(dofs)} DOFs")
    return np.clip(given, [d.low for d in dofs], [d.high for d in dofs])


def speed_limits(dofs: Sequence[Dof], settings: SafetySettings) -> NDArray[np.float64]:
    """Speed limit of each DOF, shape (n_dofs,).

    Raises
    ------
    SettingsError
        When the setting has neither one value nor one per DOF.
    """
    given = settings.speed_limit
    if len(given) not in (1, len(dofs)):
        raise SettingsError(f"speed_limit: {len(given)} values for {len(dofs)} DOFs")
    return np.broadcast_to(np.array(given), len(dofs))


def plan_action(
    action: str, since_s: float, settings: SafetySettings, opened: NDArray[np.float64]
) -> Plan:
    """Plan of a fault action that began `since_s` seconds ago.

    Parameters
    ----------
    action : {"rest", "hold", "open", "limp"}
    opened : ndarray, shape (n_dofs,)
        See `open_posture`.
    """
    if action == "limp":
        return LIMP
    if action == "hold" and since_s < settings.hold_time:
        return Plan(Power.ON, current=settings.hold_current)
    goal = opened if action == "open" else np.zeros_like(opened)
    return Plan(Power.ON, goal, settings.ramp_speed)
