"""Whether raw EMG still comes while it is recorded."""

from __future__ import annotations

from typing import Any

from emghand.activities.room import Room
from emghand.storage.bags.convert import stamp_ns as stamp_of

LOST_S = 2.0
"""Raw EMG that has been silent for so long is lost; one drop-out of a radio is shorter [s]."""
EMG_LOST = f"no raw EMG for {LOST_S:g} s: see the EMG driver"
STALL_S = 0.5
"""Who did not look for so long stood still, and may hear late what came in time [s]."""
LOOK_S = 0.01
"""How often to look whether the last samples of a trial have come."""


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
        self._looked_ns = self._stalled_ns = 0
        self._has_other_stamps = False
        if on:
            room.listen("emg/raw", self._on_block)

    def _on_block(self, message: Any) -> None:
        self._stamp_ns = stamp_of(message)
        self._heard_ns = self._room.steady_ns()

    def is_lost(self) -> bool:
        """Whether there was raw EMG and is none any more; to be asked again and again."""
        now = self._room.steady_ns()
        if now - self._looked_ns > STALL_S * 1e9:
            self._stalled_ns = now
        self._looked_ns = now
        heard = self._heard_ns
        return heard is not None and now - max(heard, self._stalled_ns) > LOST_S * 1e9

    def has_come_to(self, moment_ns: int, steady_ns: int) -> bool:
        """Whether every sample before a moment has come; true where none ever came.

        Parameters
        ----------
        moment_ns : int
            ROS time, as the stamps of the samples.
        steady_ns : int
            The same moment, or a little later, on the steady clock: stamps may be of another clock,
            or that of ROS may have been set. Where blocks still come `LOST_S` later, stamps are of
            no use from then on.
        """
        heard = self._heard_ns
        if heard is None or self._stamp_ns >= moment_ns:
            return True
        self._has_other_stamps |= heard - steady_ns > LOST_S * 1e9
        return self._has_other_stamps and heard >= steady_ns
