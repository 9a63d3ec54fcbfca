"""The output filters, one small class each, on arrays with one element per DOF.

`step` never changes its argument; what it returns may be the filter's own state and is read only.
`state` names every array a filter carries from tick to tick; `set_state` takes them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
State = dict[str, NDArray[np.generic]]

C_RATE = 30.0
"""Rate [Hz] at which C and a of the latching filters are stated."""


class OutputFilter(Protocol):
    """What the chain asks of a filter."""

    def step(self, x: Floats) -> Floats:
        """One tick; shapes (n,) -> (n,)."""
        ...

    def reset(self) -> None:
        """Back to rest."""
        ...

    def state(self) -> State:
        """Copies of the arrays carried from tick to tick."""
        ...

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned."""
        ...


class Stateless:
    """Nothing to carry from tick to tick."""

    def reset(self) -> None:
        """Nothing to do."""

    def state(self) -> State:
        """Empty."""
        return {}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Nothing to do."""


class Holding:
    """One value per DOF is carried from tick to tick: `y`, the last output."""

    def __init__(self, rest: Floats) -> None:
        self._rest = rest.copy()
        self.y = rest.copy()

    def reset(self) -> None:
        """Back to rest."""
        self.y = self._rest.copy()

    def state(self) -> State:
        """The last output, as ``y``."""
        return {"y": self.y.copy()}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from the last output ``y``."""
        self.y = np.array(state["y"], dtype=np.float64)


class Gain(Stateless):
    """Gain per direction, then locks, then ties.

    Parameters
    ----------
    positive, negative : ndarray, shape (n,)
        Gain of values above and below 0.
    locked : ndarray of bool, shape (n,)
    lock_value : ndarray, shape (n,)
    source : ndarray of int, shape (n,)
        Index of the DOF whose value is taken: its own, or that of the DOF it is tied to.
    """

    def __init__(
        self,
        positive: Floats,
        negative: Floats,
        locked: NDArray[np.bool_],
        lock_value: Floats,
        source: NDArray[np.int64],
    ) -> None:
        self._positive = positive
        self._negative = negative
        self._locked = locked
        self._lock_value = lock_value
        self._source = source

    def step(self, x: Floats) -> Floats:
        """One tick."""
        y = np.where(x >= 0.0, x * self._positive, x * self._negative)
        return np.where(self._locked, self._lock_value, y)[self._source]


class Latch(Holding):
    """Latching filter (Nieveen et al. 2020, doi 10.1109/TNSRE.2020.3038706).

    d = x - y_prev, w = min(1, C d^2), y = y_prev + w d: small changes are held back, large ones
    pass.

    Parameters
    ----------
    c : ndarray, shape (n,)
        C at 30 Hz.
    tick_rate : float
        [Hz]; C is converted to it.
    """

    def __init__(self, c: Floats, tick_rate: float) -> None:
        super().__init__(np.zeros(len(c)))
        self.c = c * (C_RATE / tick_rate)

    def step(self, x: Floats) -> Floats:
        """One tick."""
        d = x - self.y
        w = self.c * d * d
        self.y = np.where(w >= 1.0, x, self.y + w * d)
        return self.y


class LeakyLatch(Holding):
    """Latching filter without permanent offset.

    f = a x + (1 - a) y_prev, w = min(1, C (f - x)^2), y = w x + (1 - w) f.

    Parameters
    ----------
    c, a : ndarray, shape (n,)
        C and a at 30 Hz.
    tick_rate : float
        [Hz]; C and a are converted to it.
    """

    def __init__(self, c: Floats, a: Floats, tick_rate: float) -> None:
        super().__init__(np.zeros(len(c)))
        self.c = c * (C_RATE / tick_rate)
        self.a = np.minimum(1.0, a * (C_RATE / tick_rate))

    def step(self, x: Floats) -> Floats:
        """One tick."""
        d = x - self.y
        f = self.y + self.a * d
        e = x - f
        w = self.c * e * e
        self.y = np.where(w >= 1.0, x, f + w * e)
        return self.y


class DeadZone(Stateless):
    """Zero about rest: ``hard`` keeps the value outside, ``rescale`` starts from 0 at the edge.

    Parameters
    ----------
    positive, negative : ndarray, shape (n,)
        Edges above and below rest, both as positive numbers below 1.
    rescale : bool
        u = (x -+ T) / (1 - T) outside, so that full input stays full output.
    """

    def __init__(self, positive: Floats, negative: Floats, rescale: bool) -> None:
        self._positive = positive
        self._negative = negative
        self._rescale = rescale

    def step(self, x: Floats) -> Floats:
        """One tick."""
        return dead_zone(x, np.where(x >= 0.0, self._positive, self._negative), self._rescale)


class DeadZoneHysteresis:
    """Dead zone whose edge is raised after a movement until the DOF was quiet for a while.

    The edge changes only while the output is 0, so that the output never jumps because of it.
    Quiet means inside of the configured edge.

    Parameters
    ----------
    positive, negative : ndarray, shape (n,)
        Configured edges.
    rescale : bool
    raised : float
        Smallest edge while raised; at the start and after each movement.
    quiet_ticks : int
        Consecutive quiet ticks that lower the edge.
    """

    def __init__(
        self, positive: Floats, negative: Floats, rescale: bool, raised: float, quiet_ticks: int
    ) -> None:
        self._positive = positive
        self._negative = negative
        self._rescale = rescale
        self._raised = raised
        self._quiet_ticks = quiet_ticks
        self.reset()

    def reset(self) -> None:
        """Edges raised."""
        n = len(self._positive)
        self._up = np.ones(n, dtype=np.bool_)
        self._moving = np.zeros(n, dtype=np.bool_)
        self._quiet = np.zeros(n, dtype=np.int64)

    def step(self, x: Floats) -> Floats:
        """One tick."""
        edge = np.where(x >= 0.0, self._positive, self._negative)
        self._quiet = np.where(np.abs(x) < edge, self._quiet + 1, 0)
        self._up &= self._quiet < self._quiet_ticks
        y = dead_zone(x, np.where(self._up, np.maximum(edge, self._raised), edge), self._rescale)
        moving = y != 0.0
        self._up |= self._moving & ~moving
        self._moving = moving
        return y

    def state(self) -> State:
        """Whether the edge is raised, whether the DOF moves, and for how long it was quiet."""
        return {"up": self._up.copy(), "moving": self._moving.copy(), "quiet": self._quiet.copy()}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned."""
        self._up = np.array(state["up"], dtype=np.bool_)
        self._moving = np.array(state["moving"], dtype=np.bool_)
        self._quiet = np.array(state["quiet"], dtype=np.int64)


def dead_zone(x: Floats, edge: Floats, rescale: bool) -> Floats:
    """0 where |x| < edge; x, or x shrunk so that it starts from 0 at the edge, elsewhere."""
    y = (x - np.copysign(edge, x)) / (1.0 - edge) if rescale else x
    return np.where(np.abs(x) < edge, 0.0, y)


class Velocity(Holding):
    """The value is a velocity; the position stays inside the range, so that it cannot wind up.

    Parameters
    ----------
    speed : ndarray, shape (n,)
        Speed at full input [1/s].
    low, high : ndarray, shape (n,)
        Range of the position.
    tick_rate : float
        [Hz]
    """

    def __init__(self, speed: Floats, low: Floats, high: Floats, tick_rate: float) -> None:
        super().__init__(np.zeros(len(speed)))
        self._gain = speed / tick_rate
        self._low = low
        self._high = high

    def step(self, x: Floats) -> Floats:
        """One tick."""
        self.y = np.minimum(np.maximum(self.y + self._gain * x, self._low), self._high)
        return self.y


class LatchingIntegrate(Holding):
    """Velocity weighted by the latching rule, min(1, C x^2): weak input holds the position.

    Parameters
    ----------
    speed : ndarray, shape (n,)
        Speed at full input [1/s].
    c : ndarray, shape (n,)
        C of the rule. It weighs a rate, so that it does not depend on the tick rate.
    low, high : ndarray, shape (n,)
        Range of the position.
    tick_rate : float
        [Hz]
    """

    def __init__(
        self, speed: Floats, c: Floats, low: Floats, high: Floats, tick_rate: float
    ) -> None:
        super().__init__(np.zeros(len(speed)))
        self._gain = speed / tick_rate
        self._c = c
        self._low = low
        self._high = high

    def step(self, x: Floats) -> Floats:
        """One tick."""
        y = self.y + self._gain * (x * np.minimum(1.0, self._c * x * x))
        self.y = np.minimum(np.maximum(y, self._low), self._high)
        return self.y


class LeakyIntegrate(Holding):
    """Velocity of a position that leaks back to rest, dy/dt = speed x - y / leak, exact per tick.

    Parameters
    ----------
    speed : ndarray, shape (n,)
        Speed at full input [1/s].
    leak : ndarray, shape (n,)
        Time constant of the way back to rest [s].
    low, high : ndarray, shape (n,)
        Range of the position.
    tick_rate : float
        [Hz]
    """

    def __init__(
        self, speed: Floats, leak: Floats, low: Floats, high: Floats, tick_rate: float
    ) -> None:
        super().__init__(np.zeros(len(speed)))
        self._keep = np.exp(-1.0 / (tick_rate * leak))
        self._gain = (1.0 - self._keep) * speed * leak
        self._low = low
        self._high = high

    def step(self, x: Floats) -> Floats:
        """One tick."""
        y = self._keep * self.y + self._gain * x
        self.y = np.minimum(np.maximum(y, self._low), self._high)
        return self.y


class Relax(Stateless):
    """Adds the posture of the relaxed hand.

    Parameters
    ----------
    relax_pos : ndarray, shape (n,)
    """

    def __init__(self, relax_pos: Floats) -> None:
        self._relax_pos = relax_pos

    def step(self, x: Floats) -> Floats:
        """One tick."""
        return x + self._relax_pos


class SpeedLimit(Holding):
    """Bounds the change per tick to limit / tick rate.

    Parameters
    ----------
    limit : ndarray, shape (n,)
        Largest speed [1/s]; 0: none.
    tick_rate : float
        [Hz]
    rest : ndarray, shape (n,)
        Where it starts.
    """

    def __init__(self, limit: Floats, tick_rate: float, rest: Floats) -> None:
        super().__init__(rest)
        self._step = np.where(limit > 0.0, limit, np.inf) / tick_rate

    def step(self, x: Floats) -> Floats:
        """One tick."""
        self.y = np.minimum(np.maximum(x, self.y - self._step), self.y + self._step)
        return self.y


class Clip(Stateless):
    """Keeps every DOF in its range.

    Parameters
    ----------
    low, high : ndarray, shape (n,)
    """

    def __init__(self, low: Floats, high: Floats) -> None:
        self._low = low
        self._high = high

    def step(self, x: Floats) -> Floats:
        """One tick."""
        return np.minimum(np.maximum(x, self._low), self._high)
