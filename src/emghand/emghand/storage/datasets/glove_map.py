"""Linear maps from the sensors of a data glove to degrees of actuation of a hand."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.datasets.text_table import parse_table, read_bytes
from emghand.storage.repairs import RepairLog

Floats = NDArray[np.float64]

DEGREES_PER_UNIT = 90.0
"""Glove angle that counts as 1 in `x_d`."""


@dataclass(frozen=True)
class GloveMap:
    """``x_d = glove @ matrix / 90``, with the glove in degrees.

    Parameters
    ----------
    sensors : tuple of str, length n
    dofs : tuple of str, length k
    matrix : ndarray, shape (n, k)
    """

    sensors: tuple[str, ...]
    dofs: tuple[str, ...]
    matrix: Floats

    def apply(self, glove: Floats) -> Floats:
        """`x_d`, shape (m, k), of glove angles, shape (m, n) [degrees]."""
        return np.einsum("mn,nk->mk", glove, self.matrix) / DEGREES_PER_UNIT


def read_glove_map(path: str | Path) -> GloveMap:
    """Read a map from a csv file: one row per sensor, one column per DOF, names in both.

    Raises
    ------
    UserError
        When the file is damaged or a weight is no number.
    """
    path = Path(path)
    log = RepairLog(strict=True)
    return _parse(path, read_bytes(path, log), log)


def db8_glove_map() -> GloveMap:
    """The published map from the 18 sensors of DB8 to five degrees of actuation.

    Krasoulis, Vijayakumar and Nazarpour 2019 (doi 10.3389/fnins.2019.00891): rotation and flexion
    of the thumb, flexion of the index, of the middle, and of ring and little finger together.
    """
    name = "db8_doa.csv"
    data = resources.files(__package__).joinpath(name).read_bytes()
    return _parse(Path(name), data, RepairLog(strict=True))


def plain_glove_map(sensors: tuple[str, ...]) -> GloveMap:
    """Every sensor a DOF of its own."""
    return GloveMap(sensors, sensors, np.eye(len(sensors)))


def _parse(path: Path, data: bytes, log: RepairLog) -> GloveMap:
    table = parse_table(path, data, log)
    if len(table.names) < 2:
        raise UserError(f"{path}: expected a column of sensors and one column per DOF")
    matrix = table.numbers(range(1, len(table.names)))
    if not np.isfinite(matrix).all():
        line = table.lines[~np.isfinite(matrix).all(axis=1)][0]
        raise UserError(f"{path}, line {line}: a weight is no number")
    sensors = tuple(cell.strip() for cell in table.column(0))
    return GloveMap(sensors, table.names[1:], matrix)
