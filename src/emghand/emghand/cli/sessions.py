"""What `emghand session` prints and does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError

if TYPE_CHECKING:
    from emghand.storage.resume import Run
    from emghand.storage.session_merge import Merged


def print_contents(found: Mapping[str, Any]) -> None:
    """Print what `inspect_session` found as tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    kind = "archive" if found["archive"] else "session"
    packed = f", {size(found['packed_bytes'])} packed" if found["archive"] else ""
    console.print(
        f"{kind} {found['path']}: subject {found['subject']}, {found['created']}, "
        f"{size(found['bytes'])}{packed}, format {found['version']}",
        highlight=False,
    )
    for source in found["sources"]:
        console.print(
            f"  from {source.get('name')}: subject {source.get('subject')}, "
            f"{source.get('created')}",
            highlight=False,
        )
    table = Table("kind", "name", "size", "what", box=None)
    for thing in found["things"]:
        table.add_row(thing["kind"], thing["name"], size(thing["bytes"]), _what(thing["details"]))
    console.print(table)
    for problem in found["problems"]:
        console.print(f"{problem['path']}: {problem['what']}", highlight=False)
    if found["problems"] and not found["archive"]:
        console.print(f"run: emghand session repair {found['path']}", highlight=False)


def _what(details: Mapping[str, Any]) -> str:
    if "duration_s" in details:
        return f"{details['duration_s']:.1f} s, {details['messages']} messages"
    if "trials" in details:
        done = f"{details['trials']} of {details.get('n_trials', '?')} trials"
        return ", ".join(filter(None, (details.get("status"), done)))
    parts = [str(details[k]) for k in ("activity", "kind", "encoder") if details.get(k)]
    return ", ".join(parts + details.get("dofs", []))


def size(count: int) -> str:
    """Number of bytes for a person."""
    value, unit = float(count), 0
    while value >= 1000 and unit < 4:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {'kMGT'[unit - 1]}B" if unit else f"{count} B"


def report_written(merged: Merged, output: str, as_json: bool) -> int:
    """Say what was saved or loaded."""
    kinds: dict[str, int] = {}
    for item in merged.items:
        kinds[item.kind] = kinds.get(item.kind, 0) + 1
    if as_json:
        result = {
            "output": output,
            "subject": merged.manifest["subject"],
            "files": [i.name for i in merged.items],
            "bytes": merged.size,
            "left_out": merged.left_out,
            "notes": merged.notes,
        }
        print(json.dumps(result, indent=1))
        return 0
    text = ", ".join(f"{n} {k}" for k, n in kinds.items()) or "nothing that was not there"
    print(f"{output}: {text} ({size(merged.size)})")
    for note in merged.notes:
        print(f"note: {note}", file=sys.stderr)
    return 0


def repair(path: str, as_json: bool) -> int:
    """Repair a session, or one bag; exit status 1 when something is still not in order."""
    from emghand.storage.manifest import MANIFEST
    from emghand.storage.session_repair import repair_session

    target = Path(path).expanduser()
    if not target.exists():
        raise UserError(f"{path}: does not exist; give a session, a bag or an .mcap file")
    if target.is_dir() and not any(target.iterdir()):
        raise UserError(f"{path}: is empty; give a session, a bag or an .mcap file")
    if target.suffix == ".mcap" or not any((target / n).exists() for n in (MANIFEST, "bags")):
        return _repair_bag(target, as_json)
    _, findings = repair_session(target)
    open_ones = [f for f in findings if not f.solved]
    if as_json:
        result = {"path": path, "findings": [f.as_dict() for f in findings]}
        print(json.dumps(result, indent=1))
    else:
        for finding in findings:
            print(finding)
        if not findings:
            print(f"{path}: is in order")
    return 1 if open_ones else 0


def _repair_bag(path: Path, as_json: bool) -> int:
    from emghand.storage.bags import repair_bag

    done = repair_bag(path)
    if as_json:
        result = {
            "path": str(done.bag),
            "original": str(done.original) if done.original else None,
            "messages": done.messages,
            "duration_s": done.duration_s,
            "lost_bytes": done.lost_bytes,
            "metadata_only": done.metadata_only,
        }
        print(json.dumps(result, indent=1))
        return 0
    found = f"{done.messages} messages, {done.duration_s:.2f} s"
    if done.metadata_only:
        print(f"{done.bag}: its metadata were written anew ({found})")
    elif done.original is None:
        print(f"{done.bag}: is whole ({found})")
    else:
        print(
            f"{done.bag}: repaired ({found}; {done.lost_bytes} bytes were not readable), "
            f"original kept as {done.original}"
        )
    return 0


def resume(path: str, label: str, start: bool, as_json: bool) -> int:
    """Say where the last unfinished run goes on; start it when asked to.

    Exit status 0: there is one (and it was finished, if started); 1: there is none, or it failed.
    """
    from emghand.storage.resume import last_unfinished, runs_of

    runs = runs_of(path, label)
    run = last_unfinished(runs)
    if start:
        if run is None:
            raise UserError(f"session {path}: {_nothing_to_resume(len(runs))}")
        return _go_on(Path(path), run, as_json)
    if as_json:
        result = {
            "session": path,
            "next": run.as_dict() if run else None,
            "runs": [r.as_dict() for r in runs],
        }
        print(json.dumps(result, indent=1))
    elif run is None:
        print(f"{path}: {_nothing_to_resume(len(runs))}")
    else:
        total = f" of {run.n_trials}" if run.n_trials else ""
        print(
            f"{run.activity} ({', '.join(run.bags) or 'no bag'}): {len(run.done)}{total} trials "
            f"are done; the next one is --first {run.first}"
        )
    return 0 if run else 1


def _nothing_to_resume(runs: int) -> str:
    if not runs:
        return "nothing to resume, it holds no collection, test or task"
    return f"nothing to resume, {runs} {'run is' if runs == 1 else 'runs are'} complete"


def _go_on(path: Path, run: Run, as_json: bool) -> int:
    from emghand.cli import activity
    from emghand.cli.commands import task
    from emghand.storage.resume import goal_of

    goal = goal_of(path, run)
    args = argparse.Namespace(**goal, subject="", no_record=False, json=as_json)
    if run.activity == "task":
        args.file, args.perturb = goal["task"], goal["perturbations"]
        return task.run(args)
    args.movements = goal["movement_set"]
    return activity.run_activity(args, run.activity)
