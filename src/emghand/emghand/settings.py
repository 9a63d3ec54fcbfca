"""Settings as frozen dataclasses that carry their own unit, range and text.

One declaration serves the Python constructor, YAML files, the manifest of a session and the ROS
parameters of a node (`emghand_ros.parameters` builds the descriptors from it).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from emghand.errors import UserError

T = TypeVar("T")


class SettingsError(UserError):
    """A setting is unknown, of the wrong type or out of its range."""


def setting(
    default: Any,
    text: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[Any] = (),
    live: bool = True,
) -> Any:
    """Declare one setting of a settings dataclass.

    Parameters
    ----------
    default : Any
        Default value: bool, int, float, str, or a tuple of one of these.
    text : str
        One sentence for a person.
    unit : str
        Physical unit, shown beside the value.
    low, high : float, optional
        Inclusive range of the value, or of every element of a tuple.
    choices : Sequence
        Allowed values, or allowed elements of a tuple; empty: all.
    live : bool
        Whether a running node may change it.
    """
    meta = {
        "text": text,
        "unit": unit,
        "low": low,
        "high": high,
        "choices": tuple(choices),
        "live": live,
    }
    return dataclasses.field(default=default, metadata=meta)


def check(settings: Any) -> None:
    """Check every field of a settings dataclass against its declaration.

    Call it from ``__post_init__``. Integers given for floats are converted.

    Raises
    ------
    SettingsError
        Names the setting, the value and what is allowed.
    """
    for item in dataclasses.fields(settings):
        if not item.metadata:
            continue
        value = _convert(item, getattr(settings, item.name))
        object.__setattr__(settings, item.name, value)
        for element in value if isinstance(value, tuple) else (value,):
            _check_element(item, element)


def _convert(item: dataclasses.Field[Any], value: Any) -> Any:
    default = item.default
    if isinstance(default, tuple):
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise SettingsError(f"{item.name}: expected a list, got {value!r}")
        kind = type(default[0]) if default else type(value[0]) if len(value) else str
        return tuple(_convert_scalar(item.name, v, kind) for v in value)
    return _convert_scalar(item.name, value, type(default))


def _convert_scalar(name: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise SettingsError(f"{name}: is too large a number") from None
    if (kind is not bool and isinstance(value, bool)) or not isinstance(value, kind):
        raise SettingsError(f"{name}: expected {kind.__name__}, got {value!r}")
    return value


def _check_element(item: dataclasses.Field[Any], value: Any) -> None:
    low, high, choices = (item.metadata[k] for k in ("low", "high", "choices"))
    unit = f" {item.metadata['unit']}" if item.metadata["unit"] else ""
    ranged = low is not None or high is not None
    if value != value or (ranged and not isinstance(value, int | float)):
        raise SettingsError(f"{item.name}: {value!r} is not a number")
    if low is not None and value < low:
        raise SettingsError(f"{item.name}: {value}{unit} is below the minimum of {low}{unit}")
    if high is not None and value > high:
        raise SettingsError(f"{item.name}: {value}{unit} is above the maximum of {high}{unit}")
    if choices and value not in choices:
        allowed = ", ".join(str(c) for c in choices)
        raise SettingsError(f"{item.name}: {value!r} is unknown, choose from: {allowed}")


def from_mapping(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build a settings dataclass from a mapping (YAML, JSON, ROS parameters).

    Raises
    ------
    SettingsError
        For an unknown key, a wrong type or a value out of range.
    """
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise SettingsError(f"{key}: unknown setting, choose from: {', '.join(names)}")
    converted = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return cls(**converted)


def to_json(settings: Any) -> str:
    """Settings (dataclass or mapping) as canonical JSON: sorted keys, no spaces."""
    values = dataclasses.asdict(settings) if dataclasses.is_dataclass(settings) else settings  # type: ignore[arg-type]
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def digest(settings: Any) -> str:
    """SHA-256 of the canonical JSON of the settings, hexadecimal."""
    return hashlib.sha256(to_json(settings).encode()).hexdigest()
