"""What the methods of a stage are given: time, the world, draws, variables and the log."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError
from emghand.protocol.coroutines import Cancelled, Handle, Signal
from emghand.protocol.world import Answer, World

if TYPE_CHECKING:
    from emghand.protocol.engine import Run

CANCEL_WAIT_S = 30.0
"""How long a cancelled action may take to end, before the protocol goes on without it."""

VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


class Context:
    """One run of one stage, as its methods see it.

    Attributes
    ----------
    world : World
    path : str
        Of the stage, from the root.
    trial : int
        Number of the trial; -1 before the first.
    variables : dict
        Of the whole protocol; kept in its checkpoints, so plain values only.
    """

    def __init__(self, run: Run, path: str, above: tuple[int, ...]) -> None:
        self.world: World = run.world
        self.path = path
        self.trial = -1
        self.variables: dict[str, Any] = run.variables
        self._run = run
        self._above = above

    @property
    def trials(self) -> tuple[int, ...]:
        """Number of the trial of every stage from the root down to this one."""
        return (*self._above, self.trial)

    def log(self, trigger: str, item: str = "", value: object = "") -> None:
        """Enter an event of this stage into the log."""
        self._run.log(self.path, trigger, item, value, self.trial)

    def random(self, what: str = "") -> random.Random:
        """Generator that depends on nothing but the seed, the path, the trials and `what`.

        A draw is thus the same whatever runs beside it, and after a resume.
        """
        text = f"{self._run.seed}\n{self.path}\n{self.trials}\n{what}"
        return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))

    def fill(self, value: Any) -> Any:
        """Replace ``${name}`` by variables in texts, lists and mappings.

        A text that is nothing but one ``${name}`` becomes the value of that variable. ``${draw}``
        is a number that is drawn for this trial of this stage, and recorded.

        Raises
        ------
        UserError
            When there is no such variable (yet).
        """
        variables = self.variables
        if "${draw}" in str(value):
            variables = {**variables, "draw": self.random("draw").getrandbits(31)}
            self.log("draw", "draw", variables["draw"])
        return fill(value, variables)

    async def sleep(self, seconds: float) -> None:
        """Wait for a time [s]."""
        await self.first(lambda done: self.world.schedule(seconds, done))

    async def first(self, start: Callable[[Callable[..., None]], Handle]) -> Any:
        """Start something that calls back, and wait for the first call; its argument.

        What was started is called off when the wait ends, also by a cancellation.
        """
        signal = Signal()
        handle = start(signal.set)
        try:
            return await signal
        finally:
            handle.cancel()

    async def call(
        self, service: str, type: str, request: Mapping[str, Any], timeout: float = 10.0
    ) -> Answer:
        """Call a service; after `timeout` seconds the answer is that there was none."""
        signal = Signal()
        late = Answer(False, f"{service}: no answer within {timeout:g} s")
        timer = self.world.schedule(timeout, lambda: signal.set(late))
        handle = self.world.call(service, type, request, signal.set)
        try:
            answer: Answer = await signal
            return answer
        finally:
            timer.cancel()
            handle.cancel()

    async def act(self, action: str, type: str, goal: Mapping[str, Any]) -> Answer:
        """Run an action to its end; a cancellation cancels it and waits until it has ended."""
        signal = Signal()
        handle = self.world.act(action, type, goal, signal.set)
        try:
            answer: Answer = await signal
        except Cancelled:
            handle.cancel()
            late = self.world.schedule(CANCEL_WAIT_S, signal.set)
            await signal
            late.cancel()
            if signal.value is None:
                self.log("error", "cancel", f"{action} did not end within {CANCEL_WAIT_S:g} s")
            raise
        return answer


def fill(value: Any, variables: Mapping[str, Any]) -> Any:
    """Replace ``${name}`` by variables in texts, lists and mappings; see `Context.fill`."""
    if isinstance(value, Mapping):
        return {key: fill(v, variables) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [fill(v, variables) for v in value]
    if not isinstance(value, str):
        return value
    whole = VARIABLE.fullmatch(value)
    if whole:
        return _look_up(whole[1], variables)
    return VARIABLE.sub(lambda m: str(_look_up(m[1], variables)), value)


def _look_up(name: str, variables: Mapping[str, Any]) -> Any:
    if name not in variables:
        known = ", ".join(sorted(variables)) or "none"
        raise UserError(f"no variable {name} is known here, only: {known}")
    return variables[name]
