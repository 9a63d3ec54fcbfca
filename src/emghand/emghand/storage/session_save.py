"""Writes sessions: as an archive, as a new directory, or into a session that exists.

Everything is copied in pieces of a megabyte, whatever its size, and its hash is compared on the
way. What is written has a temporary name until it is whole and on the disk: a process that is
killed, or a disk that is full, leaves the files that were there before, and perhaps something
unfinished that ``emghand session repair`` moves away.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from emghand.errors import UserError
from emghand.storage import manifest as manifests
from emghand.storage.contents import describe
from emghand.storage.files import check_new, check_space, make_folder, new_file, new_folder
from emghand.storage.kinds import KINDS
from emghand.storage.manifest import MANIFEST
from emghand.storage.session_merge import Merged, merge
from emghand.storage.session_sources import (
    DAMAGED,
    EXTENSION,
    MAX_MEMBERS,
    Item,
    Source,
    open_source,
)
from emghand.storage.sessions import FOLDERS, Session

PIECE = 2**20
_DATE = (1980, 1, 1, 0, 0, 0)


def save_sessions(
    sources: Sequence[str | Path],
    path: str | Path,
    kinds: Collection[str] = tuple(KINDS),
    *,
    compress: bool = False,
    subject: str = "",
) -> Merged:
    """Write one archive of one or several sessions; it is there in full or not at all.

    Parameters
    ----------
    sources : sequence of path
        Session directories and archives.
    path : path
        ``NAME.emgsession``; must not exist.
    kinds : collection of str
        See `emghand.storage.kinds`.
    compress : bool
        Pack the files (deflate). Raw EMG hardly gets smaller.
    subject : str
        Pseudonym where the sources have several.

    Returns
    -------
    Merged
        What was written. The same sources and kinds give the same bytes, if there is one source.

    Raises
    ------
    UserError
        When a source cannot be read or is unfinished, the archive exists, or cannot be written.
    """
    path = Path(path)
    if path.suffix != EXTENSION:
        raise UserError(f"{path}: name the archive NAME{EXTENSION}")
    check_new(path)
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with ExitStack() as stack:
        merged = merge(
            [stack.enter_context(open_source(s)) for s in sources], kinds, subject=subject
        )
        if not merged.items and not merged.manifest["settings"]:
            raise UserError(f"archive {path}: nothing of {', '.join(sorted(kinds))} is there")
        if len(merged.items) >= MAX_MEMBERS:
            raise UserError(f"archive {path}: would have more than {MAX_MEMBERS} files")
        if not compress:
            check_space(path.parent, merged.size)
        manifest = {**merged.manifest, "left_out": merged.left_out}
        with new_file(path) as file, zipfile.ZipFile(file, "w", method) as archive:
            # First, so that it is found without looking through gigabytes.
            info = zipfile.ZipInfo(MANIFEST, _DATE)
            archive.writestr(info, manifests.to_bytes(manifest), method)
            for item in merged.items:
                info = zipfile.ZipInfo(item.name, _DATE)
                info.compress_type = method
                info.external_attr = 0o644 << 16
                info.file_size = item.size
                with archive.open(info, "w", force_zip64=item.size >= 2**31) as member:
                    _copy(item, member)
    return merged


def load_sessions(
    sources: Sequence[str | Path],
    path: str | Path,
    kinds: Collection[str] = tuple(KINDS),
    *,
    subject: str = "",
) -> Merged:
    """Write archives and session directories into a session directory: load and merge.

    Parameters
    ----------
    path : path
        A new directory, which is there in full or not at all; or a session, which gets what it
        does not have.

    Raises
    ------
    UserError
        When a source cannot be read, is damaged or unfinished, or the directory cannot be written.
    """
    path = Path(path)
    with ExitStack() as stack:
        opened = [stack.enter_context(open_source(s)) for s in sources]
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            return _load_into(Session.open(path), opened, kinds, subject)
        merged = merge(opened, kinds, subject=subject)
        check_space(path, merged.size)
        make_folder(path.absolute().parent)
        with new_folder(path) as folder:
            for name in FOLDERS:
                make_folder(folder / name)
            for item in merged.items:
                _write(item, folder / item.name)
            with new_file(folder / MANIFEST) as file:
                file.write(manifests.to_bytes(merged.manifest))
    return merged


def _load_into(
    session: Session, opened: Sequence[Source], kinds: Collection[str], subject: str
) -> Merged:
    _enter_unlisted(session)
    target = session.manifest
    merged = merge(opened, kinds, target=target, subject=subject)
    check_space(session.path, merged.size)
    entries = {}
    bags: dict[str, list[Item]] = {}
    for item in merged.items:
        entries[item.name] = merged.manifest["files"][item.name]
        parts = item.name.split("/")
        if parts[0] == "bags" and len(parts) > 2:
            bags.setdefault(parts[1], []).append(item)
        else:
            _write(item, session.path / item.name)
    for bag, items in bags.items():
        make_folder(session.path / "bags")
        with new_folder(session.path / "bags" / bag) as folder:
            for item in items:
                _write(item, folder / item.name.removeprefix(f"bags/{bag}/"))
    session.enter(entries, sources=merged.manifest["sources"], settings=merged.manifest["settings"])
    return merged


def _enter_unlisted(session: Session) -> None:
    """A node that adapts, or a person, put files there: their names are taken."""
    entries = {}
    for name in (p.path for p in session.check(quick=True) if p.what == "not listed"):
        full = session.path / name
        if full.suffix == ".mcap" and not (full.parent / "metadata.yaml").exists():
            raise UserError(
                f"session {session.path}: {name} is not finished; repair it first: "
                f"emghand session repair {session.path}"
            )
        entries[name] = describe(full, name)
    if entries:
        session.enter(entries)


def _write(item: Item, path: Path) -> None:
    make_folder(path.parent)
    with new_file(path) as file:
        _copy(item, file)


def _copy(item: Item, to: IO[bytes]) -> None:
    """Copy one file, and refuse it when it is not what its manifest says."""
    digest, left = hashlib.sha256(), item.size
    with item.open() as file:
        while True:
            try:
                piece = file.read(min(PIECE, left + 1))
            except (OSError, *DAMAGED) as error:
                raise UserError(f"{item.name}: is damaged and cannot be read: {error}") from error
            if not piece:
                break
            left -= len(piece)
            if left < 0:
                break
            digest.update(piece)
            to.write(piece)
    if left or digest.hexdigest() != item.sha256:
        raise UserError(f"{item.name}: is damaged or has changed, it is not what the manifest says")
