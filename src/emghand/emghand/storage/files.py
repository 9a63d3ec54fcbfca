"""Files that are there in full or not at all, and are never replaced by accident."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from emghand.errors import UserError

TEMPORARY_PREFIX = ".unfinished-"
"""Start of the name of a file that is being written."""


def write_file(path: str | Path, data: bytes, *, replace: bool = False) -> None:
    """Write a file under a temporary name in the same directory, then name it `path`.

    Parameters
    ----------
    path : path
    data : bytes
    replace : bool
        Whether a file of that name may be replaced.

    Raises
    ------
    UserError
        When the file exists and must not be replaced, or cannot be written.
    """
    path = Path(path)
    if not replace and path.exists():
        raise UserError(f"{path}: exists already; choose another name")
    try:
        handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
            if replace:
                os.replace(name, path)
            else:
                # A link, unlike a rename, fails when another process was faster.
                os.link(name, path)
                os.unlink(name)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        _sync_directory(path.parent)
    except FileExistsError:
        raise UserError(f"{path}: exists already; choose another name") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
