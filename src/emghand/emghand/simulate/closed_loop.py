"""A person, their muscles, the decoder and the hand in one process, tick by tick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.control.decoder_pipeline import Decoded
from emghand.control.settings import OutputSettings
from emghand.dofs import dof_names
from emghand.errors import UserError
from emghand.pipeline import Pipeline, PipelineTick
from emghand.simulate.body import Body
from emghand.simulate.hand import Hand
from emghand.simulate.settings import SyntheticSettings
from emghand.simulate.user import SimulatedUser
from emghand.storage.models import Model

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LoopTick:
    """One tick of the loop.

    Parameters
    ----------
    target, intention, hand : ndarray, shape (n_dofs,)
        What was shown, what the user intended, where the hand is at the end of the tick.
    decoded : Decoded or None
        None before the feature window is full.
    """

    target: Floats
    intention: Floats
    hand: Floats
    decoded: Decoded | None


class ClosedLoop:
    """The user sees the hand, the hand follows the decoder, the decoder the user's muscles.

    Features, decoder and output filters are the objects that run live. It advances by ticks, as
    fast as it is computed; the same settings and targets give the same bits.

    Parameters
    ----------
    model : Model
    user : SimulatedUser
        Of the DOFs of the person, in their order, and of the model's tick rate.
    person : SyntheticSettings
        Muscles and electrodes; `reaction_s` adds to the delay of the user, so it should be 0.
    output : OutputSettings, optional
        Instead of those of the model.
    hand : Hand, optional
        Default: `SimulatedHand`.

    Attributes
    ----------
    pipeline : Pipeline
    dofs : tuple of str
        Of the person and the user; DOFs that are not decoded do not move.
    watch : list of callable
        Called with each `PipelineTick` and the target that is shown: adaptation, recording.

    Raises
    ------
    UserError
        When person, user and model do not fit each other.
    """

    def __init__(
        self,
        model: Model,
        user: SimulatedUser,
        person: SyntheticSettings,
        output: OutputSettings | None = None,
        hand: Hand | None = None,
    ) -> None:
        self.user = user
        self.dofs = person.dofs
        if dof_names(model.dofs) != person.dofs:
            raise UserError("closed loop: person, user and model have different DOFs")
        self._body = Body(user, person, model.features.hop, hand)
        self.pipeline = Pipeline(model, self._body.stream, output)
        self.tick_rate = model.tick_rate
        self.watch: list[Callable[[PipelineTick, Floats], None]] = []

    def step(self, target: Floats) -> LoopTick:
        """One tick with this target shown, shape (n_dofs,); all 0: nothing."""
        intention = self.user.step(target, self.position)
        decoded: Decoded | None = None
        for tick in self.pipeline.push(self._body.contract(intention)):
            decoded = tick.decoded
            for watcher in self.watch:
                watcher(tick, target)
        position = self._body.move(None if decoded is None else decoded.out_x_hat)
        return LoopTick(target, intention, position, decoded)

    @property
    def position(self) -> Floats:
        """Where the hand is, shape (n_dofs,)."""
        return self._body.position
