"""What a person must show to reach a level: the criteria, and their file."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from emghand import settings
from emghand.errors import UserError
from emghand.progress.dates import DateRow
from emghand.progress.frames import columns
from emghand.progress.levels import EARNED
from emghand.settings import setting
from emghand.yaml_files import parse_yaml, read_yaml

FORMAT = "emghand progress criteria"
VERSION = 1
MAX_CRITERIA = 200

EVERY, WINDOW, DATE, HISTORY = "every", "window", "date", "history"
N_DATES = "n_dates"
"""Column of a window or of a history: how many dates there are."""

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
_TYPES = columns(DateRow)
NUMBERS = tuple(name for name, kind in _TYPES.items() if kind in ("int64", "float64"))
_CHECKS = tuple(name for name, kind in _TYPES.items() if kind == "boolean")
_WORDS = ("place",)

Value = bool | int | float | str
T = TypeVar("T")


@dataclass(frozen=True)
class Condition:
    """A comparison with one column of a date.

    Parameters
    ----------
    column : str
        A number, a check (``latency_ok``, ``faults_ok``) or ``place``.
    comparison : str
        Numbers: ``>``, ``>=``, ``<`` or ``<=``; the others: ``==``.
    threshold : float, bool or str

    Raises
    ------
    UserError
        When column, comparison and threshold do not fit each other.
    """

    column: str
    comparison: str
    threshold: Value

    def __post_init__(self) -> None:
        known = (*NUMBERS, *_CHECKS, *_WORDS, N_DATES)
        _choose("column", self.column, known)
        if self.column in _CHECKS:
            fits = self.comparison == "==" and isinstance(self.threshold, bool)
            expected = "comparison '==' and true or false"
        elif self.column in _WORDS:
            fits = self.comparison == "==" and isinstance(self.threshold, str)
            expected = "comparison '==' and a word"
        else:
            number = isinstance(self.threshold, int | float) and abs(self.threshold) < math.inf
            fits = number and not isinstance(self.threshold, bool)
            fits = fits and self.comparison in (">", ">=", "<", "<=")
            expected = "one of the comparisons >, >=, <, <= and a number"
        if not fits:
            raise UserError(
                f"{self.column}: needs {expected}, not {self.comparison!r} and {self.threshold!r}"
            )

    def holds(self, value: Value | None) -> bool:
        """Whether a value passes; what is not known does not."""
        return value is not None and _COMPARISONS[self.comparison](value, self.threshold)


@dataclass(frozen=True)
class Criterion:
    """One thing that a level asks for.

    Parameters
    ----------
    name : str
        Each one once in a file.
    level : str
        One of `emghand.progress.levels.EARNED`.
    over : str
        ``every``: on each date of the window. ``window``: over all sessions of the window together.
        ``date``: on the date itself. ``history``: the number of dates so far that fulfil `where`.
    condition : Condition
    text : str
        For people.
    where : tuple of Condition
        Of a history.

    Raises
    ------
    UserError
        When the parts do not fit each other.
    """

    name: str
    level: str
    over: str
    condition: Condition
    text: str
    where: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        _choose("level", self.level, EARNED)
        _choose("over", self.over, (EVERY, WINDOW, DATE, HISTORY))
        counted = self.condition.column == N_DATES
        if self.over == HISTORY and not counted:
            raise UserError(f"column: over history it is {N_DATES}, the number of dates")
        if counted and self.over in (EVERY, DATE):
            raise UserError(f"column: {N_DATES} is of a window or a history, not of a date")
        if bool(self.where) != (self.over == HISTORY):
            raise UserError("where: belongs to 'over: history', and is needed there")
        if any(c.column == N_DATES for c in self.where):
            raise UserError(f"where: {N_DATES} is no column of a date")


@dataclass(frozen=True)
class Criteria:
    """All criteria.

    Parameters
    ----------
    window : int
        Dates with scored trials that a level is judged by.
    patience : int
        Dates with scored trials without a trained level, after which a change is advised.
    criteria : tuple of Criterion

    Raises
    ------
    UserError
        When a level has no criterion (it would be reached by all), or a name is there twice.
    """

    window: int = setting(3, "Dates a level is judged by.", low=1, high=100)
    patience: int = setting(20, "Dates without a trained level before advice.", low=1, high=10_000)
    criteria: tuple[Criterion, ...] = ()

    def __post_init__(self) -> None:
        settings.check(self)
        names = [c.name for c in self.criteria]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"criterion {name}: is there twice")
        for level in EARNED:
            if not self.of(level):
                raise UserError(f"level {level}: has no criterion, so that everyone would reach it")

    def of(self, level: str) -> list[Criterion]:
        """Criteria of one level, in the order of the file."""
        return [c for c in self.criteria if c.level == level]

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides; sentences for people are left out."""
        document = dataclasses.asdict(self)
        for criterion in document["criteria"]:
            del criterion["text"]
        return settings.digest(document)


def load_criteria(path: str | Path | None = None) -> Criteria:
    """Read criteria from YAML; without a path the default ones.

    Raises
    ------
    UserError
        When the file cannot be read, is of a newer version, or holds something unknown.
    """
    if path is None:
        return _default()
    document = read_yaml(path, "criteria")
    try:
        return criteria_from_mapping(document)
    except UserError as error:
        raise UserError(f"criteria {path}: {error}") from error


@functools.cache
def _default() -> Criteria:
    text = files("emghand.progress").joinpath("criteria.yaml").read_text(encoding="utf-8")
    return criteria_from_mapping(parse_yaml(text))


def criteria_from_mapping(document: Any) -> Criteria:
    """Criteria from the content of their file.

    Raises
    ------
    UserError
        When something is unknown, missing or out of range.
    """
    values = _mapping("the file", document)
    if values.pop("format", None) != FORMAT:
        raise UserError(f"format: expected {FORMAT!r}")
    version = values.pop("version", None)
    if version != VERSION or isinstance(version, bool):
        raise UserError(f"version: {version!r} is not known, this emghand knows {VERSION}")
    entries = _list("criteria", values.pop("criteria", None))
    return settings.from_mapping(
        Criteria, values | {"criteria": tuple(map(_criterion, range(1, len(entries) + 1), entries))}
    )


def _criterion(number: int, entry: Any) -> Criterion:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    try:
        values = _mapping("a criterion", entry)
        where = _list("where", values.pop("where", []))
        return _build(
            Criterion,
            {
                **{k: v for k, v in values.items() if k not in _CONDITION},
                "condition": _build(Condition, {k: values[k] for k in _CONDITION if k in values}),
                "where": tuple(_build(Condition, _mapping("a condition", w)) for w in where),
            },
            shown=(*_CRITERION, *_CONDITION, "where"),
        )
    except UserError as error:
        raise UserError(
            f"criterion {name if isinstance(name, str) else number}: {error}"
        ) from error


_CONDITION = tuple(f.name for f in dataclasses.fields(Condition))
_CRITERION = ("name", "level", "over", "text")


def _build(kind: type[T], values: dict[str, Any], shown: Sequence[str] = _CONDITION) -> T:
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise UserError(f"{key}: unknown, choose from: {', '.join(shown)}")
    for name, item in fields.items():
        if name not in values:
            raise UserError(f"{name}: is missing")
        if item.type == "str" and not isinstance(values[name], str):
            raise UserError(f"{name}: expected text, got {values[name]!r}")
    return kind(**values)


def _mapping(what: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(k, str) for k in value):
        raise UserError(f"{what}: expected a mapping with words as keys")
    return dict(value)


def _list(what: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_CRITERIA:
        raise UserError(f"{what}: expected a list of at most {MAX_CRITERIA}")
    return value


def _choose(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UserError(f"{what}: {value!r} is unknown, choose from: {', '.join(known)}")
