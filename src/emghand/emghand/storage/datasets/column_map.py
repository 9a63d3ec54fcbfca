"""Column maps: YAML that says what is where in a file. docs/datasets.md is their reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from emghand.errors import UserError
from emghand.storage.datasets.clock import FORMATS as TIME_FORMS
from emghand.storage.datasets.gestures import Gesture
from emghand.yaml_files import read_yaml

T = TypeVar("T")

FORMATS = ("csv", "npz", "mat", "rosbag")
UNITS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "count": 1.0}
_MAX_BASES = 8


@dataclass(frozen=True)
class TimeMap:
    """`from_` says where the stamps are, `as_` how they are written (see `clock.parse_times`)."""

    from_: str
    as_: str = "s"


@dataclass(frozen=True)
class CounterMap:
    """The device's counter: begins anew after `wraps` (0: never), grows by `step` a sample."""

    from_: str
    wraps: int = 0
    step: int = 1


@dataclass(frozen=True)
class EmgMap:
    """Where the channels are, their names, unit and factor.

    `transpose`: arrays are (n_channels, n_samples). `channels`: each row or message holds several
    samples of so many channels, one sample after the other, and its stamp and counter are those of
    the first.
    """

    from_: tuple[str, ...]
    names: tuple[str, ...] = ()
    unit: str = "V"
    scale: float = 1.0
    full_scale: float = 0.0
    transpose: bool = False
    channels: int = 0


@dataclass(frozen=True)
class DofMap:
    """One label: linear, 0 at the value `zero` and 1 at the value `one`."""

    from_: str
    zero: float = 0.0
    one: float = 1.0


@dataclass(frozen=True)
class LabelMap:
    """DOFs by name, and where their stamps are when they are not those of the EMG."""

    dofs: Mapping[str, DofMap]
    time: TimeMap | None = None


@dataclass(frozen=True)
class GestureMap:
    """Where the gesture of each sample is, and what each one means."""

    from_: str
    postures: Mapping[str, Gesture]
    rest: str = "0"
    repetition: str = ""
    reaction_s: float = 0.0
    time: TimeMap | None = None


@dataclass(frozen=True)
class ColumnMap:
    """A whole map; the fields are the keys of the file, ``from_`` is ``from``."""

    emg: EmgMap
    file: str = ""
    format: str = ""
    delimiter: str = ","
    decimal: str = "."
    header: bool = True
    skip_lines: int = 0
    rate: float = 0.0
    time: TimeMap | None = None
    counter: CounterMap | None = None
    x_d: LabelMap | None = None
    gestures: GestureMap | None = None
    device: str = "file"
    subject: str = ""
    session: str = ""
    date: str = ""
    strict: bool = False
    folder: Path = field(default_factory=Path)


def load_map(path: str | Path) -> ColumnMap:
    """Read a column map; ``like: other.yaml`` takes what is not said from another one.

    Raises
    ------
    UserError
        Names the key that is unknown, missing, or of the wrong type.
    """
    path = Path(path)
    values = _with_bases(path, 0)
    return parse_map(values, path)


def _with_bases(path: Path, depth: int) -> dict[str, Any]:
    values = read_yaml(path, "column map")
    if not isinstance(values, dict):
        raise UserError(f"{path}: is no column map (docs/datasets.md says how one looks)")
    base = values.pop("like", None)
    if base is None:
        return values
    if depth >= _MAX_BASES:
        raise UserError(f"{path}: 'like' goes in a circle")
    return {**_with_bases(path.parent / str(base), depth + 1), **values}


def parse_map(values: Mapping[str, Any], path: Path) -> ColumnMap:
    """Check the content of a column map; `path` is for messages and as the folder of its file."""
    given = dict(values)
    if "emg" not in given:
        raise UserError(f"{path}: 'emg' is missing: say where the channels are")
    emg = given["emg"]
    given["emg"] = _emg(path, emg if isinstance(emg, dict) else {"from": emg})
    for name, kind in (("time", TimeMap), ("counter", CounterMap)):
        if given.get(name) is not None:
            given[name] = _short(path, name, kind, given[name])
    if given.get("x_d") is not None:
        given["x_d"] = _labels(path, given["x_d"])
    if given.get("gestures") is not None:
        given["gestures"] = _gestures(path, given["gestures"])
    if "date" in given:
        given["date"] = str(given["date"])  # YAML makes a date of 2024-05-01
    for name in ("subject", "session"):
        if isinstance(given.get(name), int):
            given[name] = str(given[name])
    found = _build(path, "", ColumnMap, {**given, "folder": path.parent})
    if found.format and found.format not in FORMATS:
        raise UserError(f"{path}: format {found.format!r}: choose from {', '.join(FORMATS)}")
    if len(found.delimiter) != 1 or len(found.decimal) != 1:
        raise UserError(f"{path}: delimiter and decimal are one character each")
    times = [found.time, *(m.time for m in (found.x_d, found.gestures) if m is not None)]
    for time in times:
        if time is not None and time.as_ not in TIME_FORMS and "%" not in time.as_:
            raise UserError(
                f"{path}: time 'as: {time.as_}': choose from {', '.join(TIME_FORMS)}, or give a "
                "pattern with %"
            )
    if found.counter is not None and (found.counter.wraps < 0 or found.counter.step < 1):
        raise UserError(f"{path}: counter: wraps must not be negative, and step at least 1")
    return found


def _emg(path: Path, values: Mapping[str, Any]) -> EmgMap:
    where = values.get("from")
    listed = dict(values) | {"from": where if isinstance(where, list) else [where]}
    found: EmgMap = _build(path, "emg", EmgMap, listed)
    if found.unit not in UNITS:
        raise UserError(f"{path}: emg: unit {found.unit!r}: choose from {', '.join(UNITS)}")
    if found.channels < 0:
        raise UserError(f"{path}: emg: channels must not be negative")
    if not found.from_ or not all(isinstance(f, str | int) for f in found.from_):
        raise UserError(f"{path}: emg: 'from' must name columns, arrays or a topic")
    return found


def _short(path: Path, name: str, kind: type[T], values: Any) -> T:
    """A section, or only its ``from``."""
    return _build(path, name, kind, values if isinstance(values, dict) else {"from": values})


def _labels(path: Path, values: Any) -> LabelMap:
    if not isinstance(values, dict) or not isinstance(values.get("dofs"), dict):
        raise UserError(f"{path}: x_d: write 'dofs:' and below it NAME: COLUMN")
    dofs = {str(k): _short(path, f"x_d.{k}", DofMap, v) for k, v in values["dofs"].items()}
    for name, dof in dofs.items():
        if dof.zero == dof.one:
            raise UserError(f"{path}: x_d.{name}: zero and one are the same value")
    time = values.get("time")
    rest = {k: v for k, v in values.items() if k not in ("dofs", "time")}
    return _build(
        path,
        "x_d",
        LabelMap,
        {**rest, "dofs": dofs, "time": time and _short(path, "x_d.time", TimeMap, time)},
    )


def _gestures(path: Path, values: Any) -> GestureMap:
    if not isinstance(values, dict) or not isinstance(values.get("postures"), dict):
        raise UserError(f"{path}: gestures: write 'from:' and 'postures:' with one entry per label")
    found = {}
    for label, posture in values["postures"].items():
        posture = posture if isinstance(posture, dict) else {"name": posture}
        try:
            dofs = {str(k): float(v) for k, v in (posture.get("dofs") or {}).items()}
        except (TypeError, ValueError, AttributeError):
            raise UserError(f"{path}: gestures {label}: dofs must be NAME: NUMBER") from None
        unknown = set(posture) - {"name", "dofs"}
        if unknown or not all(-1.0 <= v <= 1.0 for v in dofs.values()):
            raise UserError(f"{path}: gestures {label}: give a name, and dofs in [-1, 1]")
        found[str(label)] = Gesture(str(posture.get("name", label)), dofs)
    if not found:
        raise UserError(f"{path}: gestures: postures is empty")
    time = values.get("time")
    return _build(
        path,
        "gestures",
        GestureMap,
        {
            **values,
            "postures": found,
            "rest": str(values.get("rest", "0")),
            "time": time and _short(path, "gestures.time", TimeMap, time),
        },
    )


def _build(path: Path, section: str, kind: type[T], values: Mapping[str, Any]) -> T:
    where = f"{path}: {section}" if section else f"{path}"
    known = {f.name.rstrip("_"): f for f in fields(kind)}  # type: ignore[arg-type]
    made: dict[str, Any] = {}
    for key, value in values.items():
        item = known.get(str(key))
        if item is None:
            raise UserError(
                f"{where}: {key!r} is no key of a column map, choose from: "
                f"{', '.join(k for k in known if k != 'folder')}"
            )
        made[item.name] = _typed(where, str(key), str(item.type), value)
    if "from" in known and made.get("from_") in (None, "", (None,)):
        raise UserError(f"{where}: 'from' is missing")
    return kind(**made)


def _typed(where: str, key: str, kind: str, value: Any) -> Any:
    if kind == "str" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind == "tuple[str, ...]" and isinstance(value, list):
        return tuple(str(v) if isinstance(v, int) else v for v in value)
    wanted = {"str": str, "float": float, "int": int, "bool": bool, "tuple[str, ...]": tuple}
    expected = wanted.get(kind)
    wrong = expected is not None and (
        not isinstance(value, expected) or (expected is int and isinstance(value, bool))
    )
    if wrong or (expected is float and value != value):
        raise UserError(f"{where}: {key}: expected {kind}, got {value!r}")
    return value
