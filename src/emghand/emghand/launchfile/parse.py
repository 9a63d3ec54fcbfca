"""Reads a YAML launch file into actions; everything unknown is an error here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emghand.launchfile.context import LaunchError
from emghand.launchfile.substitution import Template, parse_template
from emghand.yaml_files import read_yaml

Value = Template | bool | int | float | list["Value"]
"""A parameter: text with substitutions, or what YAML made of it."""


@dataclass(frozen=True)
class Condition:
    """`if` or `unless`."""

    expression: Template
    wanted: bool


@dataclass(frozen=True)
class Arg:
    """Declares an argument."""

    name: str
    default: Template | None
    description: str
    choices: tuple[str, ...]
    condition: Condition | None


@dataclass(frozen=True)
class Assign:
    """`let`, `set_env`, `unset_env` (value None)."""

    kind: str
    name: Template
    value: Template | None
    condition: Condition | None


@dataclass(frozen=True)
class Include:
    """Another launch file with arguments."""

    file: Template
    arguments: tuple[tuple[Template, Template], ...]
    condition: Condition | None


@dataclass(frozen=True)
class Group:
    """Actions whose variables and environment stay inside, unless not `scoped`."""

    actions: tuple[Action, ...]
    scoped: bool
    condition: Condition | None


@dataclass(frozen=True)
class Parameter:
    """One parameter by name (``a.b`` for a nested one), or a file of them."""

    name: Template | None
    value: Value
    kind: str = ""


@dataclass(frozen=True)
class NodeAction:
    """One node process."""

    package: Template
    executable: Template
    name: Template | None
    namespace: Template | None
    arguments: Template | None
    ros_arguments: Template | None
    parameters: tuple[Parameter, ...]
    remaps: tuple[tuple[Template, Template], ...]
    environment: tuple[tuple[Template, Template], ...]
    respawn: Template | None
    respawn_delay: float
    respawn_max_retries: int
    required: bool
    condition: Condition | None


Action = Arg | Assign | Include | Group | NodeAction


class _Entity:
    """One mapping of the file; notices keys that nobody asked for."""

    def __init__(self, content: Any, where: str) -> None:
        if not isinstance(content, dict):
            raise LaunchError(f"{where}: expected keys with values, got {content!r}")
        self.where = where
        self._content = dict(content)

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        value = self._content.pop(key, None)
        if value is None:
            return default
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            hint = " (write it in quotes)" if kind is str else ""
            raise LaunchError(f"{self.where}: {key} must not be {value!r}{hint}")
        return value

    def need(self, key: str) -> str:
        value = self.take(key, str)
        if value is None:
            raise LaunchError(f"{self.where}: {key} is missing")
        return value

    def template(self, key: str) -> Template | None:
        text = self.take(key, str)
        return None if text is None else self.parse(text)

    def needed_template(self, key: str) -> Template:
        return self.parse(self.need(key))

    def parse(self, text: str) -> Template:
        try:
            return parse_template(text)
        except LaunchError as error:
            raise LaunchError(f"{self.where}: {error}") from None

    def entities(self, key: str) -> list[_Entity]:
        items = self.take(key, list, [])
        return [_Entity(item, f"{self.where}, {key}") for item in items]

    def pairs(self, key: str, first: str, second: str) -> tuple[tuple[Template, Template], ...]:
        result = []
        for entity in self.entities(key):
            result.append((entity.needed_template(first), entity.needed_template(second)))
            entity.finish()
        return tuple(result)

    def condition(self) -> Condition | None:
        yes, no = self.template("if"), self.template("unless")
        if yes is not None and no is not None:
            raise LaunchError(f"{self.where}: if and unless exclude each other")
        if yes is None and no is None:
            return None
        return Condition(yes or no or (), yes is not None)

    def finish(self) -> None:
        if self._content:
            keys = ", ".join(map(str, self._content))
            raise LaunchError(f"{self.where}: unknown here: {keys}; use: ros2 launch")


def parse_file(path: Path) -> tuple[Action, ...]:
    """Actions of a launch file.

    Raises
    ------
    UserError
        When it cannot be read.
    LaunchError
        When it uses something that is not in the subset.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise LaunchError(f"{path}: only YAML launch files run here; use: ros2 launch")
    document = read_yaml(path, "launch file")
    if not isinstance(document, dict) or list(document) != ["launch"]:
        raise LaunchError(f"{path}: expected the one key launch at the top")
    return _actions(document["launch"], str(path))


def _actions(content: Any, where: str) -> tuple[Action, ...]:
    if not isinstance(content, list):
        raise LaunchError(f"{where}: expected a list of actions")
    return tuple(_action(item, f"{where}, action {i + 1}") for i, item in enumerate(content))


def _action(item: Any, where: str) -> Action:
    if not isinstance(item, dict) or len(item) != 1:
        raise LaunchError(f"{where}: expected one action, got {item!r}")
    ((kind, content),) = item.items()
    where = f"{where} ({kind})"
    if kind == "group":
        return _group(content, where)
    parsers: dict[str, Callable[[_Entity], Action]] = {
        "arg": _arg,
        "include": _include,
        "node": _node,
    }
    assignments = ("let", "set_env", "unset_env")
    if kind not in parsers and kind not in assignments:
        known = ", ".join([*parsers, "group", *assignments])
        raise LaunchError(f"{where}: not known here, known are {known}; use: ros2 launch")
    entity = _Entity(content, where)
    action = _assign(kind, entity) if kind in assignments else parsers[kind](entity)
    entity.finish()
    return action


def _group(content: Any, where: str) -> Group:
    if isinstance(content, list):
        return Group(_actions(content, where), True, None)
    entity = _Entity(content, where)
    scoped = entity.take("scoped", bool, True)
    condition = entity.condition()
    children = entity.take("children", list, [])
    entity.finish()
    return Group(_actions(children, where), scoped, condition)


def _arg(entity: _Entity) -> Arg:
    choices = []
    for choice in entity.entities("choice"):
        choices.append(choice.need("value"))
        choice.finish()
    return Arg(
        name=entity.need("name"),
        default=entity.template("default"),
        description=entity.take("description", str, ""),
        choices=tuple(choices),
        condition=entity.condition(),
    )


def _assign(kind: str, entity: _Entity) -> Assign:
    name = entity.needed_template("name")
    value = None if kind == "unset_env" else entity.needed_template("value")
    return Assign(kind, name, value, entity.condition())


def _include(entity: _Entity) -> Include:
    return Include(
        file=entity.needed_template("file"),
        arguments=entity.pairs("arg", "name", "value"),
        condition=entity.condition(),
    )


def _node(entity: _Entity) -> NodeAction:
    on_exit = entity.take("on_exit", str)
    if on_exit not in (None, "shutdown"):
        raise LaunchError(f"{entity.where}: on_exit can only be shutdown, got {on_exit!r}")
    output = entity.take("output", str, "screen")
    if output not in ("screen", "log", "both", "own_log", "full"):
        raise LaunchError(f"{entity.where}: output: {output!r} is unknown")
    parameters: list[Parameter] = []
    for item in entity.entities("param"):
        parameters += _parameters(item, ())
    delay = float(entity.take("respawn_delay", (int, float), 0.0))
    if delay < 0.0:
        raise LaunchError(f"{entity.where}: respawn_delay must not be negative")
    return NodeAction(
        package=entity.needed_template("pkg"),
        executable=entity.needed_template("exec"),
        name=entity.template("name"),
        namespace=entity.template("namespace"),
        arguments=entity.template("args"),
        ros_arguments=entity.template("ros_args"),
        parameters=tuple(parameters),
        remaps=entity.pairs("remap", "from", "to"),
        environment=entity.pairs("env", "name", "value"),
        respawn=entity.template("respawn"),
        respawn_delay=delay,
        respawn_max_retries=entity.take("respawn_max_retries", int, -1),
        required=on_exit == "shutdown",
        condition=entity.condition(),
    )


def _parameters(entity: _Entity, scope: Template) -> list[Parameter]:
    file = entity.template("from")
    if file is not None:
        entity.finish()
        return [Parameter(None, file)]
    name = (*scope, *entity.needed_template("name"))
    kind = entity.take("type", str, "")
    if kind not in ("", "str", "int", "float", "bool"):
        raise LaunchError(f"{entity.where}: type {kind!r} is not known here; use: ros2 launch")
    value = entity.take("value", (str, bool, int, float, list))
    nested = entity.entities("param")
    entity.finish()
    if (value is None) == (not nested):
        raise LaunchError(f"{entity.where}: expected either a value or nested param")
    if nested:
        return [p for child in nested for p in _parameters(child, (*name, "."))]
    return [Parameter(name, _value(entity, value), kind)]


def _value(entity: _Entity, value: Any) -> Value:
    if isinstance(value, str):
        return entity.parse(value)
    if isinstance(value, list):
        if not value or len({type(v) for v in value}) != 1 or isinstance(value[0], (list, dict)):
            raise LaunchError(f"{entity.where}: {value!r} is not a list of values of one type")
        return [_value(entity, v) for v in value]
    return value
