"""How far a protocol is, as a file of its session."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.storage.files import write_file

FORMAT = "emghand protocol checkpoint"
VERSION = 1
STEM = "protocol_checkpoint"
MAX_BYTES = 1 << 24
_NAME = re.compile(rf"{STEM}(?:_(\d+))?\.json")


@dataclass(frozen=True)
class Checkpoint:
    """Everything to go on after a crash.

    Parameters
    ----------
    protocol, digest : str
        Name, and SHA-256 of the tree of stages.
    seed : int
    finished : bool
        Whether the protocol was completed.
    index : int
        Index of the next event.
    time : float
        Since the start of the protocol [s].
    progress : dict
        `emghand.protocol.engine.Run.snapshot`.
    variables : dict
        What stages have stored.
    parameters : dict
        Of the protocol, as far as they are plain values.
    """

    protocol: str
    digest: str
    seed: int
    finished: bool
    index: int
    time: float
    progress: dict[str, Any]
    variables: dict[str, Any]
    parameters: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write it; the file is there in full or as it was before.

        Raises
        ------
        UserError
            When it cannot be written, or a variable is no plain value.
        """
        try:
            text = json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1)
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: variables must be plain values: {error}") from error
        write_file(path, text.encode(), replace=True)

    @classmethod
    def load(cls, path: str | Path) -> Checkpoint:
        """Read one.

        Raises
        ------
        UserError
            When it is none, or of a newer version.
        """
        path = Path(path)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError("too large")
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("format") != FORMAT:
                raise ValueError("another format")
            if values.pop("version") > VERSION:
                raise UserError(f"{path}: written by a newer emghand; update")
            made = cls(**values)
            _check(made.progress)
            if not isinstance(made.parameters, dict):
                raise ValueError("its parameters make no sense")
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
        except UserError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{path}: is no checkpoint of a protocol ({error})") from error
        return made


def last_checkpoint(folder: str | Path, digest: str) -> Checkpoint | None:
    """The newest checkpoint of a tree of stages; if it has none the newest one of another.

    Raises
    ------
    UserError
        When one that is newer cannot be read.
    """
    newest: Checkpoint | None = None
    for found in checkpoints(folder):
        if found.digest == digest:
            return found
        newest = newest or found
    return newest


def checkpoints(folder: str | Path) -> Iterator[Checkpoint]:
    """The newest checkpoint of each tree of stages, the newest first.

    Raises
    ------
    UserError
        At one that cannot be read.
    """
    there = [(int(m[1] or 1), p) for p in Path(folder).glob("*") if (m := _NAME.fullmatch(p.name))]
    seen: set[str] = set()
    for _, path in sorted(there, reverse=True):
        found = Checkpoint.load(path)
        if found.digest not in seen:
            seen.add(found.digest)
            yield found


def _check(progress: Any) -> None:
    if not isinstance(progress["trial"], int) or not isinstance(progress["finished"], list):
        raise ValueError("its progress makes no sense")
    for child in progress["children"].values():
        _check(child)
