"""Reads an MCAP file from front to back, as far as it goes: cut short, torn or with bad chunks."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message, Schema
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC
from zstandard import ZstdError

from emghand.storage.bags.messages import BagError

_HEAD = struct.Struct("<BQ")
_CHUNK_HEAD = struct.Struct("<QQQII")


@dataclass
class Damage:
    """What a scan found wrong.

    Parameters
    ----------
    cut : bool
        The file has no proper end.
    no_index : bool
        The index at its end is missing or wrong.
    lost_bytes : int
        Bytes at the end, or in bad chunks, that hold nothing readable.
    bad_chunks : int
        Chunks whose checksum or content is wrong.
    """

    cut: bool = False
    no_index: bool = False
    lost_bytes: int = 0
    bad_chunks: int = 0


def is_complete(path: Path) -> bool:
    """Whether an MCAP file ends as it should."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        if size < 2 * len(MCAP0_MAGIC):
            return False
        file.seek(-len(MCAP0_MAGIC), io.SEEK_END)
        return file.read() == MCAP0_MAGIC


def scan(path: Path, damage: Damage | None = None) -> Iterator[Schema | Channel | Message]:
    """Schemas, channels and messages of an MCAP file, in the order of the file.

    Unlike the readers of the `mcap` library it never fails on what is missing: a record that the
    file does not hold in full ends it, a chunk with a wrong checksum is left out, and of a torn
    chunk that is not compressed every whole message is read.

    Parameters
    ----------
    path : Path
    damage : Damage, optional
        Filled in while scanning.

    Raises
    ------
    BagError
        When the file is not an MCAP file at all.
    """
    damage = Damage() if damage is None else damage
    damage.cut = not is_complete(path)
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC[:size]:
            raise BagError(f"{path}: is not an MCAP file")
        while True:
            start = file.tell()
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                damage.lost_bytes += len(head)
                return
            opcode, length = _HEAD.unpack(head)
            left = size - file.tell()
            if opcode in (Opcode.DATA_END, Opcode.FOOTER):
                return
            if length > left:
                if opcode == Opcode.CHUNK:
                    yield from _torn_chunk(file, size, damage)
                else:
                    damage.lost_bytes += size - start
                return
            yield from _record(opcode, file.read(length), damage)


def _record(opcode: int, data: bytes, damage: Damage) -> Iterator[Schema | Channel | Message]:
    stream = ReadDataStream(io.BytesIO(data))
    if opcode == Opcode.CHUNK:
        try:
            content, length = get_chunk_data_stream(Chunk.read(stream), validate_crc=True)
            records = list(_records_of(content.read(length), Damage()))
        except (ValueError, McapError, struct.error, RuntimeError, MemoryError, ZstdError):
            damage.bad_chunks += 1
            damage.lost_bytes += len(data)
            return
        yield from records
        return
    try:
        if opcode == Opcode.SCHEMA:
            yield Schema.read(stream)
        elif opcode == Opcode.CHANNEL:
            yield Channel.read(stream)
        elif opcode == Opcode.MESSAGE:
            yield Message.read(stream, len(data))
    except (McapError, struct.error, UnicodeDecodeError):
        damage.lost_bytes += len(data)


def _records_of(data: bytes, damage: Damage) -> Iterator[Schema | Channel | Message]:
    at = 0
    while at + _HEAD.size <= len(data):
        opcode, length = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        if end > len(data):
            break
        yield from _record(opcode, data[at + _HEAD.size : end], damage)
        at = end
    damage.lost_bytes += len(data) - at


def _torn_chunk(file: BinaryIO, size: int, damage: Damage) -> Iterator[Schema | Channel | Message]:
    start = file.tell()
    head = file.read(_CHUNK_HEAD.size)
    if len(head) < _CHUNK_HEAD.size:
        damage.lost_bytes += size - start
        return
    compression_length = _CHUNK_HEAD.unpack(head)[-1]
    if compression_length:
        damage.lost_bytes += size - start
        return
    file.seek(8, io.SEEK_CUR)
    yield from _records_of(file.read(), damage)
