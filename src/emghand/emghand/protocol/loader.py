"""Protocols from files: YAML, or Python that makes the stages itself."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emghand.errors import UserError, one_line
from emghand.protocol.actions import CallService, Publish, Pulse, RunAction
from emghand.protocol.context import VARIABLE
from emghand.protocol.delays import Delay, GaussianRandomDelay, UniformRandomDelay
from emghand.protocol.gates import AnalogGate, DigitalGate, GateStage
from emghand.protocol.stage import Stage, digest
from emghand.protocol.virtual import VirtualAnswer, VirtualTopic
from emghand.settings import from_mapping
from emghand.yaml_files import read_yaml

KINDS: dict[str, type[Stage]] = {
    "stage": Stage,
    "delay": Delay,
    "uniform_random_delay": UniformRandomDelay,
    "gaussian_random_delay": GaussianRandomDelay,
    "gate": GateStage,
    "digital_gate": DigitalGate,
    "analog_gate": AnalogGate,
    "publish": Publish,
    "call_service": CallService,
    "run_action": RunAction,
    "pulse": Pulse,
}
"""What `kind` may be in a YAML protocol."""

RESERVED = ("session", "subject", "seed", "folder", "draw")
"""Variables that every run sets: directory of the session, pseudonym, seed of the run, directory of
the protocol's file, and a number that is drawn anew for every trial of every stage."""

KEYS = ("name", "description", "parameters", "stage", "virtual")
MAX_INCLUDES = 8
MOST_READ = 1 << 20
"""Characters of all files and parameters that the stages of one protocol are made of; a file counts
as often as it is included, a parameter as often as it is used."""


@dataclass(frozen=True)
class Protocol:
    """An experiment: a tree of stages with a name.

    Parameters
    ----------
    topics, answers : mapping
        Devices for a run in virtual time, by name of the topic, service or action.
    parameters : mapping
        Values that were filled in.
    folder : Path
        Where its file is.
    """

    name: str
    root: Stage
    description: str = ""
    topics: Mapping[str, VirtualTopic] = field(default_factory=dict)
    answers: Mapping[str, VirtualAnswer] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = field(default_factory=Path.cwd)

    @property
    def digest(self) -> str:
        """SHA-256 of the tree of stages, hexadecimal."""
        return digest(self.root)


def load_protocol(
    path: str | Path, parameters: Mapping[str, Any] | None = None, *, python: bool = True
) -> Protocol:
    """Read a protocol; ``docs/protocols.md`` describes the files.

    Parameters
    ----------
    path : path
        ``.yaml``, ``.yml`` or ``.py``.
    parameters : mapping, optional
        Instead of the defaults in the file.
    python : bool
        Whether a Python file may be run.

    Raises
    ------
    UserError
        Names the file, the stage and the mistake.
    """
    path = Path(path)
    try:
        if path.suffix == ".py":
            if not python:
                raise UserError("Python protocols are not allowed here (parameter allow_python)")
            protocol = _from_python(path, parameters or {})
        else:
            protocol = _from_yaml(path, parameters or {})
    except UserError as error:
        raise UserError(f"protocol {path}: {error}") from error
    except RecursionError as error:
        raise UserError(f"protocol {path}: a stage contains itself, or too many") from error
    try:
        digest(protocol.root)
    except (RecursionError, ValueError) as error:
        raise UserError(f"protocol {path}: a value contains itself, or too many") from error
    return protocol


def _from_yaml(path: Path, given: Mapping[str, Any]) -> Protocol:
    files = _Files()
    document, parameters = _read(path, given, files)
    stored = _stored(document, path, files, set())
    root = _Builder(path.parent, parameters, stored, files).root(document, path)
    virtual = _mapping(document.get("virtual"), "virtual")
    _check_keys(virtual, ("topics", "answers"), "virtual")
    return Protocol(
        name=str(document.get("name", path.stem)),
        root=root,
        description=str(document.get("description", "")).strip(),
        topics=_devices(virtual, "topics", VirtualTopic),
        answers=_devices(virtual, "answers", VirtualAnswer),
        parameters=parameters,
        folder=path.parent.absolute(),
    )


def _from_python(path: Path, given: Mapping[str, Any]) -> Protocol:
    name = f"emghand_protocol_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError("cannot be read")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
        make = getattr(module, "protocol", None)
        if not callable(make):
            raise UserError("has no function protocol()")
        known = inspect.signature(make).parameters
        for key in given:
            if key not in known:
                raise UserError(f"no parameter {key}, known: {', '.join(known) or 'none'}")
        made = make(**given)
    except UserError:
        raise
    except Exception as error:  # whatever the user's own code does wrong
        line = _line_in(path, error)
        raise UserError(f"{line}{type(error).__name__}: {one_line(str(error))}") from error
    if isinstance(made, Stage):
        made = Protocol(path.stem, made)
    if not isinstance(made, Protocol):
        raise UserError("protocol() must return a Stage or a Protocol")
    defaults = {k: p.default for k, p in known.items() if p.default is not p.empty}
    return dataclasses.replace(
        made, folder=path.parent.absolute(), parameters={**defaults, **given}
    )


def _line_in(path: Path, error: Exception) -> str:
    trace = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
    lines = [frame.lineno for frame in trace if Path(frame.filename) == path]
    return f"line {lines[-1]}: " if lines else ""


def _read(
    path: Path, given: Mapping[str, Any], files: _Files
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Document of a file, and its parameters with the given values."""
    document = _mapping(files.read(path), "the file")
    _check_keys(document, KEYS, "the file")
    if "stage" not in document:
        raise UserError("has no key 'stage'")
    parameters = dict(_mapping(document.get("parameters"), "parameters"))
    for name in parameters:
        if not str(name).isidentifier() or name in RESERVED:
            raise UserError(f"parameters: {name!r} will not do as a name")
    for name, value in given.items():
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise UserError(f"no parameter {name}, known: {known}")
        parameters[name] = value
    return document, parameters


@dataclass
class _Files:
    """Files that were read, and how much of them: includes can grow beyond any memory."""

    documents: dict[Path, Any] = field(default_factory=dict)
    left: int = MOST_READ

    def read(self, path: Path) -> Any:
        """Content of a YAML file, which is read once."""
        if path not in self.documents:
            self.documents[path] = read_yaml(path)
        return self.documents[path]

    def spend(self, value: Any) -> None:
        """Count the characters of a value, aliases and what was filled in before in full."""
        self.left -= 1 + (len(value) if isinstance(value, str) else 0)
        if self.left < 0:
            raise UserError(f"is made of more than {MOST_READ} characters, includes and all")
        if isinstance(value, Mapping):
            for key, inner in value.items():
                self.spend(key)
                self.spend(inner)
        elif isinstance(value, list):
            for inner in value:
                self.spend(inner)


class _Builder:
    """Makes stages of one file and of those it includes."""

    def __init__(
        self,
        top: Path,
        parameters: Mapping[str, Any],
        stored: frozenset[str],
        files: _Files,
        depth: int = 0,
    ) -> None:
        self._top = top
        self._parameters = parameters
        self._stored = stored
        self._files = files
        self._depth = depth
        self._folder = "${folder}"
        self._here = top

    def root(self, document: Mapping[str, Any], path: Path) -> Stage:
        """The stage of a document."""
        self._files.spend(document)
        self._here = path.parent
        relative = Path(os.path.relpath(path.parent, self._top)).as_posix()
        if relative != ".":
            self._folder = f"${{folder}}/{relative}"
        return self._stage(document["stage"], "")

    def _stage(self, raw: Any, above: str) -> Stage:
        where = above or "stage"
        values = dict(_mapping(raw, where))
        if "include" in values:
            return self._include(values, where)
        name = values.get("name")
        if not isinstance(name, str):
            raise UserError(f"{where}: a stage has no name")
        path = f"{above}/{name}" if above else name
        kind = values.pop("kind", "stage")
        children = values.pop("stages", None) or []
        try:
            if not isinstance(kind, str) or kind not in KINDS:
                raise UserError(f"kind: {kind!r} is unknown, choose from: {', '.join(KINDS)}")
            if not isinstance(children, list):
                raise UserError("stages: expected a list of stages")
            values = {key: self._fill(value) for key, value in values.items()}
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        stages = tuple(self._stage(child, path) for child in children)
        try:
            return from_mapping(KINDS[kind], {**values, "stages": stages})
        except UserError as error:
            raise UserError(f"{path}: {one_line(error)}") from error

    def _include(self, values: Mapping[str, Any], where: str) -> Stage:
        _check_keys(values, ("include", "parameters", "name"), f"{where}: include")
        if self._depth >= MAX_INCLUDES:
            raise UserError(f"{where}: more than {MAX_INCLUDES} includes inside each other")
        path = self._here / str(values["include"])
        given = self._fill(_mapping(values.get("parameters"), f"{where}: parameters"))
        try:
            document, parameters = _read(path, given, self._files)
            below = _Builder(self._top, parameters, self._stored, self._files, self._depth + 1)
            root = below.root(document, path)
        except UserError as error:
            raise UserError(f"{where}: include {path.name}: {error}") from error
        return dataclasses.replace(root, name=str(values["name"])) if "name" in values else root

    def _fill(self, value: Any) -> Any:
        """Fill in parameters; variables that are known only at run time stay."""
        if isinstance(value, Mapping):
            return {key: self._fill(v) for key, v in value.items()}
        if isinstance(value, list):
            return [self._fill(v) for v in value]
        if not isinstance(value, str):
            return value
        whole = VARIABLE.fullmatch(value)
        if whole:
            return self._look_up(whole[1])
        return VARIABLE.sub(lambda m: str(self._look_up(m[1])), value)

    def _look_up(self, name: str) -> Any:
        if name in self._parameters:
            self._files.spend(self._parameters[name])
            return self._parameters[name]
        if name == "folder":
            return self._folder
        if name in RESERVED or name in self._stored:
            return f"${{{name}}}"
        known = ", ".join(sorted({*self._parameters, *RESERVED, *self._stored}))
        raise UserError(f"${{{name}}} is unknown, choose from: {known}")


def _stored(document: Any, path: Path, files: _Files, seen: set[Path]) -> frozenset[str]:
    """Names of all variables that stages set, those of included files too."""
    found: set[str] = set()
    seen.add(path.resolve())
    for values in _mappings(document):
        if isinstance(values.get("store"), Mapping):
            found.update(map(str, values["store"]))
        if "include" in values:
            file = path.parent / str(values["include"])
            with contextlib.suppress(UserError, OSError, ValueError):  # `_Builder` says so
                if file.resolve() not in seen:
                    found |= _stored(_read(file, {}, files)[0], file, files, seen)
    return frozenset(found)


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _mappings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _mappings(inner)


def _devices(virtual: Mapping[str, Any], key: str, kind: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in _mapping(virtual.get(key), f"virtual: {key}").items():
        where = f"virtual: {name}"
        try:
            found[str(name)] = from_mapping(kind, _mapping(values, where))
        except (TypeError, UserError) as error:
            raise UserError(f"{where}: {one_line(error)}") from error
    return found


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UserError(f"{what}: expected a mapping, got {value!r}")
    return value


def _check_keys(values: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in values:
        if key not in known:
            raise UserError(f"{what}: unknown key {key!r}, choose from: {', '.join(known)}")
