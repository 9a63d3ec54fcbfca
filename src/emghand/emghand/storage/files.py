"""Files that are there in full or not at all, and are never replaced by accident."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from emghand.errors import UserError
from emghand.steps import whole

TEMPORARY_PREFIX = ".unfinished-"
"""Start of the name of a file that is being written."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


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
    with new_file(path, replace=replace) as file:
        file.write(data)


@contextlib.contextmanager
def new_file(path: str | Path, *, replace: bool = False) -> Iterator[BinaryIO]:
    """A file to fill bit by bit; it takes its name at the end of the ``with`` block.

    When the block fails, nothing is left of it. While it is being written it is locked, so that a
    repair does not take it for what a crash left.

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
                # A repair that looks at it just now has the lock for a moment.
                take_lock(file.fileno(), wait=True)
                yield file
                file.flush()
                sync(file.fileno())
                # Still locked: without its lock it would look as if a crash had left it.
                if replace:
                    temporary.replace(path)
                else:
                    _move_to_new(temporary, path)
                temporary.unlink(missing_ok=True)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)
    except FileExistsError:
        raise UserError(f"{path}: exists already; choose another name") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder to fill under a temporary name; it becomes `path` at the end of the block.

    When the block fails, nothing is left of it.

    Raises
    ------
    UserError
        When there is something of that name, or it cannot be made.
    """
    path = Path(path)
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        temporary.mkdir()
        with locked(temporary):
            try:
                yield temporary
                for folder in [temporary, *(p for p in temporary.rglob("*") if p.is_dir())]:
                    sync_directory(folder)
                # An empty folder is no loss, and rename replaces nothing else.
                temporary.rename(path)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
        sync_directory(path.parent)
    except OSError as error:
        if path.exists():
            raise UserError(f"{path}: exists already; choose another name") from error
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def take_lock(handle: int, *, wait: bool = False) -> bool:
    """Take the advisory lock of an open file or folder; it ends with the handle, or the process.

    Returns
    -------
    bool
        False when another has it. True on file systems that have no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder for a moment: they wait in the same call."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        take_lock(handle, wait=True)
        yield
    finally:
        os.close(handle)


def in_use(path: Path) -> bool:
    """Whether somebody who writes this file or folder holds its lock."""
    handle = os.open(path, os.O_RDONLY)
    try:
        return not take_lock(handle)
    finally:
        os.close(handle)


def check_space(folder: Path, wanted: int) -> None:
    """Refuse work that cannot end well.

    Parameters
    ----------
    folder : Path
        Where it is going to be written; need not exist.
    wanted : int
        [byte]

    Raises
    ------
    UserError
        When less than that is free.
    """
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise UserError(
            f"{folder}: {wanted / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free; free some "
            "space"
        )


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
        raise UserError(f"{path}: cannot be made: {why_not_made(path, error)}") from error


def why_not_made(path: str | Path, error: OSError) -> str:
    """Why a folder was not made; of a file above it the system only says that it exists."""
    for above in (Path(path), *Path(path).parents):
        if above.is_file():
            return f"{above} is a file"
    return error.strerror or str(error)


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


_hasty = False


@contextlib.contextmanager
def hasty() -> Iterator[None]:
    """Within, this process does not wait for the disk: for what can be made again after a crash."""
    global _hasty
    before, _hasty = _hasty, True
    try:
        yield
    finally:
        _hasty = before


def sync(handle: int) -> None:
    """Make what was written to an open file or folder outlive a power failure."""
    if not _hasty:
        os.fsync(handle)


def sync_directory(path: Path) -> None:
    """Make new names in a directory outlive a power failure."""
    if _hasty:
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)
