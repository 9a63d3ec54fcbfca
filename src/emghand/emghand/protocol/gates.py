"""Stages that wait until something outside is so."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

from emghand.errors import UserError
from emghand.protocol.context import Context
from emghand.protocol.coroutines import Handle, Signal
from emghand.protocol.fields import Field, Reading
from emghand.protocol.stage import Stage
from emghand.protocol.world import Need
from emghand.settings import setting

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True)
class GateStage(Stage):
    """Waits until a numeric field of a topic compares as asked."""

    topic: str = setting("", "Topic.")
    type: str = setting("", "Its type, as in std_msgs/msg/Bool.")
    field: str = setting("data", "Field, as in data, position[0] or position[index_flex].")
    compare: str = setting(">=", "Comparison of the field with the value.", choices=(*COMPARISONS,))
    value: float = setting(1.0, "Value to compare with.")
    hold_time: float = setting(0.0, "How long it has to hold without a break.", unit="s", low=0.0)
    use_initial: bool = setting(
        True, "Whether it may hold from the start; no: it must be seen to become so."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_source(self.name, self.topic, self.type, self.field)

    def needs(self) -> tuple[Need, ...]:
        """The topic."""
        return (Need("watch", self.topic, self.type, field=self.field),)

    async def do_trial(self, context: Context) -> None:
        """Wait."""
        test = COMPARISONS[self.compare]
        await _wait(context, self, lambda value: test(value, self.value))


@dataclass(frozen=True)
class DigitalGate(Stage):
    """Waits until a digital channel of a port is high, or low."""

    topic: str = setting("", "Topic of the port.")
    channel: str = setting("", "Name of the channel; empty: the field.")
    exit_state: bool = setting(True, "State to wait for: true is high.")
    type: str = setting("emghand_interfaces/msg/PortState", "Type of the topic.")
    field: str = setting("", "Field of another type, instead of a channel.")
    hold_time: float = setting(0.0, "How long it has to hold without a break.", unit="s", low=0.0)
    use_initial: bool = setting(
        True, "Whether it may hold from the start; no: it must be seen to become so."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _set_channel(self, self.channel)

    def needs(self) -> tuple[Need, ...]:
        """The topic."""
        return (Need("watch", self.topic, self.type, field=self.field),)

    async def do_trial(self, context: Context) -> None:
        """Wait."""
        await _wait(context, self, lambda value: (value != 0) == self.exit_state)


@dataclass(frozen=True)
class AnalogGate(Stage):
    """Waits until an analogue channel of a port is within an interval."""

    topic: str = setting("", "Topic of the port.")
    channel: str = setting("", "Name of the channel; empty: the field.")
    low: float = setting(-math.inf, "Lowest value that counts.", unit="V")
    high: float = setting(math.inf, "Highest value that counts.", unit="V")
    type: str = setting("emghand_interfaces/msg/PortState", "Type of the topic.")
    field: str = setting("", "Field of another type, instead of a channel.")
    hold_time: float = setting(0.0, "How long it has to hold without a break.", unit="s", low=0.0)
    use_initial: bool = setting(
        True, "Whether it may hold from the start; no: it must be seen to become so."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _set_channel(self, self.channel)
        if self.low > self.high or (self.low, self.high) == (-math.inf, math.inf):
            raise UserError(f"stage {self.name}: give low, high, or both with low below high")

    def needs(self) -> tuple[Need, ...]:
        """The topic."""
        return (Need("watch", self.topic, self.type, field=self.field),)

    async def do_trial(self, context: Context) -> None:
        """Wait."""
        await _wait(context, self, lambda value: self.low <= value <= self.high)


class _Condition:
    """A condition on values that come in: passes once it has held for a time.

    The first value that is seen, be it the last one from before or the first new one, is the
    initial state. NaN never fulfils a condition.
    """

    def __init__(
        self,
        context: Context,
        test: Callable[[float], bool],
        hold_time: float,
        use_initial: bool,
        passed: Signal,
    ) -> None:
        self._context = context
        self._test = test
        self._hold_time = hold_time
        self._armed = use_initial
        self._passed = passed
        self._holds: bool | None = None
        self._timer: Handle | None = None

    def take(self, value: Reading) -> None:
        if isinstance(value, UserError):
            self._passed.fail(value)
            return
        holds = not math.isnan(value) and self._test(value)
        if holds == self._holds:
            return
        self._holds = holds
        self._context.log("gate", "state", f"{value:g}")
        if not holds:
            self._armed = True
            self.cancel()
        elif self._armed:
            if self._hold_time > 0:
                self._timer = self._context.world.schedule(self._hold_time, self._passed.set)
            else:
                self._passed.set()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


async def _wait(
    context: Context, gate: GateStage | DigitalGate | AnalogGate, test: Callable[[float], bool]
) -> None:
    passed = Signal()
    condition = _Condition(context, test, gate.hold_time, gate.use_initial, passed)
    watch = context.world.watch(gate.topic, gate.type, gate.field, condition.take)
    try:
        await passed
    finally:
        watch.cancel()
        condition.cancel()


def _set_channel(gate: DigitalGate | AnalogGate, channel: str) -> None:
    if bool(channel) == bool(gate.field):
        raise UserError(f"stage {gate.name}: give either a channel or a field")
    if channel:
        object.__setattr__(gate, "field", f"values[{channel}]")
        object.__setattr__(gate, "channel", "")
    _check_source(gate.name, gate.topic, gate.type, gate.field)


def _check_source(name: str, topic: str, type: str, field: str) -> None:
    if not topic or not type:
        raise UserError(f"stage {name}: needs a topic and its type")
    try:
        Field(field)
    except UserError as error:
        raise UserError(f"stage {name}: {error}") from error
