"""A job as the words of the `emghand` command that does it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.storage.sessions import MANIFEST, Session

PATH_OPTIONS = ("actions", "calibration", "encoder_data", "encoder_from", "feature_config", "model")
"""Options that name files: a client makes them absolute, because the job runs elsewhere."""
_RESERVED = ("help", "json", "output", "bags")


@dataclass(frozen=True)
class Request:
    """What is asked for; the fields of the goal of the action ``Job``.

    Parameters
    ----------
    job : str
        One of `JOBS`.
    session : str
        Directory; empty: none.
    sources : tuple of str
        Recordings, of ``simulate`` the movement set; empty: what the job takes by default.
    options : mapping
        Options of the command by their long names, ``_`` for ``-``.
    output : str
        File or directory to write; empty: a new one in the session.
    """

    job: str
    session: str = ""
    sources: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""


@dataclass(frozen=True)
class Plan:
    """What is run.

    Parameters
    ----------
    words : tuple of str
        Of the command line, without ``emghand``.
    output : Path or None
        What is written; None: the command names it itself.
    session : Path or None
        Whose manifest gets the output.
    scratch : tuple of Path
        Directories of the job's own, to be removed unless it is completed.
    uri : str
        Key of the command's JSON that says what it wrote; empty: `output`.
    """

    words: tuple[str, ...]
    output: Path | None
    session: Path | None
    scratch: tuple[Path, ...] = ()
    uri: str = ""


@dataclass(frozen=True)
class Job:
    """How a job is said to the command line.

    Parameters
    ----------
    command : tuple of str
        Words in front of everything else.
    output : tuple of str
        Folder of the session, stem and extension of the default output; empty: the command finds
        one in the session itself.
    positional : str
        Option that the command takes as its first word; empty: none.
    uri : str
        See `Plan`.
    """

    command: tuple[str, ...]
    output: tuple[str, str, str] | None = None
    positional: str = ""
    uri: str = ""


JOBS: Mapping[str, Job] = {
    "train": Job(("train",), uri="model"),
    "autoencoder": Job(("autoencoder",), ("models", "encoder", ".emgencoder")),
    "refilter": Job(("features",), uri="tables"),
    "cross_validate": Job(("crossval",), ("results", "crossval", ".json")),
    "evaluate": Job(("evaluate",), ("results", "evaluate", ".json"), positional="model"),
    "detect_movements": Job(("movements",), ("results", "movements", ".json")),
    "select_actions": Job(("actions", "select"), ("results", "actions", ".yaml")),
    "simulate": Job(("simulate",), ("results", "simulated", ".npz")),
}


def plan(request: Request) -> Plan:
    """The words of the command that does a job.

    Raises
    ------
    UserError
        When there is no such job or option, or something it needs is missing.
    """
    job = JOBS.get(request.job)
    if job is None:
        raise UserError(f"job {request.job!r}: unknown, choose from: {', '.join(JOBS)}")
    session = None
    if request.session:
        session = Session.open(request.session)
    known = _options(job.command)
    words = list(job.command)
    options = dict(request.options)
    if job.positional:
        value = options.pop(job.positional, None)
        if not isinstance(value, str) or not value:
            raise UserError(f"{request.job}: name the {job.positional} in its options")
        words.append(_word(request.job, value))
    words += _targets(request, session)
    for name, value in options.items():
        action = known.get(name)
        if action is None:
            raise UserError(
                f"{request.job}: has no option {name!r}, choose from: {', '.join(sorted(known))}"
            )
        words += _said(request.job, name, action, value)
    output = _output(request, job, session, options)
    if output is not None:
        words.append(f"--output={output}")
    scratch: tuple[Path, ...] = ()
    if output is not None:
        # Folders that the command makes before it has anything to put into them.
        own = (output.with_suffix(".sweep"), *((output,) if not output.suffix else ()))
        scratch = tuple(p for p in own if not p.exists())
    owner = None
    if session is not None and output is not None and _is_inside(output, session.path):
        owner = session.path
    return Plan((*words, "--json"), output, owner, scratch, job.uri)


def _targets(request: Request, session: Session | None) -> list[str]:
    """What the command works on, behind its name."""
    sources = [_word("sources", s) for s in request.sources]
    whole = [] if session is None else [str(session.path)]
    if request.job == "simulate":
        if len(sources) != 1:
            raise UserError("simulate: name one movement set as its source")
        return sources
    if request.job == "select_actions":
        if sources:
            raise UserError("select_actions: works on the bags collect* of a session, name that")
        return whole
    if request.job == "train" and session is not None:
        return [*whole, *(["--bags", *sources] if sources else [])]
    if request.job in ("train", "refilter") and len(sources) > 1:
        raise UserError(f"{request.job}: takes one recording, or those of a session")
    if not (sources or whole):
        raise UserError(f"{request.job}: name a session or recordings")
    return sources or whole


def _output(
    request: Request, job: Job, session: Session | None, options: Mapping[str, Any]
) -> Path | None:
    if request.output:
        return Path(request.output)
    if session is None:
        raise UserError(f"{request.job}: name the output, or a session to write to")
    if job.output is None and not (request.job == "refilter" and request.sources):
        return None
    folder, stem, extension = job.output or ("results", "features", ".npz")
    decoders = options.get("decoder")
    if request.job == "cross_validate" and isinstance(decoders, list) and len(decoders) > 1:
        extension = ""
    return session.new_file_path(folder, stem, extension).absolute()


def _options(command: tuple[str, ...]) -> dict[str, argparse.Action]:
    """Options of a command by the names of their long forms."""
    from emghand.cli.main import build_parser

    parser = build_parser()
    for word in command:
        inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        parser = inner[0].choices[word]
    found = {}
    for action in parser._actions:
        for flag in action.option_strings:
            name = flag.lstrip("-").replace("-", "_")
            if flag.startswith("--") and name not in _RESERVED:
                found[name] = action
    return found


def _said(job: str, name: str, action: argparse.Action, value: Any) -> list[str]:
    """An option with its value as words."""
    flag = f"--{name.replace('_', '-')}"
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise UserError(f"{job}: {name} is true or false, got {value!r}")
        return [flag] if value else []
    if isinstance(action, argparse._AppendAction):
        if isinstance(value, Mapping):
            value = [f"{k}={json.dumps(v)}" for k, v in value.items()]
        values = value if isinstance(value, list) else [value]
        return [f"{flag}={_text(job, name, v)}" for v in values]
    if isinstance(value, list):
        if action.nargs not in ("+", "*"):
            raise UserError(f"{job}: {name} takes one value, got {value!r}")
        return [flag, *(_word(f"{job}: {name}", _text(job, name, v)) for v in value)]
    return [f"{flag}={_text(job, name, value)}"]


def _text(job: str, name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UserError(f"{job}: {name}: {value!r} is neither text nor number")
    return str(value)


def _word(what: str, text: str) -> str:
    """A word that cannot be taken for an option."""
    if text.startswith("-"):
        raise UserError(f"{what}: {text!r} must not begin with -")
    return text


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve()) and (folder / MANIFEST).exists()
