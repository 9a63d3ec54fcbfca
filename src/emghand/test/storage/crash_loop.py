"""Kills processes that write a session, fills their disk, and looks at what they leave.

    python crash_loop.py random FOLDER [--kills 100] [--seed 1]   SIGKILL at random moments
    python crash_loop.py every FOLDER    dies in the middle of the 1st, 2nd, ... call that writes
    python crash_loop.py full FOLDER     the disk is full from the 1st, 2nd, ... such call on

Each child goes through the life of a session and says what it was told is done. Then nothing that
was done may be lost, every recording must read as far as it was written, and a repair must bring
the session back in order without deleting a byte. Prints one line of JSON.
"""

import argparse
import errno
import io
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from session_maker import TOPICS, TYPES, RunMaker, add_run, make_model

from emghand.errors import UserError
from emghand.storage.bags import BagReader, BagWriter
from emghand.storage.files import sha256
from emghand.storage.kinds import chosen
from emghand.storage.models import load_model, save_model
from emghand.storage.resume import runs_of, write_plan
from emghand.storage.session_inspect import inspect_session
from emghand.storage.session_repair import repair_session
from emghand.storage.session_save import load_sessions, save_sessions
from emghand.storage.sessions import Session

MODEL = make_model(3)
TRIALS = 3
PAUSE_S = 0.002
RESTART = 10
"""So many kills hit the same session."""
LOOK = 10
"""After so many of them what is left is looked at; each life begins with a repair, too."""


def life(folder, say, pause=0.0):
    """What happens to a session, again and again; `say` is told what is done."""
    path = folder / "s01"
    for broken in (path, folder / "all"):
        if broken.exists():
            repair_session(broken)  # May be killed as well.
    session = Session.open(path) if path.exists() else Session.create(path, "p07")
    say("session", "s01")
    number = len(session.bags())
    bag = add_run(session, TRIALS, TRIALS, seed=number, flush_s=0.001)
    say("bag", bag.name)
    model = session.new_file_path("models", "ridge", ".emgmodel")
    save_model(MODEL, model)
    session.add_file(model.absolute())
    say("model", model.name)
    archive = folder / f"{bag.name}.emgsession"
    save_sessions([path], archive, compress=bool(number % 2))
    say("archive", archive.name)
    load_sessions([archive], folder / f"copy_{bag.name}", chosen(["data", "results"]))
    say("copy", f"copy_{bag.name}")
    load_sessions([archive], folder / "all")
    say("all", bag.name)
    # At last a long recording, to be killed in.
    bag = session.new_bag_path("collect")
    goal = {"movement_set": "movements/short.yaml", "seed": -1}
    with BagWriter(bag, flush_s=0.001) as writer:
        write_plan(session, "collect", f"bags/{bag.name}", 10, goal)
        maker = RunMaker(writer)
        for trial in range(10):
            maker.trial(trial)
            time.sleep(pause)
    session.add_file(bag.absolute())
    say("bag", bag.name)


def live_on(folder, say):
    """Life after life, until somebody kills."""
    while True:
        life(folder, say, PAUSE_S)


def trial_of(message):
    """Number of a trial; a bag may have none, then there is no such topic."""
    return TYPES.decode(TOPICS["/session/trial"], message.data).trial


def check(folder, said):
    """Nothing that was said to be done is lost, and a repair brings the rest in order."""
    done = {kind: {name for k, name in said if k == kind} for kind, _ in said}
    contents = {sha256(p) for p in folder.rglob("*.mcap")}
    for path in (folder / "s01", folder / "all"):
        if not path.exists():
            assert path.name not in done.get("session", ()), "a session is lost"
            continue
        before = Session.open(path).manifest["files"]  # Whole, without any repair.
        for name in done.get("bag" if path.name == "s01" else "", ()):
            assert f"bags/{name}/metadata.yaml" in before, f"{name} is not listed"
        session, findings = repair_session(path)
        assert all(f.solved for f in findings), findings
        assert session.check() == [], session.check()
        assert before.keys() <= session.manifest["files"].keys()
        assert repair_session(path)[1] == []
        trials = {}
        for bag in session.bags():
            with BagReader(bag) as reader:
                found = [trial_of(m) for m in reader.messages(["/session/trial"])]
            assert found == list(range(len(found))), (bag, found)
            trials[f"bags/{bag.name}"] = len(found)
        for run in runs_of(path) if path.name == "s01" else ():
            assert run.first == max((trials.get(b, 0) for b in run.bags), default=0), run
    session = folder / "s01"
    for name in done.get("bag", ()):
        with BagReader(session / "bags" / name) as reader:
            assert reader.counts["/session/trial"] in (TRIALS, 10)
    for name in done.get("model", ()):
        assert load_model(session / "models" / name).model_id == MODEL.model_id
    for path in folder.glob("*.emgsession"):
        assert inspect_session(path, verify=True)["problems"] == []
    for path in folder.glob("copy_*"):
        assert Session.open(path).check() == []
    for kind in ("archive", "copy"):
        assert all((folder / name).exists() for name in done.get(kind, ()))
    assert contents <= {sha256(p) for p in folder.rglob("*.mcap")}, "a recording was deleted"


class Faults:
    """Counts calls that write; from the given one on they go wrong.

    A write that goes wrong has written half of its bytes.
    """

    def __init__(self, at, act):
        self.left, self.act, self.lock = at, act, threading.Lock()

    def hit(self):
        with self.lock:
            self.left -= 1
            return self.left < 0

    def install(self):
        for name in ("fsync", "link", "rename", "replace", "mkdir"):
            setattr(os, name, self._around(getattr(os, name)))
        plain = io.open

        def opened(file, mode="r", *args, **kwargs):
            found = plain(file, mode, *args, **kwargs)
            return found if set(mode) <= set("rbt") else _Faulty(found, self)

        io.open = opened

    def _around(self, call):
        def wrapped(*args, **kwargs):
            if self.hit():
                self.act()
            return call(*args, **kwargs)

        return wrapped


class _Faulty:
    def __init__(self, file, faults):
        self._file, self._faults = file, faults

    def write(self, data):
        if self._faults.hit():
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            self._faults.act()
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


def die():
    os._exit(9)


def no_space():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def child(folder, work, killed_after=None, pause=0.0):
    """Run `work` in a process of its own; what it said was done, and its exit status."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        status = 0
        try:
            work(lambda *what: os.write(write, (" ".join(what) + "\n").encode()))
        except UserError as error:
            os.write(write, f"error {error}\n".encode())
            status = 1
        finally:
            os._exit(status if sys.exc_info()[0] in (None, UserError) else 3)
    os.close(write)
    if killed_after is not None:
        time.sleep(killed_after)
        os.kill(process, signal.SIGKILL)
    with os.fdopen(read) as pipe:
        lines = [line.rstrip("\n") for line in pipe if line.endswith("\n")]
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, 1, 9, -9), (status, lines)
    return [tuple(line.split(" ", 1)) for line in lines], status


def random_kills(folder, kills, seed):
    rng = random.Random(seed)
    # How long a life is here and now: the moments shall fall everywhere in it.
    began = time.monotonic()
    child(folder, lambda say: life(folder / "trial", say, PAUSE_S))
    length = time.monotonic() - began
    shutil.rmtree(folder / "trial")
    said, found, reached = [], 0, Counter()
    for kill in range(kills):
        if kill % RESTART == 0:
            shutil.rmtree(folder / "run", ignore_errors=True)
            said = []
        more, status = child(
            folder,
            lambda say: live_on(folder / "run", say),
            killed_after=rng.uniform(0.0, length),
        )
        found += status == -signal.SIGKILL
        said += more
        reached.update(kind for kind, _ in more)
        if kill % LOOK == LOOK - 1:
            check(folder / "run", said)
    return {"kills": found, "life_s": round(length, 3), "reached": reached}


def every(folder, act, step):
    at, reached = 0, Counter()
    while True:
        shutil.rmtree(folder / "run", ignore_errors=True)
        run = folder / "run"

        def work(say, run=run, at=at):
            Faults(at, act).install()
            life(run, say)

        said, status = child(folder, work)
        reached.update(kind for kind, _ in said)
        check(run, [s for s in said if s[0] != "error"])
        if act is no_space:
            assert status == (1 if any(s[0] == "error" for s in said) else 0), said
        if status == 0:
            return {"calls": at, "reached": reached}
        at += step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("random", "every", "full"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step", type=int, default=1, help="only every so many calls")
    args = parser.parse_args()
    add_run(Session.create(args.folder / "warm", "p07"))  # Children inherit what is compiled.
    began = time.monotonic()
    if args.mode == "random":
        result = random_kills(args.folder, args.kills, args.seed)
    else:
        result = every(args.folder, die if args.mode == "every" else no_space, args.step)
    print(json.dumps({**result, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
