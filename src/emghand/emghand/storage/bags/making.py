"""Makes and serialises messages without ROS, from plain values."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.serde import SerdeError

from emghand.errors import UserError
from emghand.storage.bags.definitions import Types, find_definition, find_goal
from emghand.storage.bags.messages import Topic

TIME = "builtin_interfaces/msg/Time"

_Convert = Callable[[Any], Any]
_Plan = dict[str, tuple[_Convert, Callable[[], Any]]]


class Maker:
    """Messages of any installed type, with the fields of its definition.

    Stamps (``builtin_interfaces/Time``) may be given in nanoseconds; fields that are not given are
    0, false or empty.
    """

    def __init__(self) -> None:
        self._types = Types()
        self._topics: dict[str, Topic] = {}
        self._plans: dict[str, _Plan] = {}

    def make(self, type_name: str, fields: Mapping[str, Any]) -> Any:
        """A message of a type.

        Raises
        ------
        UserError
            When the type is not installed, or a field is unknown or of another type.
        """
        self._topic(type_name)
        return self._made(type_name, fields)

    def goal(self, type_name: str, fields: Mapping[str, Any]) -> Any:
        """The goal of an action, such as ``emghand_interfaces/action/Job``; see `make`."""
        own = self._goal_type(type_name)
        goal = self._made(own, fields)
        self.encode(own, goal)  # whoever gets it relies on the types of its fields
        return goal

    def check_goal(self, type_name: str, names: Iterable[str]) -> None:
        """Check that the goal of an action has these fields.

        Raises
        ------
        UserError
            When the type is not installed, or a field is unknown.
        """
        own = self._goal_type(type_name)
        _check_names(type_name, names, self._types.fields(own))

    def _goal_type(self, type_name: str) -> str:
        if type_name.count("/") != 2:
            raise UserError(f"action type {type_name!r}: write PACKAGE/action/NAME")
        package, _, name = type_name.split("/")
        own = f"{package}/msg/{name}_Goal"
        if own not in self._topics:
            self._learn(own, find_goal(type_name))
        return own

    def encode(self, type_name: str, message: Any) -> bytes:
        """CDR of a message.

        Raises
        ------
        UserError
            When a field is of another type.
        """
        try:
            return self._types.encode(self._topic(type_name), message)
        except (SerdeError, struct.error, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"a message of type {type_name} cannot be written: {error}") from error

    def definition(self, type_name: str) -> str:
        """Definition of a type."""
        return self._topic(type_name).definition

    def hash(self, type_name: str) -> str:
        """Type description hash of a type."""
        return self._types.hash(self._topic(type_name))

    def _topic(self, type_name: str) -> Topic:
        if type_name not in self._topics:
            self._learn(type_name, find_definition(type_name))
        return self._topics[type_name]

    def _learn(self, type_name: str, definition: str) -> None:
        topic = Topic(type_name, type_name, definition=definition)
        self._types.add(topic)
        self._topics[type_name] = topic

    def _made(self, type_name: str, fields: Mapping[str, Any]) -> Any:
        plan = self._plans.get(type_name) or self._plan(type_name)
        if not fields.keys() <= plan.keys():
            _check_names(type_name, fields, plan)
        values = {
            name: convert(fields[name]) if name in fields else empty()
            for name, (convert, empty) in plan.items()
        }
        return self._types.make(type_name, **values)

    def _plan(self, type_name: str) -> _Plan:
        """How each field of a type is made: from a value, and without one."""
        kinds = self._types.fields(type_name).items()
        plan = self._plans[type_name] = {name: self._way(kind) for name, kind in kinds}
        return plan

    def _way(self, kind: Any) -> tuple[_Convert, Callable[[], Any]]:
        node, inner = kind
        if node is Nodetype.BASE:
            return _same, partial(_same, _empty(inner[0]))
        if node is Nodetype.NAME:
            convert = self._stamp if inner == TIME else partial(self._nested, inner)
            return convert, partial(self._made, inner, {})
        element, length = inner[0], inner[1] if node is Nodetype.ARRAY else 0
        if element[0] is Nodetype.BASE and element[1][0] != "string":
            dtype = np.dtype(element[1][0])
            return partial(np.asarray, dtype=dtype), partial(np.zeros, length, dtype)
        each, nothing = self._way(element)
        return (lambda values: [each(v) for v in values]), (
            lambda: [nothing() for _ in range(length)]
        )

    def _nested(self, type_name: str, value: Any) -> Any:
        return self._made(type_name, value) if isinstance(value, Mapping) else value

    def _stamp(self, value: Any) -> Any:
        if not isinstance(value, int | np.integer):
            return self._nested(TIME, value)
        seconds, nanoseconds = divmod(int(value), 1_000_000_000)
        return self._types.make(TIME, sec=seconds, nanosec=nanoseconds)


def _same(value: Any) -> Any:
    return value


def _empty(basic: str) -> Any:
    if basic == "string":
        return ""
    return False if basic == "bool" else 0.0 if basic.startswith("float") else 0


def _check_names(type_name: str, names: Iterable[str], known: Mapping[str, Any]) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"{type_name} has no field {name}, only: {', '.join(known)}")
