"""What a bag holds: topics and serialised messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, TypeVar

from rosbags.interfaces import Qos

from emghand.errors import UserError

T = TypeVar("T")


class BagError(UserError):
    """A bag cannot be read or written: the text says why and what to do."""


class Closing(ABC):
    """Closes itself at the end of a ``with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held."""

    def __enter__(self: T) -> T:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Topic:
    """One recorded topic.

    Parameters
    ----------
    name : str
        For example ``/emg/raw``.
    type : str
        For example ``emghand_interfaces/msg/EmgFrame``.
    qos : tuple of Qos
        What its publishers offered.
    definition : str
        Message definition with those of all nested types; empty: looked up when written.
    type_hash : str
        Type description hash (``RIHS01_...``); empty: computed when written.
    encoding : str
        Of `definition`: ``ros2msg`` or ``ros2idl``.
    """

    name: str
    type: str
    qos: tuple[Qos, ...] = ()
    definition: str = ""
    type_hash: str = ""
    encoding: str = "ros2msg"


class RawMessage(NamedTuple):
    """One message as it was sent.

    Parameters
    ----------
    topic : str
    data : bytes
        CDR, with its four bytes of encapsulation header.
    log_time : int
        When it was received [ns since the epoch].
    publish_time : int
        When it was published [ns since the epoch].
    sequence : int
        The publisher's own counter of this message; 0: unknown.
    """

    topic: str
    data: bytes
    log_time: int
    publish_time: int
    sequence: int = 0
