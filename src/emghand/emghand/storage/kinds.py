"""The kinds of things that a session holds, told by where a file lies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from emghand.errors import UserError
from emghand.storage.files import TEMPORARY_PREFIX

SETTINGS = "settings"
MOVEMENTS = "movements"
FILTER = "filter"
FEATURES = "features"
DATA = "data"
RESULTS = "results"
DECODER = "decoder"
AUTOENCODER = "autoencoder"
DETECTOR = "detector"
OTHER = "other"
"""What is in no folder of the others."""
KINDS = {
    SETTINGS: "everything that was set: in the manifest, and files in settings/",
    MOVEMENTS: "movement sets: movements/",
    FILTER: "settings of features and output filters: filter/",
    FEATURES: "computed features: features/",
    DATA: "recordings: bags/, data/",
    RESULTS: "trial tables, scores, reports, plans: results/",
    DECODER: "trained decoders: models/*.emgmodel",
    AUTOENCODER: "trained encoders alone: models/*.emgencoder",
    DETECTOR: "what adaptation keeps of a person: models/*.emgmemory, *.emgadapt",
    OTHER: "anything else",
}
"""Each with what it is, for a person."""

QUARANTINE = "quarantine"
"""Folder for what a repair took out of the way; no part of the session."""
MAX_NAME = 240
"""Longest name of a file within a session, in bytes: the room that archives and disks give."""

_FOLDERS = {
    "settings": SETTINGS,
    "movements": MOVEMENTS,
    "filter": FILTER,
    "features": FEATURES,
    "bags": DATA,
    "data": DATA,
    "results": RESULTS,
}
_MODELS = {".emgencoder": AUTOENCODER, ".emgmemory": DETECTOR, ".emgadapt": DETECTOR}
_TORN = re.compile(r"\.metadata\.yaml\.tmp|\.(?P<bag>.+)\.repair-[0-9a-f]{8}")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


def kind_of(name: str) -> str:
    """Kind of a file by its name relative to the session, with ``/``."""
    path = PurePosixPath(name)
    if path.parts[0] == "models":
        return _MODELS.get(path.suffix, DECODER)
    return _FOLDERS.get(path.parts[0], OTHER) if len(path.parts) > 1 else OTHER


def chosen(only: Iterable[str] = (), without: Iterable[str] = ()) -> frozenset[str]:
    """Kinds that are left of all of them, or of `only`.

    Raises
    ------
    UserError
        When one is unknown, or none is left.
    """
    only, without = list(only), set(without)
    for kind in [*only, *without]:
        if kind not in KINDS:
            raise UserError(f"kind {kind!r}: unknown, choose from: {', '.join(KINDS)}")
    kinds = frozenset(only or KINDS) - without
    if not kinds:
        raise UserError("no kind of thing is left to save or load")
    return kinds


def is_unfinished(name: str) -> bool:
    """Whether the name is one that only a crash leaves behind."""
    return any(
        part.startswith(TEMPORARY_PREFIX) or _TORN.fullmatch(part)
        for part in PurePosixPath(name).parts
    )


def repaired_bag(name: str) -> str | None:
    """Name of the bag whose repair left this folder behind."""
    found = _TORN.fullmatch(name)
    return found["bag"] if found else None


def check_names(names: Iterable[str]) -> None:
    """Refuse names of files that would leave the session, or that some disks cannot tell apart.

    Raises
    ------
    UserError
        Names the first one.
    """
    seen: set[str] = set()
    for name in names:
        parts = name.split("/")
        unsafe = (
            _UNSAFE.search(name)
            or len(name.encode("utf-8", "replace")) > MAX_NAME
            or any(p in ("", ".", "..") or p != p.strip() or p.endswith(".") for p in parts)
            or is_unfinished(name)
            or parts[0] == QUARANTINE
            or parts[0].startswith("manifest.json")
        )
        if unsafe:
            raise UserError(f"{name[:80]!r} is no name of a file in a session")
        if name.casefold() in seen:
            raise UserError(f"{name[:80]!r} is there twice, but for capitals")
        seen.add(name.casefold())
