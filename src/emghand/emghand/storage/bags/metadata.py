"""`metadata.yaml` of a rosbag2 directory."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import Qos
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos

from emghand.errors import UserError
from emghand.storage.bags.messages import BagError, Topic
from emghand.storage.files import sync, take_lock
from emghand.yaml_files import read_yaml

METADATA_FILE = "metadata.yaml"
MOST_BYTES = 16 << 20
"""The plan of what is recorded is part of the metadata."""
SHARED_KEY = "emghand_shared_topics"
"""Key of ``custom_data``: topics whose publishers' message counters cannot be told apart."""

VERSION = 9
"""Version that Jazzy and Kilted write: QoS profiles as a list of mappings."""
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The same text, ten times as fast where PyYAML was built with libyaml."""
_NEEDED = {"storage_identifier", "relative_file_paths", "message_count"}


def qos_to_text(qos: Sequence[Qos]) -> str:
    """QoS profiles as the YAML text that an MCAP channel carries."""
    if not qos:
        return ""
    return str(yaml.dump(dump_qos_v9(list(qos)), Dumper=_DUMPER, sort_keys=False)).strip()


@functools.lru_cache(maxsize=256)
def qos_from_text(text: str) -> tuple[Qos, ...]:
    """Inverse of `qos_to_text`; also reads the numbers that older distributions wrote."""
    try:
        return tuple(parse_qos(text))
    except (ReaderError, KeyError, TypeError):
        return ()


def bag_information(
    topics: Sequence[Topic],
    counts: Mapping[str, int],
    file_name: str,
    start_ns: int,
    end_ns: int,
    custom: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Content of ``rosbag2_bagfile_information`` for a bag of one MCAP file."""
    total = sum(counts.values())
    start = {"nanoseconds_since_epoch": start_ns if total else 0}
    duration = {"nanoseconds": end_ns - start_ns if total else 0}
    return {
        "version": VERSION,
        "storage_identifier": "mcap",
        "duration": duration,
        "starting_time": start,
        "message_count": total,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": dump_qos_v9(list(topic.qos)),
                    "type_description_hash": topic.type_hash,
                },
                "message_count": counts.get(topic.name, 0),
            }
            for topic in topics
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file_name],
        "files": [
            {
                "path": file_name,
                "starting_time": dict(start),
                "duration": dict(duration),
                "message_count": total,
            }
        ],
        "custom_data": dict(custom) if custom else None,
        "ros_distro": os.environ.get("ROS_DISTRO", "unknown"),
    }


def to_text(information: Mapping[str, Any]) -> str:
    """Metadata as YAML."""
    document = {"rosbag2_bagfile_information": dict(information)}
    return str(yaml.dump(document, Dumper=_DUMPER, sort_keys=False))


def write_metadata(folder: Path, information: Mapping[str, Any]) -> None:
    """Write `metadata.yaml` atomically."""
    temporary = folder / f".{METADATA_FILE}.tmp"
    with temporary.open("w") as file:
        take_lock(file.fileno(), wait=True)  # A repair leaves it alone.
        file.write(to_text(information))
        file.flush()
        sync(file.fileno())
        temporary.replace(folder / METADATA_FILE)


def read_metadata(folder: Path) -> dict[str, Any] | None:
    """Content of ``rosbag2_bagfile_information``; None when there is no such file.

    Raises
    ------
    BagError
        When the file cannot be read.
    """
    path = folder / METADATA_FILE
    if not path.exists():
        return None
    try:
        document = read_yaml(path, "metadata", most_bytes=MOST_BYTES, quick=True)
        information = document["rosbag2_bagfile_information"]
    except UserError as error:
        raise BagError(f"{error}; run: emghand session repair") from error
    except (KeyError, TypeError) as error:
        raise BagError(f"{path}: cannot be read ({error}); run: emghand session repair") from error
    if not isinstance(information, dict) or not information.keys() >= _NEEDED:
        raise BagError(f"{path}: is not the metadata of a bag")
    return information
