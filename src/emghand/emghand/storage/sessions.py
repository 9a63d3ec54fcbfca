"""A session: one sitting of one subject as a directory.

    manifest.json   subject, settings, code version, and size and SHA-256 of every file
    bags/<label>/   one rosbag2 directory per run
    models/         *.emgmodel, *.emgencoder, *.emgadapt, *.emgmemory
    results/        trial tables, scores and reports
    movements/, filter/, features/, settings/, data/     as far as there are any
    quarantine/     what a repair took out of the way; no part of the session

Nothing in a session is ever replaced; a second run of the same name gets a number.
`emghand.storage.kinds` says which file is what.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.storage import manifest as manifests
from emghand.storage.contents import describe, origin_of, walk
from emghand.storage.files import (
    locked,
    make_folder,
    new_folder,
    sha256,
    why_not_made,
    write_file,
)
from emghand.storage.kinds import is_unfinished
from emghand.storage.manifest import MANIFEST, Manifest

FOLDERS = ("bags", "models", "results")
"""Those that every session has."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class DamagedSession(UserError):
    """The manifest is missing or makes no sense; ``emghand session repair`` writes it anew."""


@dataclass(frozen=True)
class Problem:
    """Something in a session that is not as the manifest says.

    Parameters
    ----------
    path : str
        Relative to the session.
    what : str
        ``missing``, ``changed``, ``not listed`` or ``unfinished`` (a torn temporary file).
    """

    path: str
    what: str


class Session:
    """An open session directory; made by `create` or `open`.

    Attributes
    ----------
    path : Path
    manifest : dict
        Content of ``manifest.json``, in the form of the present version.
    """

    def __init__(self, path: Path, manifest: Manifest, version: int = manifests.VERSION) -> None:
        self.path = path
        self.manifest = manifest
        self._version = version

    @classmethod
    def create(
        cls, path: str | Path, subject: str, settings: Any = None, *, id: str = ""
    ) -> Session:
        """Make a new session.

        Parameters
        ----------
        path : path
            Must not exist, or be an empty directory.
        subject : str
            Pseudonym: letters, digits, ``-`` and ``_``.
        settings : mapping or dataclass, optional
            Everything that was set, as plain values.
        id : str
            Of a session that is made again and again: 32 hexadecimal digits. Default: a random one.

        Raises
        ------
        UserError
            When the directory is in use, cannot be made, or the subject's name will not do.
        """
        path = Path(path)
        _check_name("subject", subject)
        manifest = manifests.new_manifest(subject, _plain(settings), id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                if any(path.iterdir()):
                    raise UserError(
                        f"session {path}: the directory is not empty; choose another one"
                    )
                cls(path, manifest)._fill()
            else:
                with new_folder(path) as folder:
                    cls(folder, manifest)._fill()
        except OSError as error:
            raise UserError(
                f"session {path}: cannot be made: {why_not_made(path, error)}"
            ) from error
        return cls(path, manifest)

    def _fill(self) -> None:
        for folder in FOLDERS:
            (self.path / folder).mkdir()
        write_file(self.path / MANIFEST, manifests.to_bytes(self.manifest))

    @classmethod
    def open(cls, path: str | Path) -> Session:
        """Open a session that exists.

        Raises
        ------
        UserError
            When it is no session, its manifest is damaged, or it is of a newer version.
        """
        path = Path(path)
        file = path / MANIFEST
        try:
            if file.stat().st_size > manifests.MAX_BYTES:
                raise manifests.DamagedManifest("is too large")
            manifest, version = manifests.parse(file.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise DamagedSession(f"session {path}: is no session, it has no {MANIFEST}") from None
        except OSError as error:
            raise UserError(f"session {path}: cannot be read: {error.strerror or error}") from error
        except manifests.DamagedManifest as error:
            raise DamagedSession(
                f"session {path}: {MANIFEST} is damaged ({error}); repair it: "
                f"emghand session repair {path}"
            ) from error
        except manifests.NewerManifest as error:
            raise UserError(f"session {path}: {error}") from error
        return cls(path, manifest, version)

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
        found = [p for p in found if p.name[0] != "." and ".damaged" not in p.suffix]
        if label:
            of_label = re.compile(rf"{re.escape(label)}(_\d+)?")
            found = [p for p in found if of_label.fullmatch(p.name)]
        return sorted(found, key=_number)

    def new_bag_path(self, label: str) -> Path:
        """Path for a new bag: ``bags/collect``, then ``bags/collect_2``, ...; not made yet."""
        _check_name("label", label)
        return _free(self.path / "bags", label)

    def new_file_path(self, folder: str, stem: str, extension: str) -> Path:
        """Path for a new file in a folder of the session: ``stem``, then ``stem_2``, ..."""
        _check_name("name", stem)
        make_folder(self.path / folder)
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
        found = sorted(p for p in full.rglob("*") if p.is_file()) if full.is_dir() else [full]
        entries = {}
        for file in found:
            name = file.relative_to(root).as_posix()
            try:
                entries[name] = describe(file, name)
            except OSError as error:
                raise UserError(
                    f"session {self.path}: {name} cannot be read: {error.strerror or error}"
                ) from error
        self.enter(entries)

    def enter(self, entries: Mapping[str, Any], **changes: Any) -> None:
        """Enter what `describe` says of files into the manifest, and change other keys of it.

        Raises
        ------
        UserError
            When a file is listed with other content, or the manifest cannot be written.
        """
        with locked(self.path):
            # Another process may have entered files since this one opened the session.
            fresh = Session.open(self.path)
            self.manifest, self._version = fresh.manifest, fresh._version
            files: dict[str, Any] = self.manifest["files"]
            for name, entry in entries.items():
                known = files.setdefault(name, entry)
                if known["sha256"] != entry["sha256"]:
                    raise UserError(
                        f"session {self.path}: {name} is listed already and has changed"
                    )
            self.manifest.update(changes)
            self.write_manifest()

    def keep(self, folder: str, name: str, content: bytes) -> str:
        """Write a small file into a folder of the session and enter it.

        Parameters
        ----------
        name : str
            Wished for. One of the same content is used again; a taken name gets a number.

        Returns
        -------
        str
            Name within the session.
        """
        make_folder(self.path / folder)
        stem, suffix = Path(name).stem, Path(name).suffix
        number = 1
        while True:
            path = self.path / folder / (f"{stem}_{number}{suffix}" if number > 1 else name)
            if not path.exists():
                write_file(path, content)
            elif path.read_bytes() != content:
                number += 1
                continue
            self.add_file(path.absolute())
            return f"{folder}/{path.name}"

    def resolve(self, reference: str, of: str) -> str:
        """Name of a file or bag that another file speaks of by its name.

        A merged session may hold it under another name than the session it came from; the files
        themselves are never changed.

        Parameters
        ----------
        reference : str
            For example ``bags/collect``.
        of : str
            File that says so, for example ``results/collect_trials_2.json``.
        """
        files: Mapping[str, Any] = self.manifest["files"]
        session, _ = origin_of(self.manifest, of, files.get(of, {}))
        for name, entry in files.items():
            from_session, before = origin_of(self.manifest, name, entry)
            if from_session != session:
                continue
            if before == reference:
                return name
            if before.startswith(f"{reference}/"):
                return name[: len(name) - len(before) + len(reference)]
        return reference

    def check(self, *, quick: bool = False) -> list[Problem]:
        """Compare every file with the manifest.

        Parameters
        ----------
        quick : bool
            Compare sizes only, not hashes.
        """
        files: Mapping[str, Any] = self.manifest["files"]
        problems = []
        there = set()
        for name, full in walk(self.path):
            there.add(name)
            if is_unfinished(name):
                problems.append(Problem(name, "unfinished"))
            elif name not in files:
                problems.append(Problem(name, "not listed"))
            elif full.stat().st_size != files[name]["bytes"] or (
                not quick and sha256(full) != files[name]["sha256"]
            ):
                problems.append(Problem(name, "changed"))
        problems += [Problem(n, "missing") for n in files if n not in there]
        return problems

    def write_manifest(self) -> None:
        """Write the manifest as it is in memory; one of an older version is kept beside it."""
        path = self.path / MANIFEST
        kept = self.path / f"{MANIFEST}.version_{self._version}"
        if self._version != manifests.VERSION and not kept.exists() and path.exists():
            write_file(kept, path.read_bytes())
        write_file(path, manifests.to_bytes(self.manifest), replace=True)
        self._version = manifests.VERSION


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


def _plain(settings: Any) -> Any:
    try:
        return json.loads(json.dumps(settings or {}, default=_fields, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"session: settings must be plain values: {error}") from error


def _fields(value: Any) -> dict[str, Any]:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} is not plain")
    return dataclasses.asdict(value)
