"""What every hand behind a bridge can do, simulated or real."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from hand_bridge.cue import Cue
from hand_bridge.safety import Drive, Reading


class HandError(UserError):
    """The device cannot be reached any more, or refuses what it must do."""


class Hand(Protocol):
    """A hand. All methods are called from one thread at a time; none blocks for long."""

    def open(self) -> None:
        """Connect and check that everything is there, unless open already. Nothing moves.

        Raises
        ------
        HandError
            When the device cannot be reached; the bridge may try again later.
        UserError
            When a file or setting is wrong.
        """

    def read(self) -> Reading | None:
        """Measured state; None when the answer was damaged.

        Raises
        ------
        HandError
            When the device is gone.
        """

    def apply(self, drive: Drive) -> None:
        """Do what the safety core says, for one step.

        Raises
        ------
        HandError
            When the device is gone.
        """

    def show(self, x_d: NDArray[np.float64]) -> None:
        """Draw the prompt, shape (n_dofs,), where the device can draw."""

    def cue(self, cue: Cue) -> None:
        """Write what is asked of the subject, where the device can draw."""

    def close(self) -> None:
        """Switch off and disconnect. Never raises, may be called twice."""
