"""From normalised DOFs to actuators and back, asymmetric about rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.yaml_files import read_yaml


def load_yaml(path: Path, what: str) -> Mapping[str, Any]:
    """Mapping at the top of a YAML file.

    Raises
    ------
    UserError
        When it cannot be read or is something else.
    """
    document = read_yaml(path, what)
    if not isinstance(document, Mapping):
        raise UserError(f"{what} {path}: expected a mapping, see docs/hands.md")
    return document


def check_keys(item: object, where: str, required: set[str], optional: set[str]) -> None:
    """Check that a part of a YAML file is a mapping with these keys.

    Raises
    ------
    UserError
        Names what is missing or unknown.
    """
    if not isinstance(item, Mapping):
        raise UserError(f"{where}: expected a mapping, see docs/hands.md")
    keys = {str(k) for k in item}
    if missing := required - keys:
        raise UserError(f"{where}: {', '.join(sorted(missing))} missing")
    if unknown := keys - required - optional:
        raise UserError(f"{where}: unknown keys: {', '.join(sorted(unknown))}")


def number(value: object, where: str) -> float:
    """Finite number of a YAML file.

    Raises
    ------
    UserError
        When it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise UserError(f"{where}: expected a number, got {value!r}")
    return float(value)


@dataclass(frozen=True)
class Range:
    """Actuator position at x = -1, 0 and 1. `low` may be the larger one: it then runs backwards."""

    low: float
    rest: float
    high: float

    def check(self, where: str) -> None:
        """Check that rest lies between the ends.

        Raises
        ------
        UserError
            When it does not, or when there is no room at all.
        """
        inside = min(self.low, self.high) <= self.rest <= max(self.low, self.high)
        if not inside or self.low == self.high:
            raise UserError(
                f"{where}: min {self.low:g}, rest {self.rest:g}, max {self.high:g}:"
                " rest must lie between two different ends"
            )


class ActuatorMap:
    """Maps DOFs to actuator positions.

    An actuator gets u = clip(sum of weight * x, -1, 1), and goes to
    rest + u (max - rest) for u >= 0, rest - |u| (rest - min) for u < 0.

    Parameters
    ----------
    ranges : sequence of Range, length n_actuators
    weights : ndarray, shape (n_actuators, n_dofs)
    """

    def __init__(self, ranges: Sequence[Range], weights: NDArray[np.float64]) -> None:
        self._rest = np.array([r.rest for r in ranges])
        self._up = np.array([r.high - r.rest for r in ranges])
        self._down = np.array([r.rest - r.low for r in ranges])
        self._weights = weights
        self._inverse = np.linalg.pinv(weights)
        self.n_dofs = weights.shape[1]

    def to_actuators(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Actuator positions, shape (n_actuators,), of a DOF vector, shape (n_dofs,)."""
        u = np.clip(self._weights @ x, -1.0, 1.0)
        return self._rest + u * np.where(u >= 0, self._up, self._down)

    def to_dofs(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """DOF vector that explains measured actuator positions best (least squares).

        Positions beyond the range give values beyond [-1, 1]. An actuator without room on the
        side it is on counts as being at rest.
        """
        moved = position - self._rest
        flexed = moved * np.sign(self._up + self._down) >= 0
        room = np.where(flexed, self._up, self._down)
        u = np.divide(moved, room, out=np.zeros_like(moved), where=room != 0)
        return self._inverse @ u


def dof_weights(given: object, dofs: Sequence[str], where: str) -> NDArray[np.float64]:
    """One row of weights, shape (n_dofs,), from the mapping ``{dof: weight}`` of a YAML file.

    DOFs the bridge does not have are left out: one file serves several sets of DOFs.

    Raises
    ------
    UserError
        When it is not a mapping of names to numbers.
    """
    if not isinstance(given, Mapping) or not given:
        raise UserError(f"{where}: write dofs as {{NAME: WEIGHT}}")
    row = np.zeros(len(dofs))
    for name, weight in given.items():
        value = number(weight, f"{where}, weight of {name}")
        if name in dofs:
            row[list(dofs).index(name)] = value
    return row


def check_coverage(weights: NDArray[np.float64], dofs: Sequence[str], where: str) -> None:
    """Check that every DOF moves something, and each independently of the others.

    Raises
    ------
    UserError
        Names the DOFs that do not.
    """
    idle = [d for d, used in zip(dofs, np.abs(weights).sum(axis=0) > 0, strict=True) if not used]
    if idle:
        raise UserError(f"{where}: no actuator moves {', '.join(idle)}")
    if np.linalg.matrix_rank(weights) < len(dofs):
        raise UserError(f"{where}: two DOFs move the same actuators in the same way")
