"""Reader of the NinaPro data sets DB1, DB2 and DB8 (MATLAB files).

Atzori et al. 2014 (doi 10.1038/sdata.2014.53) describe DB1 and DB2, Krasoulis et al. 2019
(doi 10.3389/fnins.2019.00891) DB8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.datasets.common import (
    Floats,
    Ints,
    blocks_at,
    default_block_size,
    make_recording,
    report_still_channels,
)
from emghand.storage.datasets.gestures import REST, Gesture, gesture_periods
from emghand.storage.datasets.glove_map import GloveMap, db8_glove_map, plain_glove_map
from emghand.storage.datasets.matlab import load_mat
from emghand.storage.recording import Period, Recording, Series, Stream
from emghand.storage.repairs import KEPT, LEFT_OUT, RepairLog

LABEL_RATE = 100.0
"""Of the labels [Hz]. The glove gives fewer readings a second; the files repeat or interpolate
them to the rate of the EMG."""

SENSORS_22 = (
    *("thumb_roll", "thumb_mcp", "thumb_ip", "thumb_abd"),
    *("index_mcp", "index_pip", "index_dip", "middle_mcp", "middle_pip", "middle_dip"),
    *("middle_index_abd", "ring_mcp", "ring_pip", "ring_dip", "ring_middle_abd"),
    *("little_mcp", "little_pip", "little_dip", "little_ring_abd"),
    *("palm_arch", "wrist_pitch", "wrist_yaw"),
)
"""Sensors of the 22-sensor CyberGlove, in its order."""


@dataclass(frozen=True)
class _Layout:
    name: str
    rate: float
    channels: int
    sensors: int
    device: str


_LAYOUTS = (
    _Layout("DB1", 100.0, 10, 22, "ottobock"),
    _Layout("DB2", 2000.0, 12, 22, "trigno"),
    _Layout("DB8", 2000.0, 16, 18, "trigno"),
)
_NAME = re.compile(r"S(\d+)_(?:A(\d+)_E(\d+)|E(\d+)_A(\d+))", re.IGNORECASE)


def is_ninapro_name(path: str | Path) -> bool:
    """Whether a file is named like those of NinaPro, such as ``S1_E1_A2.mat``."""
    return _NAME.fullmatch(Path(path).stem) is not None


def read_ninapro(
    path: str | Path,
    glove_map: GloveMap | None = None,
    *,
    block_size: int | None = None,
    strict: bool = False,
) -> Recording:
    """Read one .mat file of DB1, DB2 or DB8; which one is told from its numbers of columns.

    EMG: 10 rectified channels at 100 Hz (DB1), 12 at 2 kHz (DB2), 16 at 2 kHz (DB8); in the unit
    of the file, volt. `x_d`: the glove through `glove_map`, at 100 Hz. Periods: the refined labels
    ``restimulus`` and ``rerepetition`` (else ``stimulus`` and ``repetition``): MOVE during a
    movement, named by its exercise and number, such as ``e1m03``; REST otherwise. Stamps begin at
    0. Subject from the file, session from the acquisition in its name.

    Parameters
    ----------
    path : str or Path
    glove_map : GloveMap, optional
        By default that of `db8_glove_map` for the 18 sensors of DB8. The 22 sensors of DB1 and DB2
        are not calibrated: each is a DOF of its own, as it is, divided by 90.
    block_size : int, optional
        Samples per block.
    strict : bool
        Refuse damage instead of reporting it.

    Raises
    ------
    UserError
        When the file is damaged, of MATLAB version 7.3, or of another data set.
    """
    path = Path(path)
    log = RepairLog(strict)
    arrays = load_mat(path)
    emg, glove = _matrix(path, arrays, "emg"), _matrix(path, arrays, "glove")
    layout = _layout(path, emg, glove)
    samples = len(emg)
    if len(glove) != samples:
        raise UserError(f"{path}: emg has {samples} rows but glove {len(glove)}")
    good = (np.abs(emg) <= np.finfo(np.float32).max).all(axis=1)
    text = "a value of the EMG that is no finite number"
    log.add(path, "bad_value", LEFT_OUT, text, np.flatnonzero(~good), "sample")
    if not good.any():
        raise UserError(f"{path}: holds no sample of EMG that can be used")
    names = tuple(f"ch{i + 1:02d}" for i in range(emg.shape[1]))
    report_still_channels(path, emg[good], names, layout.rate, 0.0, log)
    block_size = block_size or default_block_size(layout.rate)
    stamps = np.round(np.arange(samples) * 1e9 / layout.rate).astype(np.int64)
    named = _NAME.fullmatch(path.stem)
    acquisition = (named[2] or named[5]) if named else ""
    subject = _number(arrays, "subject", named[1] if named else "")
    exercise = _number(arrays, "exercise", (named[3] or named[4]) if named else "1")
    return make_recording(
        str(path),
        Stream(layout.device, path.stem, names, layout.rate, block_size, "V"),
        blocks_at(emg[good], np.flatnonzero(good), layout.rate, block_size),
        _labels(path, layout, glove, stamps, glove_map, log),
        _periods(path, arrays, stamps, exercise),
        subject=subject,
        session=acquisition,
        log=log,
    )


def _layout(path: Path, emg: Floats, glove: Floats) -> _Layout:
    shape = emg.shape[1], glove.shape[1]
    for layout in _LAYOUTS:
        if shape == (layout.channels, layout.sensors):
            return layout
    # A forearm may have no room for all 16 electrodes.
    if shape[1] == 18 and 12 <= shape[0] < 16:
        return _LAYOUTS[-1]
    known = "; ".join(f"{k.name}: {k.channels} and {k.sensors}" for k in _LAYOUTS)
    raise UserError(
        f"{path}: {shape[0]} channels and {shape[1]} glove sensors are none of NinaPro's {known}; "
        "write a column map for it"
    )


def _labels(
    path: Path,
    layout: _Layout,
    glove: Floats,
    stamps: Ints,
    glove_map: GloveMap | None,
    log: RepairLog,
) -> Series:
    if glove_map is None:
        glove_map = db8_glove_map() if layout.sensors == 18 else plain_glove_map(SENSORS_22)
    if len(glove_map.sensors) != layout.sensors:
        raise UserError(
            f"{path}: the glove has {layout.sensors} sensors, the map {len(glove_map.sensors)}"
        )
    every = max(1, round(layout.rate / LABEL_RATE))
    values = glove[::every]
    bad = ~np.isfinite(values).all(axis=1)
    text = "a glove reading that is no finite number; no label there"
    log.add(path, "bad_label", KEPT, text, np.flatnonzero(bad) * every, "sample")
    # A sensor that does not count must not take the label with it when it alone is missing.
    unused = (glove_map.matrix == 0).all(axis=1)
    return Series(glove_map.dofs, stamps[::every], glove_map.apply(np.where(unused, 0.0, values)))


def _periods(
    path: Path, arrays: Mapping[str, NDArray[Any]], stamps: Ints, exercise: str
) -> list[Period]:
    refined = "restimulus" in arrays and "rerepetition" in arrays
    parts = []
    for name in ("restimulus", "rerepetition") if refined else ("stimulus", "repetition"):
        if name not in arrays:
            raise UserError(f"{path}: has no array {name!r}, it has: {', '.join(arrays)}")
        values = np.ravel(arrays[name])
        if values.dtype.kind not in "iuf" or len(values) != len(stamps):
            raise UserError(f"{path}: {name} must be one number per sample")
        parts.append(np.nan_to_num(values.astype(np.float64)).astype(np.int64))
    stimulus, repetition = parts
    numbers = np.unique(stimulus[stimulus > 0])
    gestures = [Gesture(f"e{exercise}m{n:02d}") for n in numbers.tolist()]
    index = np.where(stimulus > 0, np.searchsorted(numbers, stimulus), REST)
    return gesture_periods(
        index, stamps, gestures, repetition=repetition - 1, numbers=numbers.tolist()
    )


def _number(arrays: Mapping[str, NDArray[Any]], name: str, otherwise: str) -> str:
    values = np.ravel(arrays.get(name, ()))
    if values.size and values.dtype.kind in "iuf" and np.isfinite(values[0]):
        return str(int(values[0]))
    return otherwise


def _matrix(path: Path, arrays: Mapping[str, NDArray[Any]], name: str) -> Floats:
    if name not in arrays:
        raise UserError(f"{path}: has no array {name!r}, it has: {', '.join(arrays) or 'none'}")
    array = arrays[name]
    if array.ndim != 2 or array.dtype.kind not in "iuf" or not len(array):
        raise UserError(f"{path}: {name} must be a matrix of numbers with one row per sample")
    return array.astype(np.float64)
