"""Zip files of one JSON document and ``arrays/*.npy``, safe to read from anyone.

Only stored (not compressed) members with expected names are read, only plain float64 arrays are
accepted, and every length is compared with what is there before memory is taken. Nothing in a file
is executed.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import stat
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.settings import SettingsError, to_json

MAX_JSON_BYTES = 8 * 2**20
MAX_MEMBERS = 64
_MEMBER = re.compile(r"arrays/[a-z0-9_.]{1,80}\.npy")
_HEADER = re.compile(
    rb"\{'descr': '<f8', 'fortran_order': False, 'shape': \((|\d{1,9},|\d{1,9}, \d{1,9})\), \} *\n"
)
_DATE = (1980, 1, 1, 0, 0, 0)

Floats = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class ArchiveFormat:
    """A kind of file.

    Parameters
    ----------
    name : str
        What it holds, in one word, for messages; also the name of its JSON document.
    version : int
        The newest that is understood.
    max_bytes : int
        Larger files are refused.
    """

    name: str
    version: int
    max_bytes: int

    @property
    def document(self) -> str:
        """Name of the JSON document in the zip."""
        return f"{self.name}.json"

    @property
    def label(self) -> str:
        """What the document says it is."""
        return f"emghand {self.name}"


def pack(kind: ArchiveFormat, document: Mapping[str, Any], arrays: Mapping[str, Floats]) -> bytes:
    """Content of a file; the same document and arrays give the same bytes.

    Parameters
    ----------
    kind : ArchiveFormat
    document : mapping
        Plain, finite values; format and version are added.
    arrays : mapping of str to ndarray
        At most 2 axes; names of lower-case letters, digits, underscores and points.

    Raises
    ------
    UserError
        When the document is not plain, or the file could not be read again.
    """
    try:
        text = json.dumps(
            {"format": kind.label, "version": kind.version, **document},
            indent=1,
            sort_keys=True,
            allow_nan=False,
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"its settings and scores must be plain, finite values: {error}") from error
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(kind.document, _DATE), text)
        for name, value in sorted(arrays.items()):
            member = f"arrays/{name}.npy"
            if not _MEMBER.fullmatch(member) or np.ndim(value) > 2:
                raise UserError(f"array {name!r} cannot be kept: its name or its axes")
            content = io.BytesIO()
            plain = np.asarray(value, dtype="<f8", order="C")
            np.lib.format.write_array(content, plain, (1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(member, _DATE), content.getvalue())
    if (
        buffer.tell() > kind.max_bytes
        or len(arrays) >= MAX_MEMBERS
        or len(text.encode()) > MAX_JSON_BYTES
    ):
        raise UserError(
            f"too large: a {kind.name} file holds at most {kind.max_bytes >> 20} MiB, "
            f"{MAX_JSON_BYTES >> 20} of them text, in {MAX_MEMBERS} members"
        )
    return buffer.getvalue()


def content_digest(document: Mapping[str, Any], arrays: Mapping[str, Floats]) -> str:
    """SHA-256 of arrays and document, but for what says which file it is, hexadecimal."""
    said = {k: v for k, v in document.items() if k not in ("format", "version", "digest")}
    digest = hashlib.sha256(to_json(said).encode())
    for name, value in sorted(arrays.items()):
        digest.update(f"{name}{value.shape}".encode())
        digest.update(value.astype("<f8").tobytes())
    return digest.hexdigest()


def check_digest(document: Mapping[str, Any], arrays: Mapping[str, Floats]) -> None:
    """Refuse a document whose ``digest`` is not `content_digest`.

    Raises
    ------
    UserError
    """
    if document.get("digest") != content_digest(document, arrays):
        raise UserError("damaged: its content does not match its digest")


def read(
    kind: ArchiveFormat,
    path: str | Path,
    build: Callable[[dict[str, Any], dict[str, Floats]], T],
) -> T:
    """What `build` makes of the document and the arrays of a file.

    Whatever is missing or malformed in the document may surface in `build` as the exceptions that
    plain Python raises for it.

    Raises
    ------
    UserError
        When the file cannot be read, is damaged, of another kind or of a newer version.
    """
    path = Path(path)
    try:
        document, arrays = _read_members(kind, _content(kind, path))
        return _built(kind, build, document, arrays)
    except OSError as error:
        raise UserError(f"{kind.name} {path}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise UserError(
            f"{kind.name} {path}: does not fit into the memory of this machine"
        ) from error
    except UserError as error:
        raise UserError(f"{kind.name} {path}: {error}") from error


def _content(kind: ArchiveFormat, path: Path) -> bytes:
    status = path.stat()
    # A device has no end, and a pipe without a writer no beginning.
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise UserError("not a regular file")
    if status.st_size > kind.max_bytes:
        raise UserError(f"larger than {kind.max_bytes >> 20} MiB")
    return path.read_bytes()


def _built(
    kind: ArchiveFormat,
    build: Callable[[dict[str, Any], dict[str, Floats]], T],
    document: dict[str, Any],
    arrays: dict[str, Floats],
) -> T:
    try:
        return build(document, arrays)
    except SettingsError as error:
        raise UserError(f"its settings do not fit this version: {error}") from error
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise UserError(f"damaged: {kind.document} is incomplete or malformed ({error})") from error
    except ValueError as error:
        raise UserError(f"damaged: {error}") from error


def _read_members(kind: ArchiveFormat, data: bytes) -> tuple[dict[str, Any], dict[str, Floats]]:
    other = f"not a {kind.name} file"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = [i.filename for i in infos]
            if len(infos) > MAX_MEMBERS or len(set(names)) != len(names):
                raise UserError(f"{other}: too many members, or two of the same name")
            if kind.document not in names:
                raise UserError(f"{other}: it has no {kind.document}")
            for info in infos:
                if info.filename != kind.document and not _MEMBER.fullmatch(info.filename):
                    raise UserError(f"{other}: unexpected member {info.filename[:80]!r}")
                if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                    raise UserError(f"{other}: members must be neither packed nor locked")
                if info.compress_size != info.file_size:
                    raise UserError("damaged: a member states two sizes")
            if sum(i.file_size for i in infos) > len(data):
                raise UserError("damaged: members are larger than the file")
            if archive.getinfo(kind.document).file_size > MAX_JSON_BYTES:
                raise UserError(f"{other}: {kind.document} is too large")
            members = {name: archive.read(name) for name in names}
    except UserError:
        raise
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"damaged or {other}") from error
    except (ValueError, OverflowError, KeyError) as error:
        raise UserError(f"damaged or {other}") from error
    document = _read_json(kind, members.pop(kind.document))
    return document, {
        name.removeprefix("arrays/").removesuffix(".npy"): _read_array(name, content)
        for name, content in members.items()
    }


def _read_json(kind: ArchiveFormat, data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UserError(f"damaged: {kind.document} is not valid JSON") from error
    if not isinstance(document, dict) or document.get("format") != kind.label:
        raise UserError(f"not a {kind.name} file")
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UserError("damaged: it states no version")
    if version > kind.version:
        raise UserError(
            f"written by a newer emghand (format {version}, this one reads up to {kind.version}); "
            "update"
        )
    return document


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _read_array(name: str, data: bytes) -> Floats:
    """The one form of array that `pack` writes; read without numpy's parser, which is lax."""
    length = int.from_bytes(data[8:10], "little")
    start = 10 + length
    found = _HEADER.fullmatch(data[10:start])
    if data[:8] != b"\x93NUMPY\x01\x00" or len(data) < start or found is None:
        raise UserError(f"{name}: must be a plain float64 vector or matrix")
    shape = tuple(int(n) for n in found[1].split(b",") if n.strip())
    if math.prod(shape) * 8 != len(data) - start:
        raise UserError(f"{name}: its length does not match its shape")
    return np.frombuffer(data, dtype="<f8", offset=start).reshape(shape).astype(np.float64)
