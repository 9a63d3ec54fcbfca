"""What a simulated user makes of what is shown: prompts, the hand, what the session does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from emghand.simulate.user import SimulatedUser
from emghand.storage.recording import PeriodKind

Floats = NDArray[np.float64]

BLIND = ("collect", "calibrate")
"""Activities in which the hand shows the prompt or nothing: there is nothing to correct."""
CALIBRATE, CONTROL, TASK = "calibrate", "control", "task"


class Sight:
    """What is seen last of a posture, in the order of the user's DOFs.

    DOFs that the user does not have are not seen; those that are not shown are at rest.

    Parameters
    ----------
    dofs : sequence of str
    timeout : float
        After so long it is not seen any more [s].
    """

    def __init__(self, dofs: Sequence[str], timeout: float) -> None:
        self.timeout = timeout
        self._dofs = tuple(dofs)
        self._values = np.zeros(len(self._dofs))
        self._seen = -np.inf

    def take(self, names: Sequence[str], values: Sequence[float], now: float) -> None:
        """See a posture; one that holds nonsense is overlooked."""
        shown = dict(zip(names, values, strict=False))
        posture = np.array([shown.get(dof, 0.0) for dof in self._dofs], np.float64)
        if np.isfinite(posture).all():
            self._values, self._seen = np.clip(posture, -1.0, 1.0), now

    def at(self, now: float) -> Floats | None:
        """What is seen now; None when it is too old."""
        return self._values if now - self._seen <= self.timeout else None


class Participant:
    """The user of a session: follows prompts, reaches targets, contracts when asked to.

    Parameters
    ----------
    user : SimulatedUser
    dofs : sequence of str
        Of the user.
    prompt_timeout, hand_timeout : float
        Without a prompt for so long the user relaxes; without a state of the hand there is nothing
        to see [s].
    wish : callable, optional
        What the user wants the hand to do in free control, asked once a tick, shape (n_dofs,).
        Without it they rest.

    Attributes
    ----------
    prompt, hand : Sight
    """

    def __init__(
        self,
        user: SimulatedUser,
        dofs: Sequence[str],
        prompt_timeout: float = 1.0,
        hand_timeout: float = 0.5,
        wish: Callable[[], Floats] | None = None,
    ) -> None:
        self.user = user
        self.prompt = Sight(dofs, prompt_timeout)
        self.hand = Sight(dofs, hand_timeout)
        self._wish = wish
        self._activity = ""
        self._period = PeriodKind.IDLE
        self._trial = 0

    def attend(self, activity: str, period: int, trial: int) -> None:
        """What the session does now; the user learns at the end of each hold and each reach."""
        kind = PeriodKind(period)
        asked = (PeriodKind.HOLD, PeriodKind.MOVE) if self._activity == TASK else (PeriodKind.HOLD,)
        ended = self._period in asked and (kind, trial) != (self._period, self._trial)
        if ended and self._activity not in BLIND:
            self.user.learn()
        self._activity, self._period, self._trial = activity, kind, trial

    def intend(self, now: float) -> Floats:
        """Intention of the next tick, shape (n_dofs,)."""
        hand = None if self._activity in BLIND else self.hand.at(now)
        return self.user.step(self._target(now), hand)

    def _target(self, now: float) -> Floats:
        n = self.user.n_dofs
        if self._activity == CALIBRATE:
            return np.full(n, float(self._period is PeriodKind.HOLD))
        if self._activity == CONTROL:
            # What is shown there is what their own hand does.
            return np.zeros(n) if self._wish is None else self._wish()
        prompt = self.prompt.at(now)
        return np.zeros(n) if prompt is None else prompt
