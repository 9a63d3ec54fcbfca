"""From sensor values to normalised DOFs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.yaml_files import read_yaml


@dataclass(frozen=True)
class SensorRange:
    """How one sensor moves one DOF.

    Parameters
    ----------
    dof : str
    extended, flexed : float
        Sensor values that mean -1 and +1; either may be the larger one.
    rest : float or None
        Sensor value that means 0; None: half way.
    weight : float
        Share of this sensor where several move the same DOF.
    """

    dof: str
    extended: float
    flexed: float
    rest: float | None = None
    weight: float = 1.0

    def normalise(self, value: float) -> float:
        """Sensor value on [-1, 1], linear on both sides of rest, clipped."""
        middle = (self.extended + self.flexed) / 2 if self.rest is None else self.rest
        end = self.flexed if (value - middle) * (self.flexed - middle) >= 0 else self.extended
        size = min(abs((value - middle) / (end - middle)), 1.0)
        return size if end == self.flexed else -size


class Calibration:
    """Sensors to DOFs: each DOF is the weighted mean of its sensors.

    Parameters
    ----------
    sensors : mapping of sensor name to SensorRange

    Raises
    ------
    UserError
        When there is no sensor, or a range is empty or does not hold its rest.
    """

    def __init__(self, sensors: Mapping[str, SensorRange]) -> None:
        if not sensors:
            raise UserError("calibration: names no sensor")
        for name, item in sensors.items():
            low, high = sorted((item.extended, item.flexed))
            rest = (low + high) / 2 if item.rest is None else item.rest
            if not low < rest < high or not np.isfinite([low, high]).all():
                raise UserError(
                    f"calibration, sensor {name}: extended, rest and flexed must differ, "
                    "with rest between the others"
                )
            if not 0 < item.weight < np.inf:
                raise UserError(f"calibration, sensor {name}: the weight must be positive")
        self.sensors = dict(sensors)
        self.dofs = tuple(dict.fromkeys(item.dof for item in sensors.values()))

    def missing(self, known: Iterable[str]) -> set[str]:
        """Sensors of the calibration that are not among the known ones."""
        return set(self.sensors) - set(known)

    def apply(self, values: Mapping[str, float]) -> NDArray[np.float64]:
        """Normalised DOFs, shape (n_dofs,), from the values of all sensors."""
        total = dict.fromkeys(self.dofs, 0.0)
        weight = dict.fromkeys(self.dofs, 0.0)
        for name, item in self.sensors.items():
            total[item.dof] += item.weight * item.normalise(values[name])
            weight[item.dof] += item.weight
        return np.array([total[dof] / weight[dof] for dof in self.dofs])


def load_calibration(path: str | Path) -> Calibration:
    """Read a calibration from YAML: ``sensors: {<sensor>: {dof, extended, flexed, ...}}``.

    Raises
    ------
    UserError
        When the file cannot be read or holds something unknown or out of range.
    """
    document = read_yaml(Path(path).expanduser(), "calibration")
    sensors = document.get("sensors") if isinstance(document, Mapping) else None
    if not isinstance(sensors, Mapping):
        raise UserError(f"calibration {path}: expected a mapping with the key 'sensors'")
    try:
        return Calibration({str(name): _parse(str(name), v) for name, v in sensors.items()})
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _parse(name: str, item: Any) -> SensorRange:
    if not isinstance(item, Mapping):
        raise UserError(f"calibration, sensor {name}: expected dof, extended and flexed")
    unknown = set(item) - {"dof", "extended", "flexed", "rest", "weight"}
    if unknown or not {"dof", "extended", "flexed"} <= set(item):
        raise UserError(
            f"calibration, sensor {name}: needs dof, extended and flexed, may have rest and "
            f"weight, got: {', '.join(map(str, item))}"
        )
    numbers = {k: v for k, v in item.items() if k != "dof"}
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"calibration, sensor {name}: {key} is not a number: {value!r}")
    return SensorRange(str(item["dof"]), **{k: float(v) for k, v in numbers.items()})
