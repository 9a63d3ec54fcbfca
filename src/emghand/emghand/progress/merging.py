"""What is to become of each session that two places know: here, and in a bucket.

Each row has a revision that grows with every change, and what was the same in both places when
they were last compared is kept (the base). A row that changed on one side only goes to the other;
one that changed on both is a conflict, and stays as it is on either side until somebody decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MINE, THEIRS = "mine", "theirs"
KEEP = ("", MINE, THEIRS)
"""How to decide conflicts; empty: not at all."""


@dataclass(frozen=True)
class Version:
    """A session as one place has it.

    Parameters
    ----------
    revision : int
    row_hash : str
        Empty when the session was deleted.
    """

    revision: int
    row_hash: str


@dataclass(frozen=True)
class Plan:
    """What is done with the sessions of a subject; each is in one of these at most.

    Parameters
    ----------
    push : mapping
        Id -> version that the bucket is to have; one with an empty hash says that it was deleted.
    pull : tuple of str
        To be taken from the bucket.
    remove : tuple of str
        To be deleted here, as they were there.
    same : mapping
        Id -> version in the bucket of what is the same in both places.
    conflicts : tuple of str
    """

    push: Mapping[str, Version] = field(default_factory=dict)
    pull: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    same: Mapping[str, Version] = field(default_factory=dict)
    conflicts: tuple[str, ...] = ()


def merge(
    mine: Mapping[str, Version],
    base: Mapping[str, Version],
    theirs: Mapping[str, Version],
    here: frozenset[str] = frozenset(),
    keep: str = "",
) -> Plan:
    """Compare the sessions of a subject.

    Parameters
    ----------
    mine, theirs : mapping
        Id -> version of those in the database and in the bucket. Here deleted ones are not listed.
    base : mapping
        Id -> version when both were last the same.
    here : frozenset of str
        Those that lie in the study: their rows would come back with the next update, so a deletion
        elsewhere is a conflict.
    keep : str
        One of `KEEP`.
    """
    push: dict[str, Version] = {}
    same: dict[str, Version] = {}
    pull: list[str] = []
    remove: list[str] = []
    conflicts: list[str] = []
    for session in sorted(mine.keys() | theirs.keys()):
        ours, other, was = mine.get(session), theirs.get(session), base.get(session)
        if other is None:
            # Not in the bucket, or lost there: nobody said that it was deleted.
            push[session] = mine[session]
            continue
        my_hash = ours.row_hash if ours else ""
        old_hash = was.row_hash if was else ""
        if my_hash == other.row_hash:
            same[session] = other
            continue
        mine_changed = my_hash != old_hash
        newer = other.revision > (was.revision if was else 0)
        theirs_changed = other.row_hash != old_hash
        deleted_in_use = not other.row_hash and session in here
        if mine_changed and not theirs_changed:
            choice = MINE
        elif not mine_changed and newer and not deleted_in_use:
            choice = THEIRS
        else:
            choice = keep
        if choice == MINE:
            least = ours.revision if ours else 0
            push[session] = Version(max(least, other.revision + 1), my_hash)
        elif choice == THEIRS:
            (pull if other.row_hash else remove).append(session)
        else:
            conflicts.append(session)
    return Plan(push, tuple(pull), tuple(remove), same, tuple(conflicts))
