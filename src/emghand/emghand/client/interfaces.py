"""Messages, services and actions by the names of their types, and their fields by name."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterable, Mapping
from typing import Any

from emghand.errors import UserError
from emghand.protocol.context import VARIABLE
from emghand.protocol.fields import Field
from emghand.protocol.world import Need

FOLDERS = {"watch": "msg", "publish": "msg", "service": "srv", "action": "action"}
"""Kind of interface by the role of a `Need`."""

_TYPE = re.compile(r"([a-z][a-z0-9_]*)/(msg|srv|action)/([A-Z][A-Za-z0-9]*)")


def has_ros() -> bool:
    """Whether message packages can be imported here."""
    return importlib.util.find_spec("rosidl_parser") is not None


def find_type(name: str, role: str) -> Any:
    """Class of a type such as ``std_msgs/msg/Bool``.

    Raises
    ------
    UserError
        When it is written in another way, is no message, service or action as its role needs, or
        is not installed.
    """
    match = _TYPE.fullmatch(name)
    if match is None or match[2] != FOLDERS[role]:
        raise UserError(f"type {name!r}: write it as package/{FOLDERS[role]}/Name")
    try:
        return getattr(importlib.import_module(f"{match[1]}.{match[2]}"), match[3])
    except (ImportError, AttributeError):
        raise UserError(f"type {name}: is not installed here") from None


def make(kind: Any, values: Mapping[str, Any]) -> Any:
    """Message with these fields; texts with ``${`` are left out, they are known later.

    Raises
    ------
    UserError
        Names a field that the message has not, or whose value it does not take.
    """
    message = kind()
    # Newer generators check only when told to, and a wrong value then ends the whole process.
    if hasattr(message, "_check_fields"):
        message._check_fields = True
    types = dict(zip(kind.get_fields_and_field_types(), kind.SLOT_TYPES, strict=True))
    for key, value in values.items():
        if key not in types:
            raise UserError(f"{kind.__name__} has no field {key!r}, only: {', '.join(types)}")
        if isinstance(value, str) and VARIABLE.search(value):
            continue
        try:
            setattr(message, key, _convert(types[key], value))
        except (AssertionError, TypeError, ValueError, OverflowError):
            shown = kind.get_fields_and_field_types()[key]
            raise UserError(f"{kind.__name__}.{key}: {value!r} is no {shown}") from None
    return message


def _convert(slot: Any, value: Any) -> Any:
    from rosidl_parser.definition import AbstractNestedType, BasicType, NamespacedType

    if isinstance(slot, NamespacedType):
        name = "/".join((*slot.namespaces, slot.name))
        if not isinstance(value, Mapping):
            raise TypeError
        return make(find_type(name, "publish"), value)
    if isinstance(slot, AbstractNestedType):
        if isinstance(value, str):
            raise TypeError
        return [_convert(slot.value_type, element) for element in value]
    if isinstance(slot, BasicType):
        if slot.typename in ("float", "double"):
            if isinstance(value, bool | str):
                raise TypeError
            return float(value)
        if (slot.typename == "boolean") != isinstance(value, bool):
            raise TypeError
    return value


def plain(message: Any) -> dict[str, Any]:
    """Fields of a message that are numbers or texts, or lists of them."""
    found: dict[str, Any] = {}
    for key in message.get_fields_and_field_types():
        value = getattr(message, key)
        if isinstance(value, bool | int | float | str):
            found[key] = value
        elif hasattr(value, "__len__"):
            elements = list(value)
            if all(isinstance(e, bool | int | float | str) for e in elements):
                found[key] = elements
    return found


def check_needs(needs: Iterable[tuple[str, Need]]) -> None:
    """Look up the type and every field of what stages use.

    Parameters
    ----------
    needs : iterable of (path of the stage, Need)

    Raises
    ------
    UserError
        Names the stage and what is unknown.
    """
    for path, need in needs:
        try:
            check_need(need)
        except UserError as error:
            raise UserError(f"{path}: {need.name}: {error}" if path else str(error)) from error


def check_need(need: Need) -> None:
    """Look up the type and every field of one `Need`; see `check_needs`."""
    kind = find_type(need.type, need.role)
    if need.role == "watch":
        _check_path(kind, need.field)
    else:
        part = {"service": "Request", "action": "Goal"}.get(need.role)
        make(getattr(kind, part) if part else kind, need.content)


def _check_path(kind: Any, path: str) -> None:
    from rosidl_parser.definition import AbstractNestedType, NamespacedType

    for name in Field(path).names:
        types = {}
        if kind is not None:
            types = dict(zip(kind.get_fields_and_field_types(), kind.SLOT_TYPES, strict=True))
        if name not in types:
            known = f", only: {', '.join(types)}" if types else ""
            raise UserError(f"field {path}: there is no {name}{known}")
        slot = types[name]
        if isinstance(slot, AbstractNestedType):
            slot = slot.value_type
        is_message = isinstance(slot, NamespacedType)
        kind = find_type("/".join((*slot.namespaces, slot.name)), "watch") if is_message else None
