"""A person and a hand: what they see, their muscles, and where the hand goes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.simulate.emg import SyntheticEmg
from emghand.simulate.hand import Hand, HandSettings, SimulatedHand
from emghand.simulate.session import synthetic_stream
from emghand.simulate.settings import SyntheticSettings
from emghand.simulate.user import SimulatedUser
from emghand.storage.recording import Block

Floats = NDArray[np.float64]


class Body:
    """Everything of a closed loop but what is between the electrodes and the hand.

    Parameters
    ----------
    user : SimulatedUser
        Of the DOFs of the person, in their order.
    person : SyntheticSettings
        Muscles and electrodes; `reaction_s` adds to the delay of the user, so it should be 0.
    hop : int
        Samples per tick.
    hand : Hand, optional
        Default: `SimulatedHand`.

    Attributes
    ----------
    position : ndarray, shape (n_dofs,)
        Where the hand is.
    stream : Stream
        What the electrodes are, as a device would say.

    Raises
    ------
    UserError
        When person and user do not fit each other.
    """

    def __init__(
        self, user: SimulatedUser, person: SyntheticSettings, hop: int, hand: Hand | None = None
    ) -> None:
        self.user = user
        self.dofs = person.dofs
        self.tick_rate = person.rate / hop
        self._emg = SyntheticEmg(person)
        self._hop = hop
        self.stream = synthetic_stream(self._emg, hop)
        n = len(self.dofs)
        if user.n_dofs != n:
            raise UserError("closed loop: person and user have different DOFs")
        if user.tick_rate != self.tick_rate:
            raise UserError(
                f"closed loop: the user steps at {user.tick_rate:g} Hz, the model at "
                f"{self.tick_rate:g} Hz"
            )
        self._hand = hand or SimulatedHand(HandSettings(), n, self.tick_rate)
        self.position = np.zeros(n)

    def contract(self, intention: Floats) -> Block:
        """EMG of a tick in which the user intends this, shape (n_dofs,); stamps from 0 on."""
        first = self._emg.next_sample
        samples = self._emg.push(np.tile(intention, (self._hop, 1)))
        return Block(first, round(first / self._emg.settings.rate * 1e9), samples)

    def move(self, command: Floats | None) -> Floats:
        """Where the hand is a tick later; None: there was no command."""
        self.position = self._hand.step(command)
        return self.position
