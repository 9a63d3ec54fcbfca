"""Makes a bag that was cut short playable again."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from emghand.storage.bags import metadata
from emghand.storage.bags.messages import BagError
from emghand.storage.bags.reader import BagReader, bag_files
from emghand.storage.bags.writer import BagWriter


@dataclass(frozen=True)
class Repair:
    """What `repair_bag` did.

    Parameters
    ----------
    bag : Path
        Playable bag.
    original : Path or None
        Where the bag as it was found is kept; None: it was whole and was left alone.
    messages : int
        Messages saved.
    duration_s : float
        From the first to the last of them [s].
    lost_bytes : int
        Bytes that held nothing readable.
    """

    bag: Path
    original: Path | None
    messages: int
    duration_s: float
    lost_bytes: int


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


def repair_bag(path: str | Path) -> Repair:
    """Rewrite what can be read of a bag; the original is kept beside it.

    The new bag is written beside the old one, and takes its name only when it is complete. The
    old one then is called ``NAME.damaged`` (``NAME.damaged_2`` ...).

    Parameters
    ----------
    path : str or Path
        Bag directory, or one MCAP file (then the new bag is a directory beside it).

    Raises
    ------
    BagError
        When nothing can be read, or the new bag cannot be written.
    """
    path = Path(path)
    files = bag_files(path)
    if is_playable(path):
        with BagReader(path) as reader:
            return Repair(path, None, reader.message_count, reader.duration_s, 0)
    target = path if path.is_dir() else path.with_suffix("")
    if target != path and target.exists():
        raise BagError(f"{target}: exists already, move it away first")
    folder = target.parent / f".{target.name}.repair-{uuid.uuid4().hex[:8]}"
    # The file inside carries the name of the bag, so the bag gets it from the start.
    work = folder / target.name
    try:
        result = _rewrite(path, work)
        original = None
        if target == path:
            original = _free_name(path)
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
            raise BagError(f"{path}: holds no whole message, there is nothing to repair")
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


def _free_name(path: Path) -> Path:
    name = path.with_name(f"{path.name}.damaged")
    count = 2
    while name.exists():
        name = path.with_name(f"{path.name}.damaged_{count}")
        count += 1
    return name
