"""The candidate actions, the movements that screen and test them, and a person who makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emghand.dofs import Dof
from emghand.settings import from_mapping
from emghand.simulate import SyntheticSettings
from emghand.tasks.movements import Movement, MovementSet

LIMBS = ("thumb", "index", "middle", "ring", "little", "wrist")
DIRECTIONS = ("extend", "flex", "left", "right")

ACTIONS = tuple(f"{direction}_{limb}" for limb in LIMBS for direction in DIRECTIONS)
"""What a person does, verb first (``flex_thumb``): never taken for a DOF of the hand
(``thumb_flex``)."""

SCREENING_LEVELS = (1.0, 0.5)
TEST_LEVELS = (0.75,)
REPETITIONS = 3
MUSCLES = 16
"""Muscles that the simulated person has for all actions."""


def action_set(
    name: str,
    levels: Sequence[float],
    actions: Sequence[str] = ACTIONS,
    repetitions: int = REPETITIONS,
    **timing: float,
) -> MovementSet:
    """Every action alone at every level; each action is a DOF of its own, in [0, 1].

    Parameters
    ----------
    name : str
    levels : sequence of float
        Amplitudes in (0, 1].
    actions : sequence of str
    repetitions : int
        Of each action at each level.
    **timing : float
        ``rise``, ``hold``, ``fall`` and ``rest`` [s].
    """
    rest = timing.pop("rest", 0.8)
    times: dict[str, Any] = {"rise": 0.7, "hold": 1.0, "fall": 0.7} | timing
    return MovementSet(
        name=name,
        dofs=tuple(Dof(action, 0.0, 1.0) for action in actions),
        movements=tuple(
            Movement(f"{action} {level:g}", {action: level}, **times)
            for level in levels
            for action in actions
        ),
        repetitions=repetitions,
        rest=rest,
    )


def screening_set(actions: Sequence[str] = ACTIONS, **changes: Any) -> MovementSet:
    """Movements to choose from: every action, 3 times at 1.0 and 3 times at 0.5.

    `changes` are arguments of `action_set`.
    """
    return action_set(
        "actions_screening", **{"levels": SCREENING_LEVELS, "actions": actions} | changes
    )


def unseen_set(actions: Sequence[str] = ACTIONS, **changes: Any) -> MovementSet:
    """Movements to test the choice on: every action, 3 times at 0.75, which was never screened.

    `changes` are arguments of `action_set`.
    """
    return action_set("actions_test", **{"levels": TEST_LEVELS, "actions": actions} | changes)


def simulated_person(
    seed: int = 1, run: int = 0, actions: Sequence[str] = ACTIONS, **changes: Any
) -> SyntheticSettings:
    """A synthetic person who has a muscle pattern for each action; some patterns are much alike.

    Parameters
    ----------
    seed, run : int
        The person, and the day.
    actions : sequence of str
    **changes
        Other settings of `SyntheticSettings`.
    """
    values: dict[str, Any] = {"seed": seed, "run": run, "dofs": tuple(actions), "muscles": MUSCLES}
    return from_mapping(SyntheticSettings, values | changes)
