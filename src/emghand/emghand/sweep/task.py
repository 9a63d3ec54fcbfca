"""One unit of work: a function, its settings and its data, all plain."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import json
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import emghand
from emghand.errors import UserError, one_line
from emghand.settings import digest
from emghand.storage.files import sha256

_NOT_SCIENCE = {"cli", "client", "launchfile", "replay", "report"}
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


@dataclass(frozen=True)
class Data:
    """A file or directory that a task reads.

    Parameters
    ----------
    path : str
        Absolute; the same on every machine that works on the sweep.
    digest : str
        `data_digest` of it.
    """

    path: str
    digest: str


@dataclass(frozen=True)
class Task:
    """A call of a function of a module, ``function(settings, paths) -> dict``.

    Parameters
    ----------
    function : str
        ``module:name``; importable on the workers.
    settings : mapping
        Plain values (JSON).
    data : tuple of Data
    code : str
        `code_digest` of the program that made the task.
    """

    function: str
    settings: Mapping[str, Any]
    data: tuple[Data, ...] = ()
    code: str = ""

    @functools.cached_property
    def key(self) -> str:
        """SHA-256 of function, settings, content of the data, and code: names the result."""
        return digest(
            {
                "function": self.function,
                "settings": self.settings,
                "data": [d.digest for d in self.data],
                "code": self.code,
            }
        )


def run_task(task: Task) -> dict[str, Any]:
    """Run a task; called on the workers.

    Returns
    -------
    dict
        ``result``, or ``error`` with one sentence (and ``traceback`` where it is not a user's
        mistake); and ``seconds``.
    """
    started = time.perf_counter()
    outcome: dict[str, Any]
    try:
        if task.code != code_digest():
            raise UserError("the worker runs other code or libraries than the sweep; update it")
        for data in task.data:
            if data_digest(data.path) != data.digest:
                raise UserError(f"{data.path}: is not what it was when the sweep began")
        module, name = task.function.split(":")
        function = getattr(importlib.import_module(module), name)
        _single_threaded()
        result = function(task.settings, [d.path for d in task.data])
        # What a resumed sweep reads from the file is then what this one has in memory.
        outcome = {"result": json.loads(json.dumps(result, allow_nan=False))}
    except UserError as error:
        outcome = {"error": one_line(error)}
    except Exception as error:  # whatever a task dies of, the others go on
        outcome = {
            "error": f"{type(error).__name__}: {one_line(str(error))}",
            "traceback": traceback.format_exc(),
        }
    return outcome | {"seconds": time.perf_counter() - started}


def _single_threaded() -> None:
    """One thread for BLAS and OpenMP: sums in threads end in other bits, and cores are all busy."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def data_digest(path: str) -> str:
    """SHA-256 of a file, or of the names and contents of all files of a directory.

    Raises
    ------
    UserError
        When it cannot be read.
    """
    root = Path(path)
    try:
        files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
        stats = [(p.as_posix(), p.stat()) for p in files]
        # A worker may live longer than the content of a file.
        return _digest_of(path, tuple((p, s.st_size, s.st_mtime_ns) for p, s in stats))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


@functools.lru_cache(maxsize=256)
def _digest_of(path: str, files: tuple[tuple[str, int, int], ...]) -> str:
    root = Path(path)
    if root.is_file():
        return sha256(root)
    if not files:
        raise UserError(f"{path}: does not exist or is empty")
    return digest({Path(p).relative_to(root).as_posix(): sha256(p) for p, _, _ in files})


@functools.cache
def code_digest() -> str:
    """SHA-256 of the source of everything that can change a result, and of library versions."""
    root = Path(emghand.__file__).resolve().parent
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name.split("/")[0] not in _NOT_SCIENCE:
            total.update(f"{name}\0{sha256(path)}\n".encode())
    for library in _LIBRARIES:
        try:
            total.update(f"{library}=={importlib.metadata.version(library)}\n".encode())
        except importlib.metadata.PackageNotFoundError:
            continue
    return total.hexdigest()
