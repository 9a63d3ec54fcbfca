"""Kinds of devices: how they fail, and how drivers find them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, TypeVar, runtime_checkable

from emghand.errors import UserError

OpenedOut = TypeVar("OpenedOut", covariant=True)
ReadingOut = TypeVar("ReadingOut", covariant=True)


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


class ReadableDevice(Protocol[OpenedOut, ReadingOut]):
    """One source of data. All calls but `counters` come from the acquisition thread."""

    def open(self) -> OpenedOut:
        """Connect, start to stream, and describe the stream.

        Raises
        ------
        DeviceError
            When it cannot be done now; the driver tries again.
        """

    def read(self, timeout_s: float) -> ReadingOut | None:
        """Next reading, or None when there is none within the time-out.

        Raises
        ------
        DeviceError
            When the device went away.
        EndOfData
            When a recording has been played.
        """

    def close(self) -> None:
        """Stop and disconnect; never raises, may be called twice."""

    def counters(self) -> Mapping[str, int]:
        """Cumulative counts for the diagnostics, such as junk bytes."""


@runtime_checkable
class FollowsTask(Protocol):
    """A device that is driven by the task's `x_d`, as a synthetic person is."""

    def set_intention(self, values: Mapping[str, float]) -> None:
        """Intended DOFs from now on, by name. Called from another thread."""


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
