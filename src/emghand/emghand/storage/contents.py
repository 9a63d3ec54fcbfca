"""The files of a session, and what its manifest says of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emghand.storage.files import sha256
from emghand.storage.kinds import QUARANTINE, kind_of
from emghand.storage.manifest import MANIFEST, now


def walk(root: Path) -> list[tuple[str, Path]]:
    """Files of a session by name, without the manifest and the quarantine."""
    found = []
    for full in sorted(p for p in root.rglob("*") if p.is_file()):
        name = full.relative_to(root).as_posix()
        if not name.startswith((MANIFEST, f"{QUARANTINE}/")):
            found.append((name, full))
    return found


def describe(path: Path, name: str) -> dict[str, Any]:
    """Entry of a file in the manifest."""
    return {
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
        "added": now(),
        "kind": kind_of(name),
    }


def origin_of(manifest: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> tuple[str, str]:
    """Id of the session that a file came from, and its name there."""
    origin = entry.get("origin") or {}
    return str(origin.get("session", manifest["id"])), str(origin.get("name", name))
