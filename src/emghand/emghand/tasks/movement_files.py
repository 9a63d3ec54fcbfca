"""Movement sets as text: YAML, and the line format of an older program, both ways."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from emghand.dofs import Dof, dof_names, parse_dofs
from emghand.errors import UserError
from emghand.tasks.movements import SHARED, TIMES, Movement, MovementSet, Timing

LINE_DOFS = (
    "thumb_flex",
    "index_flex",
    "middle_flex",
    "ring_flex",
    "little_flex",
    "thumb_int",
    "index_int",
    "ring_int",
    "little_int",
    "wrist_flex",
    "wrist_dev",
    "wrist_rot",
)
"""DOFs of the twelve groups of a line, in order."""

LAYOUT = "NAME;FLAG;twelve times AMPLITUDE,DELAY,RISE,HOLD;RADIUS;"
GROUP = ("amplitude", "delay", "rise", "hold")
MAX_BYTES = 1 << 20
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")


def read_lines(path: str | Path, dofs: Sequence[str] = (), **changes: Any) -> MovementSet:
    """Read a file in the line format.

    Parameters
    ----------
    path : path
        UTF-8 text, at most 1 MiB.
    dofs : sequence of str
        DOFs of the set, as `parse_dofs` takes them; none: those that move, in the order of
        `LINE_DOFS`.
    **changes
        Fields of `MovementSet` that the format lacks: `name` (else that of the file),
        `repetitions`, `prompt`, `rest`, `order`.

    Raises
    ------
    UserError
        When the file cannot be read; for what is wrong in it, with line and column.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UserError(f"{path}: has more than {MAX_BYTES} bytes: is it a movement file?")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no UTF-8 text (byte {error.start})") from error
    return parse_lines(text, str(path), dofs, **({"name": path.stem} | changes))


def parse_lines(
    text: str, source: str = "text", dofs: Sequence[str] = (), **changes: Any
) -> MovementSet:
    """Movement set from text in the line format; see `read_lines`.

    One movement per line; blank lines and lines that begin with ``#`` are passed over. The fall
    of a DOF lasts as long as its rise. A group of amplitude 0 moves nothing and is left out.
    """
    movements = []
    wanted = parse_dofs(dofs) if dofs else tuple(Dof(name) for name in LINE_DOFS)
    # Not splitlines: that also breaks at characters which may stand in a name.
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if line.strip() and not line.lstrip().startswith("#"):
            movements.append(_Line(source, number, line).movement(wanted))
    if not movements:
        raise UserError(f"{source}: holds no movement; a line is {LAYOUT}")
    if not dofs:
        moved = {name for movement in movements for name in movement.targets}
        wanted = tuple(d for d in wanted if d.name in moved)
        if not wanted:
            raise UserError(f"{source}: no amplitude differs from 0: name the DOFs of the set")
    return MovementSet(
        **({"name": source, "dofs": wanted, "movements": tuple(movements)} | changes)
    )


class _Line:
    """One line and where in it everything stands."""

    def __init__(self, source: str, number: int, line: str) -> None:
        self._where = f"{source}, line {number}"
        self._fields = _split(line, ";", 1)
        last = self._fields[-1][1]
        if len(self._fields) > 1 and not last:
            self._fields.pop()
        expected = 2 + len(LINE_DOFS) + 1
        if len(self._fields) != expected:
            column = self._fields[min(len(self._fields), expected + 1) - 1][0]
            raise self._error(
                column, f"{len(self._fields)} fields instead of {expected}; a line is {LAYOUT}"
            )

    def movement(self, dofs: Sequence[Dof]) -> Movement:
        (column, name), (flag_column, flag), *groups, radius = self._fields
        if not name:
            raise self._error(column, "the name is empty")
        if not re.fullmatch(r"[+-]?\d{1,9}", flag):
            raise self._error(flag_column, f"flag: {flag!r} is no whole number")
        ranges = {d.name: d for d in dofs}
        targets: dict[str, float] = {}
        timing: dict[str, Timing] = {}
        common: Timing | None = None
        for dof, group in zip(LINE_DOFS, groups, strict=True):
            amplitude, own = self._group(dof, group, ranges.get(dof))
            common = common or (own if own.rise else None)
            if amplitude:
                if not targets:
                    common = own
                targets[dof], timing[dof] = amplitude, own
        common = common or Timing()
        shared = Timing(0.0, common.rise, common.hold, common.fall)
        return Movement(
            name=name,
            targets=targets,
            rise=shared.rise,
            hold=shared.hold,
            fall=shared.fall,
            timing={dof: own for dof, own in timing.items() if own != shared},
            radius=self._number(radius, "target radius", low=0.0, high=1.0, above=True),
            flag=int(flag),
        )

    def _group(self, dof: str, group: tuple[int, str], known: Dof | None) -> tuple[float, Timing]:
        parts = _split(group[1], ",", group[0])
        if len(parts) != len(GROUP):
            raise self._error(
                group[0], f"{dof}: {len(parts)} numbers instead of {', '.join(GROUP)}"
            )
        what = [f"{name} of {dof}" for name in GROUP]
        low, high = (known.low, known.high) if known else (-1.0, 1.0)
        amplitude = self._number(parts[0], what[0], low=low, high=high)
        if amplitude and known is None:
            raise self._error(parts[0][0], f"{dof} moves, but is none of the DOFs of the set")
        delay = self._number(parts[1], what[1], low=0.0)
        rise = self._number(parts[2], what[2], low=0.0, above=bool(amplitude))
        hold = self._number(parts[3], what[3], low=0.0)
        return amplitude, Timing(delay, rise, hold, rise)

    def _number(
        self,
        part: tuple[int, str],
        what: str,
        *,
        low: float,
        high: float = math.inf,
        above: bool = False,
    ) -> float:
        column, text = part
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value):
            raise self._error(column, f"{what}: {text!r} is no number")
        if not low <= value <= high or (above and value == low):
            bound = f"{'above' if above else 'at least'} {low:g}"
            bound += f" and at most {high:g}" if high < math.inf else ""
            raise self._error(column, f"{what}: {text} must be {bound}")
        return value

    def _error(self, column: int, text: str) -> UserError:
        return UserError(f"{self._where}, column {column}: {text}")


def _split(text: str, separator: str, start: int) -> list[tuple[int, str]]:
    """Parts without blanks around them, each with the column where it begins."""
    parts, column = [], start
    for part in text.split(separator):
        bare = part.strip()
        parts.append((column + (part.index(bare) if bare else 0), bare))
        column += len(part) + 1
    return parts


def format_lines(movement_set: MovementSet) -> str:
    """A movement set in the line format.

    Repetitions, prompt, rest, order and the ranges of the DOFs are not part of that format.

    Raises
    ------
    UserError
        When something of a movement cannot be said in it, such as a fall that differs from the
        rise; nothing is lost silently.
    """
    where = f"movement set {movement_set.name}"
    unknown = [n for n in dof_names(movement_set.dofs) if n not in LINE_DOFS]
    if unknown:
        raise UserError(f"{where}: {', '.join(unknown)} cannot be said in lines")
    lines = [_format(movement) for movement in movement_set.movements]
    for line, movement in zip(lines, movement_set.movements, strict=True):
        if not _is_same(line, movement):
            raise UserError(
                f"{where}, movement {movement.name}: cannot be said in lines: every fall must last "
                "as long as its rise, targets of 0 move nothing, and a name has no ';', line break "
                "or '#' in front"
            )
    return "".join(f"{line}\n" for line in lines)


def _format(movement: Movement) -> str:
    first = next((dof for dof in LINE_DOFS if movement.targets.get(dof)), "")
    still = replace(movement.timing_of(first), delay=0.0)
    groups = []
    for dof in LINE_DOFS:
        timing = movement.timing_of(dof) if dof in movement.targets else still
        numbers = (movement.targets.get(dof, 0.0), timing.delay, timing.rise, timing.hold)
        groups.append(",".join(_decimal(x) for x in numbers))
    fields = (movement.name, str(movement.flag), *groups, _decimal(movement.radius))
    return ";".join(fields) + ";"


def _decimal(x: float) -> str:
    short = f"{x:.2f}"
    return short if float(short) == x else repr(float(x))


def _is_same(line: str, movement: Movement) -> bool:
    """Whether a line prompts what the movement prompts."""
    try:
        (again,) = parse_lines(line, dofs=LINE_DOFS).movements
    except (UserError, ValueError):
        return False
    return _prompted(again) == _prompted(movement)


def _prompted(movement: Movement) -> tuple[object, ...]:
    moving = {n: (x, movement.timing_of(n)) for n, x in movement.targets.items() if x}
    return movement.name, movement.flag, movement.radius, movement.duration, moving


def format_yaml(movement_set: MovementSet) -> str:
    """A movement set as YAML; `load_movement_set` reads the same set back."""
    first = movement_set.movements[0]
    shared = {
        key: getattr(first, key)
        for key in SHARED
        if len({getattr(m, key) for m in movement_set.movements}) == 1
    }
    document = {
        "name": movement_set.name,
        "dofs": [_dof(dof) for dof in movement_set.dofs],
        "repetitions": movement_set.repetitions,
        "prompt": movement_set.prompt,
        "rest": movement_set.rest,
        "order": movement_set.order,
        **shared,
        "movements": [_movement(m, tuple(shared)) for m in movement_set.movements],
    }
    settings: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "width": 96}
    text = yaml.safe_dump(document, allow_unicode=True, **settings)
    if any(mark in text for mark in "\x85\u2028\u2029"):
        # PyYAML leaves these as they are, and reads them as line breaks, which become spaces.
        text = yaml.safe_dump(document, allow_unicode=False, **settings)
    return text


def _dof(dof: Dof) -> str:
    if (dof.low, dof.high) == (-1.0, 1.0):
        return dof.name
    return f"{dof.name}:{dof.low!r}:{dof.high!r}"


def _movement(movement: Movement, shared: Sequence[str]) -> dict[str, Any]:
    item: dict[str, Any] = {"name": movement.name}
    item |= {"flag": movement.flag} if movement.flag else {}
    item |= {key: getattr(movement, key) for key in SHARED if key not in shared}
    item["targets"] = {name: _target(movement, name) for name in movement.targets}
    return item


def _target(movement: Movement, dof: str) -> float | dict[str, float]:
    amplitude, own = movement.targets[dof], movement.timing.get(dof)
    if own is None:
        return amplitude
    item = {"amplitude": amplitude} | ({"delay": own.delay} if own.delay else {})
    differs = {k: getattr(own, k) for k in TIMES if getattr(own, k) != getattr(movement, k)}
    return item | differs
