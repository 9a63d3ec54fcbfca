"""The status of a generated study: is it right after every change, and how long does it take?

    python benchmark/progress.py
    python benchmark/progress.py --subjects 4 --sessions 12 --changes 10 --folder /mnt/stick

Generates a study and compares every date with the hand-written table of levels and with numbers
that are counted from the files in another way (src/emghand/test/progress/counted_by_hand.py). Then
sessions come late, go, move, change and are damaged, and after each change all is compared again:
exactly the dates from there on may be computed anew. PostgreSQL is tried along where it is
installed. Exit status 1 when anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

TESTS = Path(__file__).parents[1] / "src/emghand/test/progress"
sys.path[:0] = [str(TESTS), str(TESTS / "store")]

from counted_by_hand import count_session  # noqa: E402
from postgres_server import new_database, server, tool  # noqa: E402
from progress_acceptance import (  # noqa: E402
    LEVELS,
    Acceptance,
    agree_with_table,
    at_random,
    date_of,
    every_kind,
    forget_records,
    manifest,
)

from emghand.simulate.study import changes  # noqa: E402
from emghand.simulate.study.making import make_study  # noqa: E402
from emghand.simulate.study.people import people  # noqa: E402
from emghand.simulate.study.plan import plan  # noqa: E402
from emghand.simulate.study.sitting import (  # noqa: E402
    FILES,
    PROTOCOLS,
    StudySettings,
    make_sitting,
)
from emghand.storage.files import hasty, make_folder, write_file  # noqa: E402
from emghand.virtual.topics import Topics  # noqa: E402

SUBJECT, LATE, DOUBLE, FORCE = "p11", "s12", "s15", "s20"
"""Whose sessions have one change of each kind, and which of them; see `every_kind`."""
SUBJECTS, SESSIONS = 11, 21
"""So many are needed for that."""


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something took, in all processes."""
    begin, used = time.perf_counter(), cpu_s()
    yield
    show(what, time.perf_counter() - begin, cpu_s() - used)


def show(what: str, wall_s: float, used_s: float) -> None:
    print(f"{what:<56} {wall_s:>8.2f} {used_s:>8.2f}", flush=True)


def cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def twins(study: Path, subjects: int, sessions: int) -> dict[str, object]:
    """What is counted of sessions that lost their tables: they are made once more, with them."""
    counted = {}
    folder = study.with_name("twins")
    make_folder(folder / PROTOCOLS)
    for name, text in FILES.items():
        write_file(folder / PROTOCOLS / name, text.encode())
    topics = Topics()
    for person in people(subjects):
        for sitting in plan(replace(person, lost_tables=()), sessions):
            if sitting.number in person.lost_tables:
                with hasty():
                    path = make_sitting(sitting, folder, StudySettings(), topics)
                counted[manifest(path)["id"]] = count_session(path)
    return counted


def try_all(study: Path, url: str, subjects: int, sessions: int, times: int) -> None:
    """Generate, compare, change, compare."""
    print(f"{'':<56} {'wall [s]':>8} {'CPU [s]':>8}")
    with timed(f"generate {subjects} x {sessions} sessions on {os.cpu_count()} processors"):
        make_study(study, subjects, sessions)
    with timed("count every session in the other way"):
        for path in study.glob("*/*/manifest.json"):
            count_session(path.parent)
    a = Acceptance(study, url)
    with timed("first update: read every session"):
        a.update(a.stores[0])
    a.begin()
    agree_with_table(a, LEVELS)
    show("full recompute from the rows of the sessions", *a.recompute(a.stores[0]))
    last = a.sessions(people(subjects)[-1].name)[-1]
    since = date_of(last)
    waiting = changes.hold_back(last, study)
    a.step("last one deleted", last.parent.name, since)
    changes.hand_in(waiting, study)
    forget_records()
    a.step("one more session", last.parent.name, since)
    show("add one session to the study", a.steps[-1].wall_s, a.steps[-1].cpu_s)
    with timed("an update that has nothing to do"):
        a.update(a.stores[0])
    a.rebuild(twins(study, subjects, sessions))
    print("all dates have the status, and all criteria the values, that were written and counted")
    if subjects >= SUBJECTS and sessions >= SESSIONS:
        for name in (LATE, DOUBLE):
            since = date_of(study / SUBJECT / name)
            changes.hold_back(study / SUBJECT / name, study)
            a.step("deleted", SUBJECT, since)
        every_kind(a, SUBJECT, LATE, DOUBLE, FORCE)
    ordered = len(a.steps)
    at_random(a, a.stores[0].subjects(), times)
    print(f"\n{'change':<36} {'from':<10} {'dates anew':>10} {'wall [s]':>8} {'CPU [s]':>8}")
    for step in a.steps[:ordered]:
        print(
            f"{step.what:<36} {step.since:<10} {step.dates:>10} {step.wall_s:>8.2f} "
            f"{step.cpu_s:>8.2f}"
        )
    if chosen := a.steps[ordered:]:
        dates = sum(step.dates for step in chosen)
        wall, used = (
            statistics.median(v) for v in zip(*((s.wall_s, s.cpu_s) for s in chosen), strict=True)
        )
        what = f"{len(chosen)} at random, median time"
        print(f"{what:<36} {'':<10} {dates:>10} {wall:>8.2f} {used:>8.2f}")
    print("after each change only these dates were computed anew, and all were as counted")
    print("PostgreSQL had the same rows and files throughout" if url else "without PostgreSQL")


def main() -> int:
    """Try all and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--changes", type=int, default=60, help="at random, after those in order")
    parser.add_argument("--folder", default=None, help="on the disk to be tried")
    args = parser.parse_args()
    if args.folder is not None:
        Path(args.folder).mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=args.folder))
        url = ""
        if tool("initdb"):
            url = new_database(stack.enter_context(server()), "study")
        try:
            try_all(Path(folder) / "study", url, args.subjects, args.sessions, args.changes)
        except AssertionError as error:
            print(f"FAILED: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
