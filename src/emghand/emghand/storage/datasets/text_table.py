"""Text tables, read line by line so that one damaged line costs one line."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.repairs import LEFT_OUT, REPAIRED, RepairLog

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CHUNK = 2000
_LARGEST = float(np.finfo(np.float32).max)
_LINE_END = re.compile(r"\r\n|\n|\r")
_BARE_CR = re.compile(r"\r(?!\n)")


@dataclass(frozen=True)
class TextTable:
    """Rows of a table that have as many cells as they should.

    Parameters
    ----------
    path : Path
    names : tuple of str
        Of the header; empty when there is none.
    rows : list of list of str
    lines : ndarray of int, shape (n,)
        Line of each row in the file, from 1.
    positions : ndarray of int, shape (n,)
        Place of each row if every row of the file were there: rows that were left out count, and a
        line of several fused rows counts as several.
    """

    path: Path
    names: tuple[str, ...]
    rows: list[list[str]]
    lines: Ints
    positions: Ints

    def column(self, index: int) -> list[str]:
        """Cells of a column."""
        return [row[index] for row in self.rows]

    def numbers(self, columns: Sequence[int], decimal: str = ".") -> Floats:
        """Columns as numbers, shape (n, len(columns)); NaN where a cell is no finite float32."""
        picked = [[row[i] for i in columns] for row in self.rows]
        if decimal != ".":
            picked = [[cell.replace(decimal, ".") for cell in row] for row in picked]
        found = np.full((len(picked), len(columns)), np.nan)
        for start in range(0, len(picked), _CHUNK):
            part = picked[start : start + _CHUNK]
            found[start : start + len(part)] = _numbers(part)
        return found


def read_table(
    path: str | Path,
    log: RepairLog,
    *,
    header: bool = True,
    width: int = 0,
    delimiter: str = ",",
    skip_lines: int = 0,
) -> TextTable:
    """Read a text table, plain or .gz.

    Lines end with LF, CR LF, or (reported) a bare CR. Empty lines are skipped. A row that has not
    as many cells as the header is left out: several rows in one line are not taken apart, because
    the number at the seam cannot be told from two numbers.

    Parameters
    ----------
    header : bool
        Whether the first line names the columns.
    width : int
        Cells of a row without a header.
    delimiter : str
        Between cells; a blank stands for any number of blanks and tabs.
    skip_lines : int
        Lines before the header.

    Raises
    ------
    UserError
        When the file cannot be read, is empty, or most of its rows are damaged.
    """
    path = Path(path)
    return parse_table(
        path,
        read_bytes(path, log),
        log,
        header=header,
        width=width,
        delimiter=delimiter,
        skip_lines=skip_lines,
    )


def read_bytes(path: Path, log: RepairLog) -> bytes:
    """Content of a file; of a .gz file that was cut short, as far as it goes.

    Raises
    ------
    UserError
        When nothing can be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    return data if path.suffix != ".gz" else _gunzip(path, data, log)


def _gunzip(path: Path, data: bytes, log: RepairLog) -> bytes:
    found, why = b"", ""
    while data and not why:
        stream = zlib.decompressobj(wbits=31)
        try:
            # In pieces: what came before a bad byte is kept.
            for start in range(0, len(data), 4096):
                found += stream.decompress(data[start : start + 4096])
                if stream.eof:
                    break
            if not stream.eof:
                why = "is cut short"
            data = stream.unused_data + data[start + 4096 :] if stream.eof else b""
        except zlib.error as error:
            why = f"is damaged ({error})"
    if why:
        if not found:
            raise UserError(f"{path}: {why}, nothing of it can be read")
        # The last line may be cut anywhere, even inside of a number.
        found = found[: found.rfind(b"\n") + 1]
        text = f"the compressed file {why}; read to its last whole line"
        log.add(path, "cut_short", LEFT_OUT, text, count=1, unit="file end")
    return found


def parse_table(
    path: Path,
    data: bytes,
    log: RepairLog,
    *,
    header: bool = True,
    width: int = 0,
    delimiter: str = ",",
    skip_lines: int = 0,
) -> TextTable:
    """Like `read_table`, from the bytes of a file."""
    text = data.decode("utf-8-sig", errors="replace")
    if _BARE_CR.search(text):
        ends = (match[0] for match in _LINE_END.finditer(text))
        bare = [number for number, end in enumerate(ends, 1) if end == "\r"]
        log.add(path, "bare_cr", REPAIRED, "a carriage return alone ends the line", bare)
    split = [
        (number, _cells(line, delimiter))
        for number, line in enumerate(_LINE_END.split(text), 1)
        if number > skip_lines and line.strip()
    ]
    if not split:
        raise UserError(f"{path}: is empty")
    names: tuple[str, ...] = ()
    if header:
        names = tuple(name.strip() for name in split.pop(0)[1])
        if len(set(names)) != len(names):
            raise UserError(f"{path}: a column is named twice")
        width = len(names)
        if not split:
            raise UserError(f"{path}: holds a header but no data")
    return _keep_whole_rows(path, log, names, split, width)


def row_widths(path: Path, delimiter: str, skip_lines: int) -> list[int]:
    """Cells of each of the first lines that hold something, up to 1000.

    Raises
    ------
    UserError
        When there is none.
    """
    text = read_bytes(path, RepairLog()).decode("utf-8-sig", errors="replace")
    lines = [line for line in _LINE_END.split(text)[skip_lines:] if line.strip()][:1000]
    if not lines:
        raise UserError(f"{path}: is empty")
    return [len(_cells(line, delimiter)) for line in lines]


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter))
    except (csv.Error, StopIteration):
        return line.split(delimiter)


def _keep_whole_rows(
    path: Path,
    log: RepairLog,
    names: tuple[str, ...],
    split: list[tuple[int, list[str]]],
    width: int,
) -> TextTable:
    rows, lines, positions = [], [], []
    short, fused, again = [], [], []
    position = 0
    for number, cells in split:
        if names and cells[0] == names[0] and tuple(c.strip() for c in cells) == names:
            again.append(number)
            continue
        if len(cells) == width:
            rows.append(cells)
            lines.append(number)
            positions.append(position)
        elif len(cells) < width:
            short.append(number)
        else:
            fused.append(number)
        position += max(1, round(len(cells) / width))
    if 2 * len(rows) < len(rows) + len(short) + len(fused):
        first = min([*short[:1], *fused[:1]])
        cells = next(c for n, c in split if n == first)
        raise UserError(
            f"{path}, line {first}: {len(cells)} values where {width} are expected, as in most "
            "lines of this file; is the layout another one?"
        )
    log.add(path, "header_again", LEFT_OUT, "the header once more", again)
    log.add(path, "short_row", LEFT_OUT, f"fewer than {width} values", short)
    log.add(path, "fused_row", LEFT_OUT, f"more than {width} values, as of fused rows", fused)
    return TextTable(path, names, rows, np.array(lines, np.int64), np.array(positions, np.int64))


def _numbers(rows: list[list[str]]) -> Floats:
    try:
        values = np.array(rows, np.float64)
        # Python takes 1_000 for a number; in a table it is two numbers and a broken delimiter.
        if values.ndim == 2 and not any("_" in ",".join(row) for row in rows):
            values[~(np.abs(values) <= _LARGEST)] = np.nan
            return values
    except ValueError:
        pass
    return np.array([[_number(cell) for cell in row] for row in rows])


def is_number(cell: str) -> bool:
    """Whether a cell holds a finite number."""
    return bool(np.isfinite(_number(cell)))


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        return np.nan
    return value if abs(value) <= _LARGEST and "_" not in cell else np.nan
