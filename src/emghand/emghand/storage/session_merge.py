"""Several sessions in one: which file goes where, and the manifest of the whole.

Nothing is replaced and no file is changed. What is there already, by name and content, is not taken
twice, so that a merge that was cut short can simply be run again. Of two things with the same name
and other content the later one gets a number; the manifest knows what it was called, and
`Session.resolve` finds what a trial table means by ``bags/collect``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from emghand.errors import UserError
from emghand.storage import manifest as manifests
from emghand.storage.contents import origin_of
from emghand.storage.kinds import RESULTS, SETTINGS, check_names, kind_of
from emghand.storage.manifest import Manifest
from emghand.storage.session_sources import Item, Source

_SITTING = ("id", "subject", "created", "code_version", "settings")
_NUMBERED = re.compile(r"(?P<stem>.+)_(?P<number>\d+)")


@dataclass
class Merged:
    """What is to be written.

    Parameters
    ----------
    manifest : dict
        Of the session that results, with the entries of `items`.
    items : list of Item
        Under the names they get; those that are there already are left out.
    left_out : list of str
        Files that a manifest lists and that are lost.
    notes : list of str
        What a person should know, a sentence each.
    """

    manifest: Manifest
    items: list[Item] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Of all that is to be written [byte]."""
        return sum(item.size for item in self.items)


def merge(
    sources: Sequence[Source],
    kinds: Collection[str],
    *,
    target: Manifest | None = None,
    subject: str = "",
) -> Merged:
    """Plan a session that holds these kinds of things of all sources, in this order.

    Parameters
    ----------
    target : dict, optional
        Manifest of the session that they go into; by default a new one. One source alone stays the
        session it was.
    subject : str
        Pseudonym of the new session where the sources have several.

    Raises
    ------
    UserError
        When the subjects differ, or a source cannot be read.
    """
    manifest = _manifest(sources, kinds, target, subject)
    merged = Merged(manifest)
    files: dict[str, Any] = manifest["files"]
    for source in sources:
        for group in _groups(source.items(kinds)):
            placed = _place(group, manifest)
            for item in placed:
                if item.name not in files:
                    merged.items.append(item)
                    files[item.name] = _entry(item, manifest["id"])
        merged.left_out += [n for n in source.missing if kind_of(n) in kinds]
    check_names(files)
    if target is not None and SETTINGS in kinds:
        kept = target["settings"]
        if kept and any(s.manifest["settings"] not in ({}, kept) for s in sources):
            merged.notes.append(
                "it keeps its own settings; those that were loaded are in the sources of its "
                "manifest"
            )
    if merged.left_out:
        merged.notes.append(
            f"{len(merged.left_out)} files are listed but lost: {', '.join(merged.left_out[:5])}"
        )
    return merged


def _manifest(
    sources: Sequence[Source], kinds: Collection[str], target: Manifest | None, subject: str
) -> Manifest:
    first = sources[0].manifest
    subjects = sorted({str(s.manifest["subject"]) for s in sources})
    wanted = str(target["subject"]) if target is not None else subject
    if not wanted and len(subjects) > 1:
        raise UserError(
            f"the sessions are of several subjects ({', '.join(subjects)}); name the one of the "
            "whole with --subject"
        )
    if target is not None and subjects != [wanted] and subject != wanted:
        raise UserError(
            f"the session they go into belongs to subject {wanted}, not {', '.join(subjects)}; "
            f"if that is meant, add --subject {wanted}"
        )
    if target is None and len(sources) == 1 and subject in ("", first["subject"]):
        kept = {k: v for k, v in first.items() if k not in ("files", "left_out")}
        whole = {**kept, "version": manifests.VERSION, "files": {}}
    elif target is None:
        whole = manifests.new_manifest(wanted or subjects[0], first["settings"])
    else:
        whole = {**target, "files": dict(target["files"]), "sources": list(target["sources"])}
        if not whole["settings"] and SETTINGS in kinds:
            whole["settings"] = first["settings"]
    for source in sources:
        for sitting in (_sitting(source.manifest, source.path.stem), *source.manifest["sources"]):
            known = {whole["id"], *(s.get("id") for s in whole["sources"])}
            if sitting.get("id") not in known:
                whole["sources"] = [*whole["sources"], sitting]
    if SETTINGS not in kinds:
        whole["settings"] = target["settings"] if target is not None else {}
        own = {s.get("id") for s in (target or {}).get("sources", ())}
        whole["sources"] = [
            s if s.get("id") in own else {**s, "settings": {}} for s in whole["sources"]
        ]
    return whole


def _sitting(manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**{k: manifest.get(k) for k in _SITTING}, "name": name}


def _entry(item: Item, session: str) -> dict[str, Any]:
    """Entry for the manifest; the origin is left out where it says nothing new."""
    entry = dict(item.entry)
    if entry.get("origin") == {"session": session, "name": item.name}:
        del entry["origin"]
    return entry


def _groups(items: Sequence[Item]) -> list[list[Item]]:
    """Files that keep their names together: a bag, a model and its companions."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        groups.setdefault(_split(item.name)[:2], []).append(item)
    return list(groups.values())


def _split(name: str) -> tuple[str, str, str]:
    """Folder, what is numbered when it is taken, and the rest of a name."""
    parts = name.split("/")
    if parts[0] == "bags" and len(parts) > 2:
        return "bags/", parts[1], "/" + "/".join(parts[2:])
    path = PurePosixPath(name)
    stem = path.name.split(".")[0] or path.name
    folder = f"{path.parent}/" if len(parts) > 1 else ""
    return folder, stem, path.name[len(stem) :]


def _place(group: Sequence[Item], manifest: Manifest) -> list[Item]:
    files = manifest["files"]
    folder, stem, _ = _split(group[0].name)
    whole = folder == "bags/" and "/" in group[0].name.removeprefix("bags/")
    found = _NUMBERED.fullmatch(stem)
    base, number = (found["stem"], int(found["number"])) if found else (stem, 1)
    while True:
        name = stem if number == 1 or (found and number == int(found["number"])) else ""
        name = name or f"{base}_{number}"
        placed = [
            dataclasses.replace(item, name=f"{folder}{name}{_split(item.name)[2]}")
            for item in group
        ]
        if whole:
            there = {n: e["sha256"] for n, e in files.items() if n.startswith(f"bags/{name}/")}
            fits = not there or there == {i.name: i.sha256 for i in placed}
        else:
            fits = all(i.name not in files or _is_same(i, manifest) for i in placed)
        if fits:
            return placed
        number += 1


def _is_same(item: Item, manifest: Manifest) -> bool:
    """Whether the file that has the name of the item is the item."""
    entry = manifest["files"][item.name]
    if entry["sha256"] != item.sha256:
        return False
    # Results speak of bags by name: two equal ones of two sessions do not mean the same.
    session, _ = origin_of(manifest, item.name, entry)
    return item.kind != RESULTS or session == item.entry["origin"]["session"]
