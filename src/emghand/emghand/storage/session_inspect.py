"""What a session directory or an archive holds, told without loading it.

Read are the manifest, names and sizes, the few kilobytes of each ``metadata.yaml``, the document of
each model, and small tables: as quick for gigabytes as for nothing.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.storage.archive import MAX_JSON_BYTES
from emghand.storage.kinds import KINDS, is_unfinished, kind_of
from emghand.storage.session_sources import DAMAGED, Source, open_source
from emghand.storage.sessions import Session
from emghand.yaml_files import parse_yaml

MAX_READ = 2**20
"""Larger tables and metadata are not looked into [byte]."""
_DOCUMENTS = {
    ".emgmodel": "model.json",
    ".emgencoder": "encoder.json",
    ".emgadapt": "companion.json",
    ".emgmemory": "memory.json",
}


def inspect_session(path: str | Path, *, verify: bool = False) -> dict[str, Any]:
    """Contents of a session directory or archive, ready for JSON.

    Parameters
    ----------
    verify : bool
        Read everything and compare the hashes, too.

    Returns
    -------
    dict
        ``path``, ``archive``, ``version``, ``id``, ``subject``, ``created``, ``settings``,
        ``sources``; ``kinds``: files and bytes of each; ``things``: one entry per bag or file with
        ``name``, ``kind``, ``bytes`` and ``details``; ``problems``: what is not as the manifest
        says, and bags that are not finished.

    Raises
    ------
    UserError
        When it is no session, or its manifest is damaged or newer.
    """
    with open_source(path) as source:
        files = source.manifest["files"]
        sizes = {name: source.size_of(name) for name in source.names}
        kinds = {kind: {"files": 0, "bytes": 0} for kind in KINDS}
        for name, size in sizes.items():
            kinds[kind_of(name)]["files"] += 1
            kinds[kind_of(name)]["bytes"] += size
        return {
            "path": str(path),
            "archive": source.archive is not None,
            "packed_bytes": Path(path).stat().st_size if source.archive is not None else None,
            **{k: source.manifest.get(k) for k in ("version", "id", "subject", "created")},
            "code_version": source.manifest.get("code_version"),
            "settings": source.manifest.get("settings"),
            "sources": source.manifest["sources"],
            "bytes": sum(sizes.values()),
            "kinds": {k: v for k, v in kinds.items() if v["files"]},
            "things": _things(source, sizes),
            "problems": _problems(source, files, verify),
        }


def _things(source: Source, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    bags: dict[str, list[str]] = {}
    things = []
    for name in source.names:
        parts = name.split("/")
        if parts[0] == "bags" and len(parts) > 2:
            bags.setdefault(f"bags/{parts[1]}", []).append(name)
            continue
        things.append(
            {
                "name": name,
                "kind": kind_of(name),
                "bytes": sizes[name],
                "details": _details(source, name, sizes[name]),
            }
        )
    for bag, names in bags.items():
        metadata = f"{bag}/metadata.yaml"
        things.append(
            {
                "name": bag,
                "kind": kind_of(metadata),
                "bytes": sum(sizes[n] for n in names),
                "details": _bag(source, metadata, sizes) if metadata in sizes else {},
            }
        )
    order = list(KINDS)
    return sorted(things, key=lambda t: (order.index(t["kind"]), t["name"]))


def _bag(source: Source, metadata: str, sizes: Mapping[str, int]) -> dict[str, Any]:
    if sizes[metadata] > MAX_READ:
        return {}
    try:
        with source.open_file(metadata) as file:
            found = parse_yaml(file.read(MAX_READ).decode())["rosbag2_bagfile_information"]
        return {
            "duration_s": found["duration"]["nanoseconds"] * 1e-9,
            "start_ns": found["starting_time"]["nanoseconds_since_epoch"],
            "messages": found["message_count"],
            "topics": {
                t["topic_metadata"]["name"]: t["message_count"]
                for t in found["topics_with_message_count"]
            },
        }
    except (UserError, KeyError, TypeError, UnicodeDecodeError, OSError, *DAMAGED):
        return {}


def _details(source: Source, name: str, size: int) -> dict[str, Any]:
    suffix = Path(name).suffix
    try:
        if suffix in _DOCUMENTS:
            return _of_zip(source, name, _DOCUMENTS[suffix])
        if suffix == ".json" and size <= MAX_READ:
            with source.open_file(name) as file:
                return _of_table(json.loads(file.read(MAX_READ)))
    except (OSError, KeyError, TypeError, AttributeError, RecursionError, *DAMAGED):
        pass  # Whoever loads it says what is wrong with it.
    return {}


def _of_zip(source: Source, name: str, member: str) -> dict[str, Any]:
    with source.open_file(name) as file, zipfile.ZipFile(file) as archive:
        if archive.getinfo(member).file_size > MAX_JSON_BYTES:
            return {}
        document = json.loads(archive.read(member))
    settings = document.get("settings") or {}
    found = {k: document[k] for k in ("version", "model_id", "created") if k in document}
    found["kind"] = settings.get("kind", document.get("kind"))
    if "dofs" in settings:
        found["dofs"] = [d["name"] for d in settings["dofs"]]
    if "encoder" in settings:
        found["encoder"] = settings["encoder"]["kind"]
    return {k: v for k, v in found.items() if v is not None}


def _of_table(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        return {}
    found = {k: document[k] for k in ("activity", "status", "bag", "n_trials") if k in document}
    if isinstance(document.get("trials"), list):
        found["trials"] = len(document["trials"])
    return found


def _problems(source: Source, files: Mapping[str, Any], verify: bool) -> list[dict[str, str]]:
    problems = [{"path": n, "what": "missing"} for n in source.missing]
    if source.archive is None:
        found = Session.open(source.path).check(quick=not verify)
        problems = [{"path": p.path, "what": p.what} for p in found]
    elif verify:
        problems += [
            {"path": n, "what": "changed"} for n in source.names if not _matches(source, n, files)
        ]
    finished = {n.split("/")[1] for n in source.names if n.endswith("/metadata.yaml")}
    bags = {n.split("/")[1] for n in source.names if n.startswith("bags/") and n.count("/") > 1}
    problems += [{"path": f"bags/{b}", "what": "not finished"} for b in sorted(bags - finished)]
    return [p for p in problems if not is_unfinished(p["path"]) or p["what"] == "unfinished"]


def _matches(source: Source, name: str, files: Mapping[str, Any]) -> bool:
    digest = hashlib.sha256()
    try:
        with source.open_file(name) as file:
            while piece := file.read(2**20):
                digest.update(piece)
    except (OSError, UserError, *DAMAGED):
        return False
    return digest.hexdigest() == files[name]["sha256"]
