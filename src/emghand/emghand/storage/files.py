"""Files that are there in full or not at all, and are never replaced by accident."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from pathlib import Path

from emghand.errors import UserError
from emghand.steps import whole

TEMPORARY_PREFIX = ".unfinished-"
"""Start of the name of a file that is being written."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


@whole()
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
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        if not replace and path.exists():
            raise FileExistsError
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                temporary.replace(path)
            else:
                _move_to_new(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except FileExistsError:
        raise UserError(f"{path}: exists already; choose another name") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_new(path: str | Path, *, replace: bool = False) -> None:
    """Whether a file of this name could be written; asked before the work for it is done.

    Raises
    ------
    UserError
        When it exists and must not be replaced, or its folder does not.
    """
    path = Path(path)
    if not replace and path.exists():
        raise UserError(f"{path}: exists already; choose another name")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it first")


def make_folder(path: str | Path) -> None:
    """Make a folder, with those above it, unless it is there.

    Raises
    ------
    UserError
        When it cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be made: {error.strerror or error}") from error


def _move_to_new(temporary: Path, path: Path) -> None:
    """Rename, but fail when another process was faster: a link does, a rename does not."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without links (exFAT): take the name first, then fill it.
        path.touch(exist_ok=False)
        temporary.replace(path)


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
