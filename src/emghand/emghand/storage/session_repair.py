"""Brings a session back in order after a crash, a full disk, or somebody's hand.

Nothing is deleted. What is torn moves to ``quarantine/``, where its old place is its name; what can
be read of a torn recording is written anew; the manifest then says what is there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.storage.bags.messages import BagError
from emghand.storage.bags.repair import BagInUse, EmptyBag, free_name, is_playable, repair_bag
from emghand.storage.contents import describe
from emghand.storage.files import in_use, locked, make_folder
from emghand.storage.kinds import QUARANTINE, is_unfinished, repaired_bag
from emghand.storage.manifest import MANIFEST, new_manifest
from emghand.storage.sessions import FOLDERS, DamagedSession, Session

LOCKED_S = 0.01
"""Within this time a new file is locked by who writes it; before, it looks as if a crash had left
it."""
UNKNOWN = "unknown"
"""Subject of a session whose manifest is lost."""


@dataclass(frozen=True)
class Finding:
    """Something that was not in order.

    Parameters
    ----------
    path : str
        Relative to the session.
    what : str
        What was wrong, in a few words.
    done : str
        What the repair did about it.
    solved : bool
        False: it still is not in order.
    """

    path: str
    what: str
    done: str
    solved: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; {self.done}"

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def repair_session(path: str | Path) -> tuple[Session, list[Finding]]:
    """Repair a session directory; a second repair finds nothing more to do.

    A recording that goes on, and a file that is being written, are left alone.

    Returns
    -------
    Session
    list of Finding
        What was found and done; a file that is lost is found each time, and stays listed.

    Raises
    ------
    UserError
        When it is no session at all or one of a newer version, or the disk cannot be written.
    """
    path = Path(path)
    if not any((path / name).exists() for name in (MANIFEST, *FOLDERS)):
        raise UserError(f"session {path}: nothing of a session is there")
    try:
        session, findings = _manifest(path)
        findings += _half_done(path)
        findings += _bags(path)
        with locked(path):
            session = Session.open(path)
            findings += list(_files(session))
            for folder in FOLDERS:
                make_folder(path / folder)
            session.write_manifest()
    except OSError as error:
        raise UserError(
            f"session {path}: cannot be repaired: {error.strerror or error}; free some space, or "
            "see to whom it belongs"
        ) from error
    return session, findings


def _manifest(path: Path) -> tuple[Session, list[Finding]]:
    try:
        return Session.open(path), []
    except DamagedSession:
        there = (path / MANIFEST).exists()
    done = f"a new one was written, for subject {UNKNOWN}"
    if there:
        done = f"moved to {_quarantine(path, MANIFEST)}, {done}"
    session = Session(path, new_manifest(UNKNOWN))
    session.write_manifest()
    return session, [Finding(MANIFEST, "is damaged" if there else "is missing", done)]


def _half_done(path: Path) -> list[Finding]:
    """Temporary files and folders of whatever was killed."""
    findings = []
    for full in _unfinished(path):
        name = full.relative_to(path).as_posix()
        try:
            if not in_use(full):
                time.sleep(LOCKED_S)
            if in_use(full):
                findings.append(Finding(name, "is being written", "left alone", solved=False))
                continue
            bag = repaired_bag(full.name)
            if bag and not (full.parent / bag).exists() and is_playable(full / bag):
                # Killed after the damaged bag was moved away: the new one is whole.
                (full / bag).rename(full.parent / bag)
                findings.append(Finding(name, "a repair was cut short", f"{bag} took its place"))
            if bag and not any(full.iterdir()):
                full.rmdir()
                continue
            moved = _quarantine(path, name)
        except FileNotFoundError:
            continue  # It has just been finished.
        findings.append(Finding(name, "was never finished", f"moved to {moved}"))
    return findings


def _unfinished(folder: Path) -> Iterator[Path]:
    for full in sorted(folder.iterdir()):
        if full.name == QUARANTINE:
            continue
        if is_unfinished(full.name):
            yield full
        elif full.is_dir():
            yield from _unfinished(full)


def _bags(path: Path) -> list[Finding]:
    findings = []
    folders = sorted((path / "bags").iterdir()) if (path / "bags").is_dir() else []
    for bag in folders:
        name = bag.relative_to(path).as_posix()
        if not bag.is_dir() or is_unfinished(bag.name):
            continue
        if ".damaged" in bag.suffix:
            moved = _quarantine(path, name)
            findings.append(Finding(name, "is the original of a repair", f"moved to {moved}"))
            continue
        listed = Session.open(path).manifest["files"]
        if any(n.startswith(f"{name}/") for n in listed) and (bag / "metadata.yaml").exists():
            continue  # It was whole when it was listed; its hashes are compared later.
        keep = path / QUARANTINE / "bags"
        make_folder(keep)
        time.sleep(LOCKED_S)  # It may have been made a moment ago.
        try:
            done = repair_bag(bag, keep)
        except BagInUse:
            findings.append(Finding(name, "is being recorded", "left alone", solved=False))
            continue
        except BagError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from error
            if not isinstance(error, EmptyBag) and any(bag.iterdir()):
                findings.append(Finding(name, str(error), "left alone", solved=False))
                continue
            moved = _quarantine(path, name)
            findings.append(Finding(name, "holds nothing readable", f"moved to {moved}"))
            continue
        saved = f"{done.messages} messages, {done.duration_s:.2f} s"
        if done.metadata_only:
            findings.append(Finding(name, "had no metadata", f"written anew ({saved})"))
        elif done.original is not None:
            lost = f"{done.lost_bytes} bytes were not readable"
            moved = done.original.relative_to(path).as_posix()
            findings.append(
                Finding(name, "was cut short", f"written anew ({saved}; {lost}), it is in {moved}")
            )
    return findings


def _files(session: Session) -> Iterator[Finding]:
    """Compare files and manifest; the manifest is changed in memory."""
    files: dict[str, Any] = session.manifest["files"]
    for problem in session.check():
        name, full = problem.path, session.path / problem.path
        if problem.what == "not listed":
            if name.count("/") > 1 and full.suffix == ".mcap" and in_use(full):
                continue  # Of a recording that goes on.
            files[name] = describe(full, name)
            yield Finding(name, "was not listed", "listed")
        elif problem.what == "changed":
            before = files[name]
            files[name] = {**before, **describe(full, name), "before": before["sha256"]}
            yield Finding(name, "has changed", "listed with its new hash; the old one is kept")
        elif problem.what == "missing":
            yield Finding(name, "is missing", "stays listed", solved=False)


def _quarantine(path: Path, name: str) -> str:
    """Move a file or folder to the quarantine; its new name."""
    target = free_name(path / QUARANTINE / name, "")
    make_folder(target.parent)
    (path / name).rename(target)
    return target.relative_to(path).as_posix()
