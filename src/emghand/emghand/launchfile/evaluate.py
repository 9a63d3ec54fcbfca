"""From a launch file and its arguments to the processes that shall run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emghand.launchfile.context import Argument, Context, LaunchError, find_executable
from emghand.launchfile.parse import (
    Action,
    Arg,
    Assign,
    Condition,
    Group,
    Include,
    NodeAction,
    Parameter,
    Value,
    parse_file,
)
from emghand.launchfile.process import NodeProcess
from emghand.launchfile.substitution import Template, is_true, perform, to_text
from emghand.yaml_files import parse_yaml

MAX_DEPTH = 20
STOP_S = 2.5
KILL_S = 1.5


@dataclass(frozen=True)
class Plan:
    """What a launch runs.

    Parameters
    ----------
    processes : list of NodeProcess
    sigterm_after, sigkill_after : float
        Seconds from SIGINT to SIGTERM, and from there to SIGKILL: the variables
        ``sigterm_timeout`` and ``sigkill_timeout``, as `ros2 launch` knows them.
    """

    processes: list[NodeProcess]
    sigterm_after: float
    sigkill_after: float


def declared_arguments(path: str | Path) -> list[Argument]:
    """Arguments that a launch file and those it includes declare, in order.

    Included files whose name depends on an argument without a default are passed over.

    Raises
    ------
    LaunchError
        When a file cannot be read or run.
    """
    found: dict[str, Argument] = {}
    _collect(Context(Path(path).absolute()), found, 0)
    return list(found.values())


def _collect(context: Context, found: dict[str, Argument], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LaunchError(f"{context.file}: files include each other without end")
    for action in parse_file(context.file):
        if isinstance(action, Arg):
            default = None if action.default is None else to_text(action.default)
            argument = Argument(action.name, default, action.description, action.choices)
            found.setdefault(action.name, argument)
        elif isinstance(action, Include):
            given = {to_text(name) for name, _ in action.arguments}
            try:
                file = Path(perform(action.file, context)).absolute()
            except LaunchError:
                continue
            inner: dict[str, Argument] = {}
            _collect(Context(file), inner, depth + 1)
            for argument in inner.values():
                if argument.name not in given:
                    found.setdefault(argument.name, argument)


def evaluate(path: str | Path, arguments: Mapping[str, str]) -> Plan:
    """Everything a launch file runs, with nothing started yet.

    Raises
    ------
    LaunchError
        For anything unknown, missing or contradictory.
    """
    file = Path(path).absolute()
    known = {a.name: a for a in declared_arguments(file)}
    for name in arguments:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise LaunchError(f"{file.name}: has no argument {name!r}, but: {listed}")
    context = Context(file, dict(arguments))
    processes = list(_run(parse_file(file), context, 0))
    if not processes:
        raise LaunchError(f"{file.name}: nothing to run with these arguments")
    _check_names(processes)
    return Plan(
        _labelled(processes),
        _seconds(context, "sigterm_timeout", STOP_S),
        _seconds(context, "sigkill_timeout", KILL_S),
    )


def _run(actions: tuple[Action, ...], context: Context, depth: int) -> Iterator[NodeProcess]:
    for action in actions:
        if not _applies(action.condition, context):
            continue
        if isinstance(action, Arg):
            _declare(action, context)
        elif isinstance(action, Assign):
            _assign(action, context)
        elif isinstance(action, Group):
            inner = context.scoped() if action.scoped else context
            yield from _run(action.actions, inner, depth)
        elif isinstance(action, Include):
            yield from _include(action, context, depth)
        else:
            yield _node(action, context)


def _applies(condition: Condition | None, context: Context) -> bool:
    if condition is None:
        return True
    text = perform(condition.expression, context)
    return is_true(text, f"{context.file.name}, condition") == condition.wanted


def _declare(action: Arg, context: Context) -> None:
    if action.name not in context.variables:
        if action.default is None:
            raise LaunchError(f"{context.file.name}: argument {action.name} must be given")
        context.variables[action.name] = perform(action.default, context)
    value = context.variables[action.name]
    if action.choices and value not in action.choices:
        raise LaunchError(
            f"argument {action.name}: {value!r} is unknown, choose from {', '.join(action.choices)}"
        )


def _assign(action: Assign, context: Context) -> None:
    name = perform(action.name, context)
    if action.value is None:
        context.environment.pop(name, None)
        return
    target = context.variables if action.kind == "let" else context.environment
    target[name] = perform(action.value, context)


def _include(action: Include, context: Context, depth: int) -> Iterator[NodeProcess]:
    if depth >= MAX_DEPTH:
        raise LaunchError(f"{context.file}: files include each other without end")
    file = Path(perform(action.file, context)).absolute()
    for name, value in action.arguments:
        context.variables[perform(name, context)] = perform(value, context)
    # As in `launch`, variables are shared with an included file; only its own name differs.
    inner = Context(file, context.variables, context.environment)
    yield from _run(parse_file(file), inner, depth + 1)


def _node(action: NodeAction, context: Context) -> NodeProcess:
    def text(template: Template | None) -> str:
        return "" if template is None else perform(template, context)

    package, executable = text(action.package), text(action.executable)
    namespace = text(action.namespace)
    respawn = action.respawn is not None and is_true(text(action.respawn), "respawn")
    environment = context.environment | {text(n): text(v) for n, v in action.environment}
    return NodeProcess(
        label=text(action.name) or executable,
        executable=find_executable(package, executable, environment),
        arguments=tuple(shlex.split(text(action.arguments))),
        ros_arguments=tuple(shlex.split(text(action.ros_arguments))),
        name=text(action.name),
        namespace=f"/{namespace.strip('/')}" if namespace else "",
        parameters=tuple(_parameter(p, context) for p in action.parameters),
        remaps=tuple((text(a), text(b)) for a, b in action.remaps),
        environment=dict(environment),
        respawn=respawn,
        respawn_delay=action.respawn_delay,
        respawn_max_retries=action.respawn_max_retries,
        required=action.required,
    )


def _parameter(parameter: Parameter, context: Context) -> Path | dict[str, Any]:
    if parameter.name is None:
        assert isinstance(parameter.value, tuple)
        path = Path(perform(parameter.value, context)).absolute()
        if not path.is_file():
            raise LaunchError(f"parameter file {path}: does not exist")
        return path
    name = perform(parameter.name, context)
    return {name: _typed(name, parameter.value, parameter.kind, context)}


def _typed(name: str, value: Value, kind: str, context: Context) -> Any:
    """Value of a parameter, with the type `launch_ros` gives it.

    Text with a substitution becomes what YAML makes of the result, unless a type is given; text
    without one stays text.
    """
    if isinstance(value, list):
        return [_typed(name, v, kind, context) for v in value]
    if not isinstance(value, tuple):
        return value
    text = perform(value, context)
    plain = all(isinstance(part, str) for part in value)
    if plain and kind not in ("", "str"):
        raise LaunchError(f"parameter {name}: {text!r} is text, not {kind}; leave out the quotes")
    if plain or kind == "str":
        return text
    try:
        if kind in ("int", "float"):
            return int(text) if kind == "int" else float(text)
        result = parse_yaml(text) if text else text
    except ValueError as error:
        raise LaunchError(f"parameter {name}: {text!r}: {error}") from error
    if kind == "bool" and not isinstance(result, bool):
        raise LaunchError(f"parameter {name}: {text!r} is not a bool")
    if isinstance(result, dict) or result is None:
        raise LaunchError(f"parameter {name}: {text!r} is not a value; add type: str")
    return result


def _seconds(context: Context, name: str, default: float) -> float:
    text = context.variables.get(name, str(default))
    try:
        return float(text)
    except ValueError:
        raise LaunchError(f"{name}: {text!r} is not a number of seconds") from None


def _check_names(processes: list[NodeProcess]) -> None:
    names = [p.full_name for p in processes if p.full_name]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise LaunchError(f"two nodes are called {', '.join(twice)}")


def _labelled(processes: list[NodeProcess]) -> list[NodeProcess]:
    # Names may repeat in different namespaces; the output must not.
    labels = [p.label for p in processes]
    return [
        replace(p, label=p.full_name.lstrip("/")) if labels.count(p.label) > 1 and p.name else p
        for p in processes
    ]
