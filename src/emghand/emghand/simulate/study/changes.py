"""What befalls the sessions of a study behind its back: late, deleted, renamed, corrupted."""

from __future__ import annotations

import shutil
from pathlib import Path

from emghand.errors import UserError
from emghand.storage.files import make_folder
from emghand.storage.manifest import MANIFEST
from emghand.storage.sessions import Session

AWAY = ".away"
"""Hidden folder of a study for sessions that somebody has not handed in yet."""
PARTS = ("manifest", "table", "bag")


def hold_back(session: str | Path, study: str | Path) -> Path:
    """Take a session out of a study, as if it had not been copied there yet.

    Returns
    -------
    Path
        Where it waits for `hand_in`.

    Raises
    ------
    UserError
        When it cannot be moved.
    """
    session, study = Path(session).absolute(), Path(study).absolute()
    return _move(session, study / AWAY / session.relative_to(study))


def hand_in(waiting: str | Path, study: str | Path) -> Path:
    """Put back what `hold_back` took: a session that is added late.

    Raises
    ------
    UserError
        When it cannot be moved.
    """
    waiting, study = Path(waiting).absolute(), Path(study).absolute()
    return _move(waiting, study / waiting.relative_to(study / AWAY))


def rename(session: str | Path, name: str) -> Path:
    """Give the folder of a session another name; it stays the same session.

    Raises
    ------
    UserError
        When it cannot be moved.
    """
    session = Path(session)
    return _move(session, session.with_name(name))


def delete(session: str | Path) -> None:
    """Delete a session.

    Raises
    ------
    UserError
        When it is none.
    """
    shutil.rmtree(Session.open(session).path)


def corrupt(session: str | Path, part: str = "table") -> Path:
    """Damage a file of a session as a failing disk would; its size stays.

    Parameters
    ----------
    session : path
    part : str
        ``manifest``, or of the first task ``table`` or ``bag``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UserError
        When there is no such file.
    """
    file = _file(Path(session), part)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    # Neither JSON nor a record of MCAP.
    content[middle : middle + 64] = bytes(len(content[middle : middle + 64]))
    file.write_bytes(content)
    return file


def lose_tables(session: str | Path) -> None:
    """Leave a session as one whose node was killed before it wrote what became of its tasks.

    Raises
    ------
    UserError
        When it is none.
    """
    opened = Session.open(session)
    for table in sorted(opened.path.glob("results/task*_trials*.json")):
        del opened.manifest["files"][f"results/{table.name}"]
        table.unlink()
    opened.write_manifest()


def _file(session: Path, part: str) -> Path:
    patterns = {
        "manifest": MANIFEST,
        "table": "results/task_trials.json",
        "bag": "bags/task/task_0.mcap",
    }
    if part not in patterns:
        raise UserError(f"part {part!r}: unknown, choose from: {', '.join(PARTS)}")
    file = session / patterns[part]
    if not file.is_file():
        raise UserError(f"session {session}: has no {patterns[part]}")
    return file


def _move(source: Path, target: Path) -> Path:
    if not (source / MANIFEST).is_file():
        raise UserError(f"{source}: is no session")
    if target.exists():
        raise UserError(f"{target}: exists already; choose another name")
    make_folder(target.parent)
    try:
        source.rename(target)
    except OSError as error:
        raise UserError(f"{source}: cannot be moved: {error.strerror or error}") from error
    return target
