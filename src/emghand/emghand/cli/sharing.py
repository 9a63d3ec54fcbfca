"""What `emghand study share` does and prints."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from emghand.cli.progress import working
from emghand.cli.scoring import print_json
from emghand.cli.studies import opened, warn
from emghand.errors import one_line

if TYPE_CHECKING:
    from emghand.progress.share import Conflict, Shared


def share(args: argparse.Namespace) -> int:
    """Make the rows of a study and of a bucket the same; exit status 1: there are conflicts."""
    from emghand.progress.share import Bucket, synchronise

    # Without credentials nothing is done at all.
    bucket = Bucket(args.bucket, args.endpoint)
    study = opened(args, empty=True)
    if not args.subject or args.subject in _found_here(study):
        with working(args.json):
            updates = study.update(args.subject, unreadable="warn")
        warn(updates)
    done = synchronise(
        study.store,
        bucket,
        args.subject,
        methods=study.methods,
        keep=args.keep,
        direction=args.direction,
    )
    conflicts = [c for shared in done for c in shared.conflicts]
    if args.json:
        subjects = {shared.subject: _document(shared) for shared in done}
        print_json({"study": str(study.path), "bucket": bucket.name, "subjects": subjects})
    else:
        for shared in done:
            print(f"{shared.subject}: {_counts(shared)}")
        for conflict in conflicts:
            print(f"conflict: {one_line(conflict)}", file=sys.stderr)
        if conflicts:
            print("decide with --keep mine or --keep theirs", file=sys.stderr)
    return 1 if conflicts else 0


def _found_here(study: Any) -> list[str]:
    from emghand.progress.scan import find_changes

    return find_changes(study.path, study.store, study.methods.content_hash).subjects


def _counts(shared: Shared) -> str:
    counts = {
        "sent": shared.pushed,
        "fetched": shared.pulled,
        "deleted here": shared.removed,
        "in conflict": shared.conflicts,
    }
    said = [f"{len(found)} {what}" for what, found in counts.items() if found]
    return ", ".join(said) or "the same in both places"


def _document(shared: Shared) -> dict[str, Any]:
    return {
        "sent": list(shared.pushed),
        "fetched": list(shared.pulled),
        "deleted_here": list(shared.removed),
        "conflicts": [_conflict(c) for c in shared.conflicts],
    }


def _conflict(conflict: Conflict) -> dict[str, Any]:
    row = (conflict.mine or conflict.theirs).row  # type: ignore[union-attr]
    return {
        "session": conflict.session_id,
        "date": row.date.isoformat(),
        "differences": {
            name: [_plain(mine), _plain(theirs)]
            for name, (mine, theirs) in conflict.differences.items()
        },
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
