"""Stages that do something outside: publish, call, act; and stages written in Python."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from emghand.errors import UserError
from emghand.protocol.context import Context
from emghand.protocol.stage import Ending, Stage
from emghand.protocol.world import Answer, Need
from emghand.settings import setting

VALUE_LENGTH = 200
"""Longer values of results are left out of the log: reports and tables."""

SET_PORT = "emghand_interfaces/srv/SetPort"


@dataclass(frozen=True)
class Publish(Stage):
    """Publishes a message."""

    topic: str = setting("", "Topic.")
    type: str = setting("", "Its type, as in std_msgs/msg/String.")
    message: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_target(self.name, "topic", self.topic, self.type, "message", self.message)

    def needs(self) -> tuple[Need, ...]:
        """The topic."""
        return (Need("publish", self.topic, self.type, self.message),)

    async def do_trial(self, context: Context) -> None:
        """Publish."""
        context.world.publish(self.topic, self.type, context.fill(self.message))


@dataclass(frozen=True)
class CallService(Stage):
    """Calls a service; an answer without success is an error.

    Parameters
    ----------
    request : mapping
        Fields that are not at their default.
    store : mapping
        Variables to set: name to field of the response.
    """

    service: str = setting("", "Service.")
    type: str = setting("", "Its type, as in std_srvs/srv/Trigger.")
    timeout: float = setting(10.0, "How long to wait for the answer.", unit="s", low=0.0)
    on_failure: str = setting(
        "error", "What an answer without success is.", choices=("error", "continue")
    )
    request: Mapping[str, Any] = field(default_factory=dict)
    store: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_target(self.name, "service", self.service, self.type, "request", self.request)
        _check_store(self.name, self.store)

    def needs(self) -> tuple[Need, ...]:
        """The service."""
        return (Need("service", self.service, self.type, self.request),)

    async def do_trial(self, context: Context) -> None:
        """Call."""
        request = context.fill(self.request)
        answer = await context.call(self.service, self.type, request, self.timeout)
        _take(context, self.service, answer, self.store, self.on_failure)


@dataclass(frozen=True)
class RunAction(Stage):
    """Runs an action to its end; one without success is an error, a cancellation cancels it.

    Parameters
    ----------
    goal : mapping
        Fields that are not at their default.
    store : mapping
        Variables to set: name to field of the result.
    """

    action: str = setting("", "Action.")
    type: str = setting("", "Its type, as in emghand_interfaces/action/Calibrate.")
    on_failure: str = setting(
        "error", "What a result without success is.", choices=("error", "continue")
    )
    goal: Mapping[str, Any] = field(default_factory=dict)
    store: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_target(self.name, "action", self.action, self.type, "goal", self.goal)
        _check_store(self.name, self.store)

    def needs(self) -> tuple[Need, ...]:
        """The action."""
        return (Need("action", self.action, self.type, self.goal),)

    async def do_trial(self, context: Context) -> None:
        """Run it."""
        answer = await context.act(self.action, self.type, context.fill(self.goal))
        _take(context, self.action, answer, self.store, self.on_failure)


@dataclass(frozen=True)
class Pulse(Stage):
    """Sets a digital channel of a port high for a time; low again however the trial ends."""

    service: str = setting("", "Service of the port, of type SetPort.")
    port: str = setting("", "Name of the port.")
    channel: str = setting("", "Name of the channel.")
    seconds: float = setting(0.2, "How long it is high.", unit="s", low=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.service or not self.channel:
            raise UserError(f"stage {self.name}: needs a service and a channel")

    def needs(self) -> tuple[Need, ...]:
        """The service."""
        return (Need("service", self.service, SET_PORT, self._request(0.0)),)

    async def do_trial(self, context: Context) -> None:
        """High, and wait."""
        await self._set(context, 1.0)
        await context.sleep(self.seconds)

    async def trial_done(self, context: Context, ending: Ending) -> None:
        """Low."""
        await self._set(context, 0.0)

    async def _set(self, context: Context, value: float) -> None:
        answer = await context.call(self.service, SET_PORT, self._request(value))
        if not answer.ok:
            raise UserError(f"{self.service}: {answer.message}")

    def _request(self, value: float) -> dict[str, Any]:
        return {"port": self.port, "channels": [self.channel], "values": [value]}


@dataclass(frozen=True)
class Function(Stage):
    """Does what a function does: ``async def function(context)``; only in Python protocols."""

    function: Callable[[Context], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.function):
            raise UserError(f"stage {self.name}: needs a function")

    async def do_trial(self, context: Context) -> None:
        """Call it."""
        assert self.function is not None
        await self.function(context)


def _take(
    context: Context, name: str, answer: Answer, store: Mapping[str, str], on_failure: str
) -> None:
    """Log an answer and set variables from it."""
    for key, value in answer.values.items():
        if isinstance(value, bool | int | float | str) and len(str(value)) <= VALUE_LENGTH:
            context.log("value", key, value)
    if not answer.ok:
        if on_failure == "error":
            raise UserError(f"{name}: {answer.message or 'no success'}")
        context.log("value", "failure", answer.message)
        return
    for variable, key in store.items():
        if key not in answer.values:
            raise UserError(f"{name}: its answer has no field {key}")
        context.variables[variable] = answer.values[key]


def _check_target(
    name: str, what: str, target: str, type: str, content_name: str, content: object
) -> None:
    if not target or not type:
        raise UserError(f"stage {name}: needs a {what} and its type")
    if not isinstance(content, Mapping):
        raise UserError(f"stage {name}: {content_name}: expected a mapping, got {content!r}")


def _check_store(name: str, store: object) -> None:
    pairs = store.items() if isinstance(store, Mapping) else [(store, None)]
    for variable, key in pairs:
        if not isinstance(key, str) or not str(variable).isidentifier():
            raise UserError(f"stage {name}: store: expected a mapping of variables to fields")
