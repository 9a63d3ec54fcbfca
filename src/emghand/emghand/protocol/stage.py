"""What a stage is: settings, children, and the five methods that make it do something."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError
from emghand.protocol.world import Need
from emghand.settings import check, setting

if TYPE_CHECKING:
    from emghand.protocol.context import Context

SELF = "self"
"""Names the stage itself in `Stage.complete_on_whom`."""


class StageError(UserError):
    """A stage failed: its text begins with the path of the stage."""


@dataclass(frozen=True)
class Ending:
    """How a trial or a stage ended.

    Parameters
    ----------
    kind : str
        ``completed``, ``timed_out``, ``cancelled`` or ``error``.
    error : Exception, optional
    """

    kind: str = "completed"
    error: Exception | None = None

    @property
    def cancelled(self) -> bool:
        """Ended early, by a time-out or from outside."""
        return self.kind in ("timed_out", "cancelled")


@dataclass(frozen=True)
class Stage:
    """A part of an experiment: its own action, together with its children, some times over.

    Subclasses override the five methods, which may wait (``await``), and `needs`. A plain stage
    has no action of its own.

    Parameters
    ----------
    name : str
        Unlike its siblings', without ``/``, not ``self``.
    stages : tuple of Stage
        Children.
    """

    name: str
    _: KW_ONLY
    stages: tuple[Stage, ...] = ()
    repeat: int = setting(1, "Number of trials; -1: forever.", low=-1)
    order: str = setting(
        "serial", "Children one after the other, or all at once.", choices=("serial", "parallel")
    )
    complete_on: str = setting(
        "all", "Whether all or any of complete_on_whom end a trial.", choices=("all", "any")
    )
    complete_on_whom: tuple[str, ...] = setting(
        (), "Names of children, and self for the own action; empty: all of them."
    )
    max_duration: float = setting(0.0, "Longest time of the stage; 0: any.", unit="s", low=0.0)
    max_trial_duration: float = setting(0.0, "Longest time of a trial; 0: any.", unit="s", low=0.0)
    disabled: bool = setting(False, "Counts as done without being run.")

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise UserError("a stage needs a name")
        if "/" in self.name or self.name == SELF:
            raise UserError(f"stage {self.name}: a name must not contain / and not be {SELF}")
        object.__setattr__(self, "stages", tuple(self.stages))
        try:
            check(self)
        except UserError as error:
            raise UserError(f"stage {self.name}: {error}") from error
        names = [child.name for child in self.stages]
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise UserError(f"stage {self.name}: two children are named {name}; rename one")
            seen.add(name)
        for name in self.complete_on_whom:
            if name not in (*names, SELF):
                known = ", ".join((*names, SELF))
                raise UserError(
                    f"stage {self.name}: complete_on_whom: no child {name!r}, choose from: {known}"
                )

    async def init_stage(self, context: Context) -> None:
        """Before the first trial."""

    async def init_trial(self, context: Context) -> None:
        """Before each trial."""

    async def do_trial(self, context: Context) -> None:
        """Own action of a trial, together with the children."""

    async def trial_done(self, context: Context, ending: Ending) -> None:
        """After each trial that began, however it ended."""

    async def stage_done(self, context: Context, ending: Ending) -> None:
        """After the last trial, however the stage ended; also when `init_stage` failed."""

    def needs(self) -> tuple[Need, ...]:
        """What this stage uses outside, without its children."""
        return ()

    @property
    def acts(self) -> bool:
        """Whether it has an action of its own."""
        return type(self).do_trial is not Stage.do_trial

    @property
    def whom(self) -> frozenset[str]:
        """Those whose ends can end a trial.

        Without `complete_on_whom`: all children, and the stage itself if it has an action; the
        empty action of a plain stage ends at once and would end every trial of ``any``.
        """
        if self.complete_on_whom:
            return frozenset(self.complete_on_whom)
        return frozenset(c.name for c in self.stages) | ({SELF} if self.acts else frozenset())

    def walk(self, above: str = "") -> Iterator[tuple[str, Stage]]:
        """Path and stage of itself and of everything below it, in order."""
        path = f"{above}/{self.name}" if above else self.name
        yield path, self
        for child in self.stages:
            yield from child.walk(path)

    def describe(self) -> dict[str, Any]:
        """Everything that makes the stage, as plain values."""
        values: dict[str, Any] = {"kind": f"{type(self).__module__}.{type(self).__qualname__}"}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name == "stages":
                value = [child.describe() for child in value]
            elif isinstance(value, float) and math.isinf(value):
                value = str(value)  # JSON has no infinity
            values[item.name] = value
        return values


def digest(root: Stage) -> str:
    """SHA-256 of everything that makes a tree of stages, hexadecimal."""
    text = json.dumps(root.describe(), sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    # Functions of Python stages: what they are called, since what they do cannot be compared.
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"
