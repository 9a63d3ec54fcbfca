"""ROS parameters made from the settings dataclasses of `emghand.settings`."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from emghand.settings import SettingsError, from_mapping

T = TypeVar("T")
_LARGE = 2**53


def _descriptor(item: dataclasses.Field) -> ParameterDescriptor:
    meta = item.metadata
    text = meta["text"] + (f" [{meta['unit']}]" if meta["unit"] else "")
    choices = ", ".join(str(c) for c in meta["choices"])
    result = ParameterDescriptor(
        description=text,
        additional_constraints=f"one of: {choices}" if choices else "",
        read_only=not meta["live"],
        # rclpy cannot tell the type of an empty list, and a person writes 1 for 1.0: the types
        # are checked by the settings themselves.
        dynamic_typing=isinstance(item.default, tuple | float),
    )
    low, high = meta["low"], meta["high"]
    if isinstance(item.default, bool) or (low is None and high is None):
        return result
    if isinstance(item.default, int):
        low = -_LARGE if low is None else low
        high = _LARGE if high is None else high
        result.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
    elif isinstance(item.default, float):
        low = -1e300 if low is None else low
        high = 1e300 if high is None else high
        result.floating_point_range = [
            FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)
        ]
    return result


def _as_tuple(value: Any) -> Any:
    # An empty list in a YAML file arrives as a parameter without a value.
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple | array.array) else value


class SettingsParameters(Generic[T]):
    """The fields of one settings dataclass as parameters of a node.

    Parameters
    ----------
    node : Node
        Declares one parameter per field.
    cls : type
        Settings dataclass made of `emghand.settings.setting` fields.
    prefix : str
        Put before every name, with a dot; empty: none.
    on_change : callable, optional
        Gets the new, valid settings after a live change. It may raise `SettingsError` to refuse
        the change. It runs before the change is stored, in the executor's thread.
    defaults : dataclass, optional
        Other defaults than those of `cls`.

    Raises
    ------
    SettingsError
        When a value given at start is not valid.
    """

    def __init__(
        self,
        node: Node,
        cls: type[T],
        prefix: str = "",
        on_change: Callable[[T], None] | None = None,
        defaults: T | None = None,
    ) -> None:
        self._node = node
        self._cls = cls
        self._applying = False
        self._prefix = f"{prefix}." if prefix else ""
        self._on_change = on_change
        defaults = cls() if defaults is None else defaults
        values: dict[str, Any] = {}
        for item in dataclasses.fields(cls):  # type: ignore[arg-type]
            default = getattr(defaults, item.name)
            is_list = isinstance(default, tuple)
            try:
                parameter = node.declare_parameter(
                    self._prefix + item.name,
                    list(default) if is_list else default,
                    _descriptor(item),
                )
            except ParameterException as error:
                raise SettingsError(f"parameter {self._prefix}{item.name}: {error}") from error
            values[item.name] = _as_tuple(parameter.value) if is_list else parameter.value
        try:
            self.value: T = from_mapping(cls, values)
        except SettingsError as error:
            raise SettingsError(f"parameter {self._prefix}{error}") from error
        node.add_on_set_parameters_callback(self._on_set)

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changed: dict[str, Any] = {}
        names = {f.name for f in dataclasses.fields(self._cls)}  # type: ignore[arg-type]
        for parameter in parameters:
            name = parameter.name.removeprefix(self._prefix)
            if parameter.name.startswith(self._prefix) and name in names:
                is_list = isinstance(getattr(self.value, name), tuple)
                changed[name] = _as_tuple(parameter.value) if is_list else parameter.value
        if not changed:
            return SetParametersResult(successful=True)
        try:
            new = from_mapping(self._cls, dataclasses.asdict(self.value) | changed)  # type: ignore[call-overload]
            if self._on_change is not None and not self._applying:
                self._on_change(new)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.value = new
        return SetParametersResult(successful=True)

    def apply(self, settings: T) -> None:
        """Set the parameters to what `settings` says; `on_change` is not called.

        Raises
        ------
        SettingsError
            When a parameter that differs cannot be changed while the node runs.
        """
        new = dataclasses.asdict(settings)  # type: ignore[call-overload]
        values = {k: v for k, v in new.items() if v != getattr(self.value, k)}
        self._applying = True
        try:
            result = self._node.set_parameters_atomically(
                [
                    Parameter(self._prefix + name, value=list(v) if isinstance(v, tuple) else v)
                    for name, v in values.items()
                ]
            )
        finally:
            self._applying = False
        if not result.successful:
            raise SettingsError(result.reason)
