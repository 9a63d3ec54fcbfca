"""Kinds of devices: how they fail, and how drivers find them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from emghand.errors import UserError


class DeviceError(UserError):
    """The device does not answer, or went away: worth trying again."""


class EndOfData(DeviceError):
    """A recording was played to its end.

    Parameters
    ----------
    again : bool
        Whether it is to be opened again at once.
    """

    def __init__(self, text: str, *, again: bool = False) -> None:
        super().__init__(text)
        self.again = again


@dataclass(frozen=True)
class DeviceKind:
    """What a device module declares as ``DEVICE``.

    Parameters
    ----------
    text : str
        One sentence for a person.
    settings : type
        Its settings dataclass; a node shows it as parameters ``<device>.<setting>``.
    make : callable
        Gets the settings and the wanted block size (0: the device chooses) and returns the
        device. Raises `UserError` for what trying again does not mend, such as a missing file.
    """

    text: str
    settings: type
    make: Callable[[Any, int], Any]


def discover(package: ModuleType) -> dict[str, DeviceKind]:
    """Devices of a package by name: every module in it that has a ``DEVICE``, sorted."""
    found = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        kind = getattr(module, "DEVICE", None)
        if isinstance(kind, DeviceKind):
            found[info.name] = kind
    return found
