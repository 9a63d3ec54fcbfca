"""A session: one sitting of one subject as a directory.

    manifest.json   subject, settings, code version, and size and SHA-256 of every file
    bags/<label>/   one rosbag2 directory per run
    models/         *.emgmodel
    results/        scores and reports

Nothing in a session is ever replaced; a second run of the same name gets a number.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.storage.files import TEMPORARY_PREFIX, sha256, write_file
from emghand.version import code_version

FORMAT = "emghand session"
VERSION = 1
MANIFEST = "manifest.json"
FOLDERS = ("bags", "models", "results")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class DamagedSession(UserError):
    """The manifest is missing or makes no sense; `Session.repair` writes it anew."""


@dataclass(frozen=True)
class Problem:
    """Something in a session that is not as the manifest says.

    Parameters
    ----------
    path : str
        Relative to the session.
    what : str
        ``missing``, ``changed``, ``not listed`` or ``unfinished``.
    """

    path: str
    what: str


class Session:
    """An open session directory; made by `create` or `open`.

    Attributes
    ----------
    path : Path
    manifest : dict
        Content of ``manifest.json``.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def create(cls, path: str | Path, subject: str, settings: Any = None) -> Session:
        """Make a new session.

        Parameters
        ----------
        path : path
            Must not exist, or be an empty directory.
        subject : str
            Pseudonym: letters, digits, ``-`` and ``_``.
        settings : mapping or dataclass, optional
            Everything that was set, as plain values.

        Raises
        ------
        UserError
            When the directory is in use, cannot be made, or the subject's name will not do.
        """
        path = Path(path)
        _check_name("subject", subject)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "subject": subject,
            "created": _now(),
            "code_version": code_version(),
            "settings": _plain(settings),
            "files": {},
        }
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise UserError(f"session {path}: the directory is not empty; choose another one")
            for folder in FOLDERS:
                (path / folder).mkdir()
        except OSError as error:
            raise UserError(f"session {path}: cannot be made: {error.strerror or error}") from error
        session = cls(path, manifest)
        session._write(replace=False)
        return session

    @classmethod
    def open(cls, path: str | Path) -> Session:
        """Open a session that exists.

        Raises
        ------
        UserError
            When it is no session, its manifest is damaged, or it is of a newer version.
        """
        path = Path(path)
        damaged = f"session {path}: {MANIFEST} is damaged; repair it: emghand session repair {path}"
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DamagedSession(f"session {path}: is no session, it has no {MANIFEST}") from None
        except OSError as error:
            raise UserError(f"session {path}: cannot be read: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise DamagedSession(damaged) from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise DamagedSession(damaged)
        version = manifest.get("version")
        if isinstance(version, int) and version > VERSION:
            raise UserError(f"session {path}: written by a newer emghand; update")
        files = manifest.get("files")
        complete = isinstance(manifest.get("subject"), str) and isinstance(files, dict)
        if version != VERSION or not complete:
            raise DamagedSession(damaged)
        return cls(path, manifest)

    @classmethod
    def repair(cls, path: str | Path) -> tuple[Session, list[Problem]]:
        """Make the manifest agree with what is there, writing it anew when it is damaged.

        Raw data are left alone: unfinished files are removed, files that are not listed are added,
        changed ones keep both hashes.

        Returns
        -------
        Session
        list of Problem
            What was found. A missing file stays listed.

        Raises
        ------
        UserError
            When it is no session at all, or one of a newer version.
        """
        path = Path(path)
        if not any((path / name).exists() for name in (MANIFEST, *FOLDERS)):
            raise UserError(f"session {path}: nothing of a session is there")
        try:
            session = cls.open(path)
        except DamagedSession:
            damaged = path / MANIFEST
            if damaged.exists():
                damaged.rename(_free(path, f"{MANIFEST}.damaged"))
            session = cls(
                path,
                {
                    "format": FORMAT,
                    "version": VERSION,
                    "subject": "unknown",
                    "created": _now(),
                    "code_version": code_version(),
                    "settings": {},
                    "files": {},
                },
            )
        problems = session.check()
        files: dict[str, Any] = session.manifest["files"]
        for problem in problems:
            full = path / problem.path
            if problem.what == "unfinished":
                full.unlink()
            elif problem.what == "not listed":
                files[problem.path] = _describe(full)
            elif problem.what == "changed":
                before = files[problem.path]
                files[problem.path] = _describe(full) | {"before": before.get("sha256")}
        for folder in FOLDERS:
            (path / folder).mkdir(exist_ok=True)
        session._write(replace=True)
        return session, problems

    @property
    def subject(self) -> str:
        """Pseudonym of the subject."""
        return str(self.manifest["subject"])

    def bags(self, label: str = "") -> list[Path]:
        """Directories of the bags, in the order they were made.

        Parameters
        ----------
        label : str
            Only ``label``, ``label_2``, ...; empty: all.
        """
        folder = self.path / "bags"
        found = [p for p in folder.iterdir() if p.is_dir()] if folder.is_dir() else []
        if label:
            of_label = re.compile(rf"{re.escape(label)}(_\d+)?")
            found = [p for p in found if of_label.fullmatch(p.name)]
        return sorted(found, key=_number)

    def new_bag_path(self, label: str) -> Path:
        """Path for a new bag: ``bags/collect``, then ``bags/collect_2``, ...; not made yet."""
        _check_name("label", label)
        return _free(self.path / "bags", label)

    def new_file_path(self, folder: str, stem: str, extension: str) -> Path:
        """Path for a new file in ``models`` or ``results``: ``stem``, then ``stem_2``, ..."""
        _check_name("name", stem)
        return _free(self.path / folder, stem, extension)

    def add_file(self, path: str | Path) -> None:
        """Enter a finished file, or all files of a bag directory, into the manifest.

        Parameters
        ----------
        path : path
            Inside of the session; absolute, or relative to it.

        Raises
        ------
        UserError
            When it is not inside of the session, does not exist, or is listed with other content.
        """
        full = (self.path / path).resolve()
        root = self.path.resolve()
        if not full.is_relative_to(root) or full == root:
            raise UserError(f"session {self.path}: {path} is not inside of it")
        # Another process may have entered files since this one opened the session.
        self.manifest = Session.open(self.path).manifest
        found = sorted(p for p in full.rglob("*") if p.is_file()) if full.is_dir() else [full]
        files: dict[str, Any] = self.manifest["files"]
        for file in found:
            name = file.relative_to(root).as_posix()
            try:
                entry = _describe(file)
            except OSError as error:
                raise UserError(
                    f"session {self.path}: {name} cannot be read: {error.strerror or error}"
                ) from error
            known = files.setdefault(name, entry)
            if known["sha256"] != entry["sha256"]:
                raise UserError(f"session {self.path}: {name} is listed already and has changed")
        self._write(replace=True)

    def check(self) -> list[Problem]:
        """Compare every file with the manifest."""
        files: Mapping[str, Any] = self.manifest["files"]
        problems = []
        there = set()
        for full in sorted(p for p in self.path.rglob("*") if p.is_file()):
            name = full.relative_to(self.path).as_posix()
            there.add(name)
            if full.name.startswith(TEMPORARY_PREFIX):
                problems.append(Problem(name, "unfinished"))
            elif name.startswith(MANIFEST):
                continue
            elif name not in files:
                problems.append(Problem(name, "not listed"))
            elif sha256(full) != files[name]["sha256"]:
                problems.append(Problem(name, "changed"))
        problems += [Problem(n, "missing") for n in files if n not in there]
        return problems

    def _write(self, replace: bool) -> None:
        text = json.dumps(self.manifest, indent=1, sort_keys=True, allow_nan=False)
        write_file(self.path / MANIFEST, text.encode(), replace=replace)


def sitting_of(path: str | Path) -> dict[str, str]:
    """Subject, session and date of a bag that lies in a session; empty texts elsewhere."""
    for folder in Path(path).resolve().parents[:3]:
        if (folder / MANIFEST).is_file():
            try:
                manifest = Session.open(folder).manifest
            except UserError:
                break  # the bag is whole, whatever became of the manifest
            return {
                "subject": str(manifest["subject"]),
                "session": folder.name,
                "date": str(manifest.get("created", ""))[:10],
            }
    return {"subject": "", "session": "", "date": ""}


def _describe(path: Path) -> dict[str, Any]:
    return {"sha256": sha256(path), "bytes": path.stat().st_size, "added": _now()}


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(f"{what} {name!r}: use up to 64 letters, digits, - and _")


def _free(folder: Path, stem: str, extension: str = "") -> Path:
    number, path = 1, folder / f"{stem}{extension}"
    while path.exists():
        number += 1
        path = folder / f"{stem}_{number}{extension}"
    return path


def _number(path: Path) -> tuple[str, int]:
    stem, _, number = path.name.rpartition("_")
    return (stem, int(number)) if stem and number.isdigit() else (path.name, 1)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _plain(settings: Any) -> Any:
    try:
        return json.loads(json.dumps(settings or {}, default=_fields, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"session: settings must be plain values: {error}") from error


def _fields(value: Any) -> dict[str, Any]:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} is not plain")
    return dataclasses.asdict(value)
