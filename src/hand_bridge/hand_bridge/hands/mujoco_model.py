"""An MJCF hand and how the DOFs move its actuators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from hand_bridge.mapping import (
    ActuatorMap,
    Range,
    check_coverage,
    check_keys,
    dof_weights,
    load_yaml,
    number,
)

BUILT_IN = Path(__file__).resolve().parent.parent / "models" / "hand.yaml"


@dataclass(frozen=True)
class HandFile:
    """A mapping file: which MJCF file, which actuators, moved by which DOFs.

    Parameters
    ----------
    path, model : Path
        The mapping file itself, and the MJCF file it names.
    actuators : tuple of str, length n_actuators
    map : ActuatorMap
    fixed : dict of str to float
        Actuators that are kept at one position.
    """

    path: Path
    model: Path
    actuators: tuple[str, ...]
    map: ActuatorMap
    fixed: dict[str, float]


def load_hand_file(path: str | Path, dofs: Sequence[str]) -> HandFile:
    """Read a mapping file; an empty path means the built-in hand.

    Raises
    ------
    UserError
        When it cannot be read, holds something unknown, or leaves a DOF without an actuator.
    """
    path = Path(path).expanduser() if path else BUILT_IN
    where = f"hand {path}"
    document = load_yaml(path, "hand")
    check_keys(document, where, {"model", "actuators"}, {"fixed"})
    if not isinstance(document["actuators"], dict) or not document["actuators"]:
        raise UserError(f"{where}: actuators must map names to min, rest, max and dofs")
    ranges, rows = [], []
    for name, item in document["actuators"].items():
        here = f"{where}, actuator {name}"
        check_keys(item, here, {"min", "rest", "max", "dofs"}, set())
        ranges.append(Range(*(number(item[k], f"{here}, {k}") for k in ("min", "rest", "max"))))
        ranges[-1].check(here)
        rows.append(dof_weights(item["dofs"], dofs, here))
    weights = np.array(rows)
    check_coverage(weights, dofs, where)
    fixed = document.get("fixed") or {}
    if not isinstance(fixed, dict):
        raise UserError(f"{where}: fixed must map actuator names to positions")
    return HandFile(
        path=path,
        model=path.parent / str(document["model"]),
        actuators=tuple(str(name) for name in document["actuators"]),
        map=ActuatorMap(ranges, weights),
        fixed={str(k): number(v, f"{where}, fixed {k}") for k, v in fixed.items()},
    )


def bind_actuators(mujoco: Any, model: Any, hand: HandFile, prefix: str = "") -> NDArray[np.intp]:
    """Indices of the mapped actuators in a compiled model, shape (n_actuators,).

    Raises
    ------
    UserError
        When one is missing, or is not a position actuator.
    """
    ids = [_actuator(mujoco, model, hand, prefix + name) for name in hand.actuators]
    return np.array(ids, np.intp)


def _actuator(mujoco: Any, model: Any, hand: HandFile, name: str) -> int:
    index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_ACTUATOR.value, name)
    if index < 0:
        known = ", ".join(model.actuator(i).name or f"(unnamed {i})" for i in range(model.nu))
        raise UserError(
            f"hand {hand.path}: {hand.model.name} has no actuator {name}, it has {known}"
        )
    gain, bias = model.actuator_gainprm[index], model.actuator_biasprm[index]
    fixed_gain = model.actuator_gaintype[index] == mujoco.mjtGain.mjGAIN_FIXED.value
    if not fixed_gain or gain[0] <= 0 or not np.isclose(bias[1], -gain[0]):
        raise UserError(f"hand {hand.path}: {name} is not a position actuator, use <position>")
    return int(index)


def rest_control(mujoco: Any, model: Any, hand: HandFile, prefix: str = "") -> NDArray[np.float64]:
    """Control of every actuator of the model at rest, shape (nu,): mapped, fixed, else 0.

    Raises
    ------
    UserError
        When an actuator is missing.
    """
    control = np.zeros(model.nu)
    for name, value in hand.fixed.items():
        control[_actuator(mujoco, model, hand, prefix + name)] = value
    rest = hand.map.to_actuators(np.zeros(hand.map.n_dofs))
    control[bind_actuators(mujoco, model, hand, prefix)] = rest
    return control


def check_ranges(model: Any, hand: HandFile, ids: NDArray[np.intp]) -> None:
    """Check that the mapping stays within the control ranges of the model.

    Raises
    ------
    UserError
        Names the actuator whose range is exceeded.
    """
    reached = np.array([hand.map.to_actuators(s * np.ones(hand.map.n_dofs)) for s in (-1, 1)])
    for k, i in enumerate(ids):
        low, high = model.actuator_ctrlrange[i]
        ends = reached[:, k]
        if model.actuator_ctrllimited[i] and (ends.min() < low - 1e-9 or ends.max() > high + 1e-9):
            raise UserError(
                f"hand {hand.path}, actuator {hand.actuators[k]}: {ends.min():g} to {ends.max():g}"
                f" leaves its control range {low:g} to {high:g}"
            )
