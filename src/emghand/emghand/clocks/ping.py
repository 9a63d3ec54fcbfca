"""One question to the clock of another host, and what follows from its answer for certain."""

from __future__ import annotations

from dataclasses import dataclass


class PingError(ValueError):
    """The four times of a ping contradict each other: a clock stepped meanwhile."""


@dataclass(frozen=True)
class Ping:
    """Four times of a ping [ns], in the order in which they happened.

    Parameters
    ----------
    sent, received : int
        Local clock: when the question left, when its answer was there.
    remote_taken, remote_replied : int
        Remote clock: when the question was taken, when the answer was made.

    Raises
    ------
    PingError
        When one of the clocks went backwards, or less time passed here than there.
    """

    sent: int
    remote_taken: int
    remote_replied: int
    received: int

    def __post_init__(self) -> None:
        if self.received < self.sent or self.remote_replied < self.remote_taken:
            raise PingError("a clock went backwards during the ping")
        if self.round_trip < 0:
            raise PingError("the answer took longer on the other host than from here and back")

    @property
    def round_trip(self) -> int:
        """Time on the way, there and back, without the time on the other host [ns]."""
        return self.received - self.sent - (self.remote_replied - self.remote_taken)

    @property
    def at_least(self) -> int:
        """Local minus remote time when the question was taken is not below this [ns]."""
        return self.sent - self.remote_taken

    @property
    def at_most(self) -> int:
        """Local minus remote time when the answer was made is not above this [ns]."""
        return self.received - self.remote_replied
