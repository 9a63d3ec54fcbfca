"""Kills processes that update the tables of a study, and looks at what they leave.

    python progress_kill_loop.py FOLDER [--kills 100] [--seed 1] [--url postgresql://...]

Before each kill a session is added, late or last, changed, deleted or renamed. Afterwards database
and files must hold the tables from before or those from after, of a second database that nobody
disturbs, and the next update must end the work. Prints one line of JSON.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from study_maker import add_session, add_trials, methods, tables_bytes

from emghand.errors import UserError
from emghand.progress.database import Store
from emghand.progress.tables import read_tables
from emghand.progress.upkeep import update

SUBJECT = "p01"
DAYS = 30


def change(study, rng):
    """One thing happens to the sessions of the study."""
    there = sorted(p.parent for p in study.glob(f"{SUBJECT}/*/manifest.json"))
    what = rng.choice(["add", "add", "change", "delete", "rename"] if len(there) > 4 else ["add"])
    if what == "add":
        add_session(study, SUBJECT, rng.randrange(DAYS), n_trials=20, seed=rng.getrandbits(30))
    elif what == "change":
        add_trials(rng.choice(there), 20, rng.getrandbits(30))
    elif what == "delete":
        shutil.rmtree(rng.choice(there))
    else:
        rng.choice(there).rename(study / SUBJECT / f"s{rng.getrandbits(30)}")


def state(store):
    """All rows of the subject."""
    with store.reading() as rows:
        return rows.known(SUBJECT), rows.computed(SUBJECT), rows.dates(SUBJECT).to_json()


def killed(work, after):
    """Run `work` in a process of its own, and whether the kill after so long hit it."""
    process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 3)
    time.sleep(after)
    os.kill(process, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status != 0


def loop(folder, kills, seed, url=""):
    """Kill so often; what was found."""
    rng = random.Random(seed)
    study, undisturbed = folder / "study", folder / "undisturbed"
    study.mkdir(parents=True)
    undisturbed.mkdir()
    truth = Store.open(undisturbed)
    for _ in range(6):
        change(study, rng)

    def work():
        update(study, Store.open(study, url), methods=methods())

    work()
    update(study, truth, methods=methods())
    length = 0.0
    for _ in range(3):  # How long an update is here and now.
        change(study, rng)
        update(study, truth, methods=methods())
        began = time.monotonic()
        work()
        length = max(length, time.monotonic() - began)
    reached, hits = Counter(), 0
    while hits < kills:
        old, old_files = state(truth), tables_bytes(undisturbed)
        change(study, rng)
        update(study, truth, methods=methods())
        new, new_files = state(truth), tables_bytes(undisturbed)
        hits += killed(work, rng.uniform(0.0, length))
        found, files = state(Store.open(study, url)), tables_bytes(study)
        assert without_revisions(found) in map(without_revisions, (old, new)), "between"
        assert files.keys() == new_files.keys()
        for name, content in files.items():
            assert content in (old_files[name], new_files[name]), f"{name} is between"
        kind = "old" if found[1] == old[1] else "new"
        if found[1] == new[1] and files != new_files:
            kind = "new, files behind"
        if len({c == new_files[n] for n, c in files.items()}) == 2:
            kind = "new, some files behind"
            refused(study)
        reached[kind] += 1
        work()
        assert without_revisions(state(Store.open(study, url))) == without_revisions(new)
        assert tables_bytes(study) == new_files
        assert not list((study / "progress").glob(".unfinished-*"))
    return {"kills": hits, "update_s": round(length, 3), "reached": dict(reached)}


def without_revisions(found):
    """How often a row was written is no part of what it says."""
    known, *more = found
    return [(k.session_id, k.row_hash, k.path) for k in known], *more


def refused(study):
    """Whoever reads files that do not belong together is told."""
    try:
        read_tables(study / "progress", SUBJECT)
    except UserError as error:
        assert "cut short" in str(error)
    else:
        raise AssertionError("files of two updates were read together")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", default="")
    args = parser.parse_args()
    began = time.monotonic()
    result = loop(args.folder, args.kills, args.seed, args.url)
    print(json.dumps({**result, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
