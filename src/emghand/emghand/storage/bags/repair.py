"""Makes a bag that was cut short playable again."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from mcap.reader import SeekingReader

from emghand.errors import UserError
from emghand.storage.bags import metadata
from emghand.storage.bags.messages import BagError
from emghand.storage.bags.reader import BagReader, bag_files
from emghand.storage.bags.writer import BagWriter
from emghand.storage.files import check_space, in_use, locked
from emghand.yaml_files import parse_yaml


@dataclass(frozen=True)
class Repair:
    """What `repair_bag` did.

    Parameters
    ----------
    bag : Path
        Playable bag.
    original : Path or None
        Where the bag as it was found is kept; None: its file is whole and was left alone.
    messages : int
        Messages saved.
    duration_s : float
        From the first to the last of them [s].
    lost_bytes : int
        Bytes that held nothing readable.
    metadata_only : bool
        The MCAP file is whole, only its ``metadata.yaml`` had to be written.
    """

    bag: Path
    original: Path | None
    messages: int
    duration_s: float
    lost_bytes: int
    metadata_only: bool = False


class BagInUse(BagError):
    """It is being recorded."""


class EmptyBag(BagError):
    """It holds no whole message."""


def is_playable(path: str | Path) -> bool:
    """Whether every tool can open the bag: whole files and metadata that agree with them."""
    path = Path(path)
    if not path.is_dir():
        return False
    try:
        information = metadata.read_metadata(path)
    except BagError:
        return False
    with BagReader(path, salvage=True) as reader:
        return (
            information is not None
            and not reader.damaged
            and information.get("message_count") == reader.message_count
        )


def repair_bag(path: str | Path, keep: Path | None = None) -> Repair:
    """Make a bag playable; what is damaged is kept.

    Of a bag whose one MCAP file is whole only ``metadata.yaml`` is written anew. Otherwise the new
    bag is written beside the old one, and takes its name only when it is complete. The old one
    then is called ``NAME.damaged`` (``NAME.damaged_2`` ...), or goes to `keep`.

    Parameters
    ----------
    path : str or Path
        Bag directory, or one MCAP file (then the new bag is a directory beside it).
    keep : Path, optional
        Folder for the old bag, on the same file system.

    Raises
    ------
    BagInUse
        When it is being recorded.
    EmptyBag
        When there is nothing to repair.
    BagError
        When it is of another format, or the new bag cannot be written.
    """
    path = Path(path)
    files = bag_files(path)
    try:
        if any(in_use(file) for file in files):
            raise BagInUse(f"bag {path}: is being recorded; stop the recorder first")
    except OSError as error:
        raise BagError(f"bag {path}: cannot be read: {error}") from error
    if is_playable(path):
        with BagReader(path) as reader:
            return Repair(path, None, reader.message_count, reader.duration_s, 0)
    if path.is_dir() and len(files) == 1 and (done := _write_metadata(path, files[0], keep)):
        return done
    target = path if path.is_dir() else path.with_suffix("")
    if target != path and target.exists():
        raise BagError(f"{target}: exists already, move it away first")
    check_space(target.parent, sum(file.stat().st_size for file in files))
    folder = target.parent / f".{target.name}.repair-{uuid.uuid4().hex[:8]}"
    # The file inside carries the name of the bag, so the bag gets it from the start.
    work = folder / target.name
    try:
        folder.mkdir()
        with locked(folder):
            result = _rewrite(path, work)
            original = None
            if target == path:
                original = free_name(keep / path.name if keep else path, "" if keep else ".damaged")
                path.rename(original)
            try:
                work.rename(target)
            except OSError:
                if original is not None:
                    original.rename(path)
                raise
    except OSError as error:
        raise BagError(f"{path}: cannot be repaired: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return replace(result, bag=target, original=original or files[0])


def _rewrite(path: Path, work: Path) -> Repair:
    with BagReader(path, salvage=True) as reader:
        lost = sum(damage.lost_bytes for damage in reader.damages.values())
        if not reader.message_count:
            raise EmptyBag(f"{path}: holds no whole message, there is nothing to repair")
        custom = reader.custom | {"repaired": f"lost {lost} bytes"}
        with BagWriter(work, custom=custom) as writer:
            for topic in reader.topics.values():
                writer.add_topic(topic)
            for message in reader.messages():
                writer.write(*message, wait=True)
        written = sum(writer.counts.values())
        if written != reader.message_count:
            raise BagError(f"{path}: wrote {written} of {reader.message_count} messages")
        return Repair(work, None, written, reader.duration_s, lost)


def _write_metadata(path: Path, file: Path, keep: Path | None) -> Repair | None:
    """Metadata for a whole file: those it carries itself, else counted; None: it is not whole."""
    with BagReader(file, salvage=True) as reader:
        if reader.damaged or not reader.message_count:
            return None
        information = metadata.bag_information(
            list(reader.topics.values()),
            reader.counts,
            file.name,
            reader.start_ns,
            reader.end_ns,
            _custom_of(file),
        )
        count, duration_s = reader.message_count, reader.duration_s
    try:
        torn = path / metadata.METADATA_FILE
        if torn.exists():
            kept = keep / f"{path.name}.{torn.name}" if keep else torn
            torn.rename(free_name(kept, "" if keep else ".damaged"))
        metadata.write_metadata(path, information)
    except OSError as error:
        raise BagError(f"{path}: cannot be repaired: {error}") from error
    return Repair(path, None, count, duration_s, 0, metadata_only=True)


def _custom_of(file: Path) -> dict[str, str]:
    """``custom_data`` from the copy of the metadata that rosbag2 puts into the file itself."""
    with file.open("rb") as stream:
        for record in SeekingReader(stream).iter_metadata():
            if record.name == "rosbag2":
                try:
                    text = parse_yaml(record.metadata.get("serialized_metadata", ""))
                    found = text["rosbag2_bagfile_information"]["custom_data"] or {}
                    return {str(key): str(value) for key, value in found.items()}
                except (UserError, KeyError, TypeError, AttributeError):
                    return {}
    return {}


def free_name(path: Path, suffix: str) -> Path:
    """``NAMEsuffix``, ``NAMEsuffix_2``, ...: the first that is not there."""
    name = path.with_name(f"{path.name}{suffix}")
    count = 2
    while name.exists():
        name = path.with_name(f"{path.name}{suffix}_{count}")
        count += 1
    return name
