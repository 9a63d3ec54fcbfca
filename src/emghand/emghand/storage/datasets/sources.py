"""What a column map can point at: columns of csv, arrays of npz and MAT files, topics of bags."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.datasets.text_table import TextTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SELECTED = re.compile(r"(.+?)\[(\d+)(?:(:)(\d*))?\]")
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Track:
    """Values that a name of a column map points at.

    Parameters
    ----------
    texts : list of list of str, or None
        Cells as written, one list per column, of a text source.
    values : ndarray, shape (n, k)
        NaN where a cell is no number.
    names : tuple of str, length k
    places : ndarray of int, shape (n,)
        Lines, rows or messages, for reports.
    positions : ndarray of int, shape (n,)
        Place of each row if every row of the file were there.
    time_s : ndarray, shape (n,), optional
        Stamps of its own.
    """

    values: Floats
    names: tuple[str, ...]
    places: Ints
    positions: Ints
    texts: list[list[str]] | None = None
    time_s: Floats | None = None

    def labels(self) -> list[str]:
        """The first column as labels: text as it is, whole numbers without a point."""
        if self.texts is not None:
            numbers = self.values[:, 0]
            return [
                f"{n:.0f}" if n == np.round(n) else t.strip()
                for n, t in zip(numbers.tolist(), self.texts[0], strict=True)
            ]
        return [f"{v:.0f}" if v == np.round(v) else str(v) for v in self.values[:, 0].tolist()]


class Source(Protocol):
    """Gives what a name points at; raises UserError for a name it does not know."""

    unit: str

    def track(self, names: Sequence[str]) -> Track:
        """Columns of all names, side by side."""
        ...


class CsvSource:
    """Columns by name (``*`` and ``?`` stand for anything) or by number from 1."""

    unit = "line"

    def __init__(self, table: TextTable, decimal: str) -> None:
        self._table = table
        self._decimal = decimal

    def track(self, names: Sequence[str]) -> Track:
        """Columns of all names, side by side."""
        columns = [c for name in names for c in self._columns(name)]
        table = self._table
        return Track(
            table.numbers(columns, self._decimal),
            tuple(table.names[c] if table.names else f"ch{c + 1:02d}" for c in columns),
            table.lines,
            table.positions,
            [table.column(c) for c in columns],
        )

    def _columns(self, name: str) -> list[int]:
        found = [i for i, n in enumerate(self._table.names) if n == name]
        found = found or [
            i for i, n in enumerate(self._table.names) if fnmatch.fnmatchcase(n, name)
        ]
        width = len(self._table.rows[0])
        if not found and name.isdecimal() and 1 <= int(name) <= width:
            return [int(name) - 1]
        if not found:
            known = ", ".join(self._table.names) or f"1 to {width}"
            raise UserError(f"{self._table.path}: has no column {name!r}, but: {known}")
        return found


class ArraySource:
    """Arrays by name; ``name[3]`` is one column of a matrix, ``name[0:8]`` some, from 0."""

    unit = "row"

    def __init__(
        self, path: Path, arrays: Mapping[str, NDArray[Any]], transpose: bool = False
    ) -> None:
        self._path = path
        self._arrays = arrays
        self._transpose = transpose

    def track(self, names: Sequence[str]) -> Track:
        """Columns of all names, side by side."""
        parts = [self._part(name) for name in names]
        lengths = {len(values) for values, _, _ in parts}
        if len(lengths) != 1:
            raise UserError(f"{self._path}: {', '.join(names)} are not equally long")
        rows = np.arange(lengths.pop())
        texts = [t for _, _, text in parts for t in text]
        return Track(
            np.hstack([values for values, _, _ in parts]),
            tuple(n for _, labels, _ in parts for n in labels),
            rows + 1,
            rows,
            texts or None,
        )

    def _part(self, name: str) -> tuple[Floats, list[str], list[list[str]]]:
        base, columns = _select(name)
        if base not in self._arrays:
            known = ", ".join(self._arrays) or "none"
            raise UserError(f"{self._path}: has no array {base!r}, it has: {known}")
        array = np.asarray(self._arrays[base])
        if array.ndim == 2 and self._transpose:
            array = array.T
        if array.ndim == 2 and array.shape[0] == 1 and array.shape[1] > 1 and columns is None:
            array = array.T  # a row vector of MATLAB
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or array.dtype.kind not in "fiubU":
            raise UserError(f"{self._path}: {base} must be a list or matrix of numbers")
        if columns is not None:
            array = array[:, columns]
        if not array.size:
            raise UserError(f"{self._path}: {name} holds nothing")
        names = [f"{base}{i + 1}" for i in range(array.shape[1])] if array.shape[1] > 1 else [base]
        if array.dtype.kind == "U":
            texts = [[str(cell) for cell in column] for column in array.T]
            return np.full(array.shape, np.nan), names, texts
        return finite(array), names, []


def finite(array: NDArray[Any]) -> Floats:
    """As doubles; NaN where a value is no finite float32."""
    values = array.astype(np.float64)
    values[~(np.abs(values) <= _LARGEST)] = np.nan
    return values


def _select(name: str) -> tuple[str, slice | None]:
    found = _SELECTED.fullmatch(name)
    if found is None:
        return name, None
    start = int(found[2])
    if found[3] is None:
        return found[1], slice(start, start + 1)
    return found[1], slice(start, int(found[4]) if found[4] else None)


class BagSource:
    """Topics of a rosbag, version 1 (``.bag``) or 2 (directory): ``/topic:field``.

    A field may lie in others (``header.seq``), and one or some elements of a list may be chosen
    (``position[0]``, ``data[0:8]``). Time: the header of the messages, where they have one and it
    is set; else when the bag received them.
    """

    unit = "message"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._topics: dict[str, list[tuple[float, Any]]] = {}

    def track(self, names: Sequence[str]) -> Track:
        """Fields of one topic, side by side; messages of another length than most are NaN."""
        topics = {name.partition(":")[0] for name in names}
        if len(topics) != 1 or not all(name.partition(":")[2] for name in names):
            raise UserError(
                f"{self._path}: {', '.join(names)}: write /topic:field, all of one topic"
            )
        messages = self._messages(topics.pop())
        fields = [name.partition(":")[2] for name in names]
        parts = [[self._field(m, field) for _, m in messages] for field in fields]
        columns, labels = [], []
        for field, part in zip(fields, parts, strict=True):
            lengths = [len(p) for p in part]
            width = max(set(lengths), key=lengths.count)
            blank = np.full(width, np.nan)
            columns.append(np.array([p if len(p) == width else blank for p in part]))
            labels += [f"{field}{i + 1}" for i in range(width)] if width > 1 else [field]
        rows = np.arange(len(messages))
        return Track(
            finite(np.hstack(columns)),
            tuple(labels),
            rows + 1,
            rows,
            time_s=np.array([t for t, _ in messages]),
        )

    def _field(self, message: Any, field: str) -> Floats:
        path, columns = _select(field)
        for name in path.split("."):
            if not hasattr(message, name):
                raise UserError(f"{self._path}: the messages have no field {path!r}")
            message = getattr(message, name)
        try:
            values = np.atleast_1d(np.asarray(message, np.float64)).ravel()
        except (TypeError, ValueError):
            raise UserError(f"{self._path}: {field} holds no numbers") from None
        return values if columns is None else values[columns]

    def _messages(self, topic: str) -> list[tuple[float, Any]]:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.rosbag1 import ReaderError as ReaderError1
        from rosbags.rosbag2 import ReaderError as ReaderError2
        from rosbags.serde import SerdeError
        from rosbags.typesys import Stores, TypesysError, get_typestore

        if topic in self._topics:
            return self._topics[topic]
        found: list[tuple[float, Any]] = []
        store = get_typestore(Stores.LATEST)
        try:
            with AnyReader([self._path], default_typestore=store) as reader:
                chosen = [c for c in reader.connections if c.topic == topic]
                if not chosen:
                    known = ", ".join(sorted({c.topic for c in reader.connections})) or "none"
                    raise UserError(f"{self._path}: has no topic {topic!r}, but: {known}")
                for connection, received, raw in reader.messages(chosen):
                    message = reader.deserialize(raw, connection.msgtype)
                    found.append((_stamp_s(message, received), message))
        except (
            *(AnyReaderError, ReaderError1, ReaderError2, SerdeError, TypesysError, OSError),
            *(EOFError, ValueError, KeyError),
            *(TypeError, IndexError, AttributeError, AssertionError, MemoryError),
        ) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{self._path}: cannot be read as a rosbag ({error})") from error
        if not found:
            raise UserError(f"{self._path}: {topic} has no message")
        self._topics[topic] = found
        return found


def _stamp_s(message: Any, received_ns: int) -> float:
    stamp = getattr(getattr(message, "header", None), "stamp", None)
    if stamp is not None and (stamp.sec or stamp.nanosec):
        return float(stamp.sec + stamp.nanosec * 1e-9)
    return received_ns * 1e-9
