"""What can be saved, loaded or merged: a session directory or an archive of one, seen alike.

An archive (``NAME.emgsession``) is a zip of a session directory, its manifest included; unpacked
with any tool it is one. It is read without trusting it: names, sizes, hashes and the number of
members are compared with the manifest before a byte is unpacked, and again while unpacking.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from emghand.errors import UserError
from emghand.storage import manifest as manifests
from emghand.storage.contents import describe, origin_of, walk
from emghand.storage.kinds import DATA, check_names, is_unfinished, kind_of
from emghand.storage.manifest import MANIFEST, Manifest
from emghand.storage.session_parts import derived_parts
from emghand.storage.sessions import Session

EXTENSION = ".emgsession"
MAX_MEMBERS = 100_000
MAX_BYTES = 2**40
"""More than that is not unpacked."""
_MAX_DIRECTORY = 64 * 2**20
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")


@dataclass(frozen=True)
class Item:
    """One file of a source.

    Parameters
    ----------
    name : str
        Relative to the session, with ``/``.
    entry : dict
        Its entry in a manifest: ``sha256``, ``bytes``, ``added``, ``kind``, perhaps ``origin``.
    open : callable
        Opens it for reading.
    """

    name: str
    entry: dict[str, Any]
    open: Callable[[], IO[bytes]]

    @property
    def kind(self) -> str:
        """See `emghand.storage.kinds`."""
        return str(self.entry["kind"])

    @property
    def size(self) -> int:
        """[byte]."""
        return int(self.entry["bytes"])

    @property
    def sha256(self) -> str:
        """Hexadecimal."""
        return str(self.entry["sha256"])


@dataclass
class Source:
    """A session to take things from, open until `close`.

    Parameters
    ----------
    path : Path
    manifest : dict
    names : list of str
        Its files.
    missing : list of str
        Files that the manifest lists and that are not there.
    archive : ZipFile, optional
        None: it is a directory.
    """

    path: Path
    manifest: Manifest
    names: list[str]
    missing: list[str] = field(default_factory=list)
    archive: zipfile.ZipFile | None = None

    @property
    def id(self) -> str:
        """Of the session."""
        return str(self.manifest["id"])

    @property
    def where(self) -> str:
        """For messages."""
        return f"{'session' if self.archive is None else 'archive'} {self.path}"

    def close(self) -> None:
        """Close the archive."""
        if self.archive is not None:
            self.archive.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open_file(self, name: str) -> IO[bytes]:
        """Open one of its files for reading.

        Raises
        ------
        UserError
            When it cannot be read.
        """
        try:
            if self.archive is None:
                return (self.path / name).open("rb")
            return self.archive.open(name)
        except (OSError, KeyError, *DAMAGED) as error:
            raise UserError(f"{self.where}: {name} cannot be read: {error}") from error

    def size_of(self, name: str) -> int:
        """Length of one of its files [byte]."""
        if self.archive is None:
            return (self.path / name).stat().st_size
        return self.archive.getinfo(name).file_size

    def items(self, kinds: Iterable[str]) -> list[Item]:
        """Its files of these kinds; also what can be taken out of others, see `derived_parts`.

        Raises
        ------
        UserError
            When a bag is not finished, or a file is not as long as the manifest says.
        """
        kinds = frozenset(kinds)
        listed = self.manifest["files"]
        found = []
        for name in self.names:
            if kind_of(name) not in kinds:
                continue
            entry = listed.get(name)
            try:
                entry = describe(self.path / name, name) if entry is None else entry
                size = self.size_of(name)
            except OSError as error:
                raise UserError(f"{self.where}: {name} cannot be read: {error}") from error
            if size != entry["bytes"]:
                raise UserError(f"{self.where}: {name} has changed; {_mend(self.path)}")
            found.append(Item(name, entry, lambda name=name: self.open_file(name)))  # type: ignore[misc]
        if DATA in kinds:
            self._check_bags()
        if self.archive is None:
            created = str(self.manifest.get("created", ""))
            found += [
                _derived(name, content, created)
                for name, content in derived_parts(self.path, self.names, kinds)
            ]
        return [Item(i.name, self._with_origin(i), i.open) for i in found]

    def _check_bags(self) -> None:
        bags: dict[str, set[str]] = {}
        for name in self.names:
            parts = name.split("/")
            if parts[0] == "bags" and len(parts) > 2:
                bags.setdefault(parts[1], set()).add(parts[2])
        for bag, files in bags.items():
            if "metadata.yaml" not in files:
                raise UserError(f"{self.where}: bag {bag} is not finished; {_mend(self.path)}")

    def _with_origin(self, item: Item) -> dict[str, Any]:
        session, name = origin_of(self.manifest, item.name, item.entry)
        return {**item.entry, "origin": {"session": session, "name": name}}


DAMAGED = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error)
"""What zipfile raises for damaged data."""


def open_source(path: str | Path) -> Source:
    """Open a session directory or an archive; nothing is read but its manifest and names.

    Raises
    ------
    UserError
        When it is neither, damaged, unsafe to unpack, or of a newer version.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        return _open_directory(path)
    try:
        return _open_archive(path)
    except UserError as error:
        raise UserError(f"archive {path}: {error}") from error
    except OSError as error:
        raise UserError(f"archive {path}: cannot be read: {error.strerror or error}") from error
    except (*DAMAGED, KeyError, struct.error, OverflowError) as error:
        raise UserError(f"archive {path}: is damaged, or no archive of a session") from error


def _open_directory(path: Path) -> Source:
    session = Session.open(path)
    # Damaged originals that an earlier version of the repair left beside a bag are no data.
    names = [
        name
        for name, _ in walk(path)
        if not is_unfinished(name) and not (name.startswith("bags/") and ".damaged" in name)
    ]
    missing = sorted(set(session.manifest["files"]) - set(names))
    return Source(path, session.manifest, names, missing)


def _open_archive(path: Path) -> Source:
    with path.open("rb") as file:
        _check_end(file)
    archive = zipfile.ZipFile(path)
    try:
        return _checked(path, archive)
    except BaseException:
        archive.close()
        raise


def _checked(path: Path, archive: zipfile.ZipFile) -> Source:
    infos = {i.filename: i for i in archive.infolist()}
    if len(infos) != len(archive.infolist()) or MANIFEST not in infos:
        raise UserError("is no archive of a session: a member is missing, or there twice")
    for info in infos.values():
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"{info.filename[:80]!r} is packed in a way that is not known")
        if info.flag_bits & 1:
            raise UserError("is locked with a password")
        stored = info.compress_type == zipfile.ZIP_STORED
        if stored and info.compress_size != info.file_size:
            raise UserError(f"is damaged: {info.filename[:80]!r} states two sizes")
    if infos[MANIFEST].file_size > manifests.MAX_BYTES:
        raise UserError(f"its {MANIFEST} is too large")
    manifest, _ = manifests.parse(archive.read(MANIFEST))
    files = manifest["files"]
    check_names(files)
    names = [n for n in infos if n != MANIFEST]
    if set(names) != set(files):
        odd = min(set(names) ^ set(files))
        raise UserError(f"{odd[:80]!r} is not both in it and in its {MANIFEST}")
    for name, entry in files.items():
        if infos[name].file_size != entry["bytes"] or entry["kind"] != kind_of(name):
            raise UserError(f"is damaged: {name[:80]!r} is not what its {MANIFEST} says")
    if sum(entry["bytes"] for entry in files.values()) > MAX_BYTES:
        raise UserError(f"would be larger than {MAX_BYTES >> 30} GiB when unpacked")
    return Source(path, manifest, sorted(names), list(manifest.get("left_out", [])), archive)


def _check_end(file: IO[bytes]) -> None:
    """Check the size of the list of members before `zipfile` takes memory for it."""
    size = file.seek(0, io.SEEK_END)
    if size < _END.size:
        raise UserError("is no archive of a session")
    file.seek(size - _END.size)
    magic, _, _, _, members, directory, _, comment = _END.unpack(file.read(_END.size))
    if magic != b"PK\x05\x06" or comment:
        raise UserError("is cut short or no archive of a session; copy it again")
    locator_at = size - _END.size - _LOCATOR.size
    if locator_at >= 0:
        file.seek(locator_at)
        magic, _, at, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
        if magic == b"PK\x06\x07":
            file.seek(at)
            values = _END64.unpack(file.read(_END64.size))
            members, directory = values[7], values[8]
    if members > MAX_MEMBERS or directory > _MAX_DIRECTORY:
        raise UserError(f"has more than {MAX_MEMBERS} members")


def _derived(name: str, content: bytes, created: str) -> Item:
    entry = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "added": created,
        "kind": kind_of(name),
    }
    return Item(name, entry, lambda: io.BytesIO(content))


def _mend(path: Path) -> str:
    return f"repair it first: emghand session repair {path}"
