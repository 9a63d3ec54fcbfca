"""Message definitions: found where packages install them, and turned into a type store."""

from __future__ import annotations

import functools
import os
import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg
from rosbags.typesys import get_typestore as rosbags_typestore
from rosbags.typesys.store import Typestore

from emghand.storage.bags.messages import BagError, Topic

_SEPARATOR = "=" * 80
_FIELD = re.compile(r"^\s*(?P<type>[A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*")
_BASIC = {
    *("bool", "byte", "char", "float32", "float64", "string", "wstring"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}


def _share_folders() -> list[Path]:
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [Path(p) / "share" for p in [*prefixes, sys.prefix] if p]


def _own_text(type_name: str) -> str | None:
    package, folder, name = type_name.split("/")
    for share in _share_folders():
        path = share / package / folder / f"{name}.msg"
        if path.is_file():
            return path.read_text()
    return None


def _nested_types(text: str, package: str) -> list[str]:
    found = []
    for line in text.splitlines():
        match = _FIELD.match(line.split("#", 1)[0])
        if match is None or match["type"] in _BASIC:
            continue
        *scope, name = match["type"].split("/")
        found.append(f"{scope[0] if scope else package}/msg/{name}")
    return found


def find_definition(type_name: str) -> str:
    """Definition of a message type followed by those of all types it nests.

    The `.msg` files that packages install below ``share`` are taken as they are, comments
    included, so that a bag explains its own fields. Types without one (standard messages on a
    machine without ROS) come from the type store of `rosbags`.

    Parameters
    ----------
    type_name : str
        For example ``sensor_msgs/msg/JointState``.

    Raises
    ------
    BagError
        When the type is installed nowhere.
    """
    if type_name.count("/") != 2:
        raise BagError(f"message type {type_name!r}: write PACKAGE/msg/NAME")
    texts: dict[str, str] = {}
    pending = [type_name]
    while pending:
        name = pending.pop(0)
        if name in texts:
            continue
        text = _own_text(name)
        if text is None:
            return _from_rosbags(type_name)
        texts[name] = text
        pending += _nested_types(text, name.split("/")[0])
    parts = [texts.pop(type_name)]
    for name, text in texts.items():
        package, _, short = name.split("/")
        parts.append(f"{_SEPARATOR}\nMSG: {package}/{short}\n{text}")
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def find_goal(type_name: str) -> str:
    """Definition of the goal of an action type; it may nest only basic types.

    Raises
    ------
    BagError
        When the type is installed nowhere.
    """
    parts = type_name.split("/")
    if len(parts) == 3:
        for share in _share_folders():
            path = share / parts[0] / parts[1] / f"{parts[2]}.action"
            if path.is_file():
                return path.read_text().split("\n---", 1)[0] + "\n"
    raise BagError(f"action type {type_name}: no definition found; build its package first")


def _from_rosbags(type_name: str) -> str:
    store = rosbags_typestore(Stores.ROS2_KILTED)
    try:
        return store.generate_msgdef(type_name, ros_version=2)[0]
    except TypesysError:
        raise BagError(
            f"message type {type_name}: no definition found; build and source its package first"
        ) from None


@functools.lru_cache(maxsize=256)
def _parsed(type_name: str, definition: str, encoding: str) -> Mapping[str, Any]:
    """Types of a definition; hundreds of bags hold the same ones."""
    if encoding == "ros2idl":
        return get_types_from_idl(definition)
    return get_types_from_msg(definition, type_name)


@functools.lru_cache(maxsize=256)
def _hash(type_name: str, definition: str, encoding: str) -> str:
    store: Typestore = rosbags_typestore(Stores.EMPTY)
    store.register(dict(_parsed(type_name, definition, encoding)))
    return store.hash_rihs01(type_name)


@functools.lru_cache(maxsize=32)
def types_for(definitions: frozenset[tuple[str, str, str]]) -> Types:
    """Decoders for all bags with these definitions, which take longer to make than a small bag.

    Parameters
    ----------
    definitions : frozenset of (str, str, str)
        Name of the type, definition and encoding of each topic.
    """
    return Types()


class Types:
    """Decoders of messages, made from the definitions that a bag carries; of any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: Typestore = rosbags_typestore(Stores.EMPTY)
        self._known: set[str] = set()

    def add(self, topic: Topic) -> None:
        """Learn the type of a topic from its definition.

        Raises
        ------
        BagError
            When the definition cannot be parsed, or contradicts one that is known.
        """
        if topic.type in self._known:
            return
        if not topic.definition:
            raise BagError(f"{topic.name}: the bag holds no definition of {topic.type}")
        try:
            with self._lock:
                self._store.register(dict(_parsed(topic.type, topic.definition, topic.encoding)))
        except TypesysError as error:
            raise BagError(f"{topic.name}: definition of {topic.type}: {error}") from error
        self._known.add(topic.type)

    def hash(self, topic: Topic) -> str:
        """Type description hash (REP 2016) of a topic's type."""
        self.add(topic)
        return _hash(topic.type, topic.definition, topic.encoding)

    def decode(self, topic: Topic, data: bytes) -> object:
        """Message with the fields of its type; arrays are numpy views on `data`."""
        self.add(topic)
        return self._store.deserialize_cdr(data, topic.type)

    def encode(self, topic: Topic, message: object) -> bytes:
        """Inverse of `decode`."""
        self.add(topic)
        return bytes(self._store.serialize_cdr(message, topic.type))

    def fields(self, type_name: str) -> dict[str, Any]:
        """Fields of a type that was added before, or that such a type nests, with their kinds."""
        return dict(self._store.fielddefs[type_name][1])

    def make(self, type_name: str, **fields: object) -> object:
        """Message of a type that was added before, or that such a type nests."""
        return self._store.types[type_name](**fields)  # type: ignore[arg-type]
