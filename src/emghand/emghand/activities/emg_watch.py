"""Whether raw EMG still comes while it is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emghand.activities.room import Room
from emghand.storage.bags.convert import stamp_ns as stamp_of

if TYPE_CHECKING:
    from emghand.activities.activity import Steps

LOST_S = 2.0
"""Raw EMG that has been silent for so long is lost; one drop-out of a radio is shorter [s]."""
EMG_LOST = f"no raw EMG for {LOST_S:g} s: see the EMG driver"
OTHER_CLOCK_S = 0.25
"""Raw EMG that comes so long after a moment has passed it, whatever its stamps say [s]."""
LOOK_S = 0.01


class EmgWatch:
    """Tells that raw EMG has fallen silent, once it has been heard: nobody shall go on for nothing.

    Where it never was heard none is asked for: what is recorded may be a glove.

    Parameters
    ----------
    room : Room
    on : bool
        False: nothing is watched, as nothing is recorded.
    """

    def __init__(self, room: Room, on: bool) -> None:
        self._room = room
        self._heard_ns: int | None = None
        self._stamp_ns = 0
        if on:
            room.listen("emg/raw", self._on_block)

    def _on_block(self, message: Any) -> None:
        self._stamp_ns = stamp_of(message)
        self._heard_ns = self._room.steady_ns()

    @property
    def lost(self) -> bool:
        """Whether there was raw EMG and is none any more."""
        heard = self._heard_ns
        return heard is not None and self._room.steady_ns() - heard > LOST_S * 1e9

    def has_come_to(self, moment_ns: int) -> bool:
        """Whether every sample before a moment (ROS time) has come; true where none ever came."""
        if self._heard_ns is None or self._stamp_ns >= moment_ns:
            return True
        return self._room.to_ros(self._heard_ns) - moment_ns > OTHER_CLOCK_S * 1e9

    def come_to(self, moment_ns: int, pause: Callable[[float], Steps[bool]]) -> Steps[bool]:
        """Wait until every sample before a moment has come; False: it is lost.

        Parameters
        ----------
        moment_ns : int
            ROS time.
        pause : callable
            Waits for a time [s]; True when nobody wants to wait any more.
        """
        while not self.has_come_to(moment_ns):
            if self.lost:
                return False
            if (yield from pause(LOOK_S)):
                break
        return True
