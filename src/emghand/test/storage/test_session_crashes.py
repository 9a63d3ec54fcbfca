"""A session outlives the death of whoever writes it, and a full disk, at any moment."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

LOOP = Path(__file__).with_name("crash_loop.py")
SMALL = 'mount -t tmpfs -o size=300k none "$1" && exec "$2" -c "$3" "$1"'
FILL = """
import json, os, sys
sys.path.insert(0, {folder!r})
from pathlib import Path
from session_maker import add_run
from emghand.errors import UserError
from emghand.storage.files import write_file
from emghand.storage.resume import runs_of
from emghand.storage.session_repair import repair_session
from emghand.storage.session_save import save_sessions
from emghand.storage.sessions import Session

folder = Path(sys.argv[1])
session = Session.create(folder / "s01", "p07")
add_run(session, 3, 3)
files = dict(session.manifest["files"])
said = []
for act in (
    lambda: add_run(session, 2000, 2000, label="long", flush_s=0.001),
    lambda: write_file(session.path / "results/big.json", bytes(400_000)),
    lambda: save_sessions([session.path], folder / "a.emgsession", ("data", "results")),
):
    try:
        act()
    except UserError as error:
        said.append(str(error))
assert Session.open(session.path).manifest["files"].items() >= files.items()
assert {{p.what for p in session.check()}} <= {{"not listed"}}, session.check()
try:
    with open(folder / "filler", "wb", buffering=0) as filler:  # What a torn flush gave back.
        while filler.write(bytes(4096)):
            pass
except OSError:
    pass
run = runs_of(session.path, "long")[0]  # Its plan is there, or what the bag says of it.
try:
    repair_session(session.path)
    hindered = ""
except UserError as error:
    hindered = str(error)
# Somebody frees some space: the rest of the session was never touched.
os.system("mount -o remount,size=10m " + str(folder))
repaired, findings = repair_session(session.path)
assert repaired.check() == []
assert runs_of(session.path, "long")[0].done == run.done
print(json.dumps({{"said": said, "hindered": hindered, "first": run.first}}))
"""


def loops(*runs):
    """Run some loops at the same time; what each has found."""
    with contextlib.ExitStack() as running:
        started = []
        for arguments in runs:
            process = subprocess.Popen(
                [sys.executable, str(LOOP), *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            running.callback(process.wait)
            running.callback(process.kill)
            started.append(process)
        ended = [(process.communicate(), process.returncode) for process in started]
    for (_, errors), status in ended:
        assert status == 0, errors
    return [json.loads(output) for (output, _), _ in ended]


def test_a_hundred_kills_at_random_moments_lose_nothing(tmp_path):
    found = loops(
        *(("random", tmp_path / str(seed), "--kills", 25, "--seed", seed) for seed in range(4))
    )
    assert [f["kills"] for f in found] == 4 * [25]
    # The kills fell everywhere in the life of a session, not only at its begin.
    reached = set().union(*(f["reached"] for f in found))
    assert {"session", "bag", "model", "archive", "copy", "all"} <= reached


@pytest.mark.parametrize("mode", ["every", "full"])
def test_death_or_a_full_disk_in_the_middle_of_a_call_that_writes_loses_nothing(tmp_path, mode):
    """Each 20th call; all of them in benchmark/session_kills.py."""
    (found,) = loops((mode, tmp_path, "--step", 20))
    assert found["calls"] >= 100  # pathlib of Python 3.10 hides some of them
    assert found["reached"]["all"] >= 1


def can_mount(folder):
    try:
        command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(folder)]
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def test_on_a_small_file_system_that_fills_up(tmp_path):
    if not can_mount(tmp_path):
        pytest.skip("this user may not mount a file system")
    code = FILL.format(folder=str(LOOP.parent))
    command = ["unshare", "-rm", "sh", "-c", SMALL, "sh", str(tmp_path), sys.executable, code]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert len(found["said"]) == 3
    assert "writing stopped" in found["said"][0] and "session repair" in found["said"][0]
    assert "No space left" in found["said"][1]
    # What is left on the disk may just do for the repair.
    assert not found["hindered"] or "free" in found["hindered"]
    assert 0 < found["first"] < 2000
