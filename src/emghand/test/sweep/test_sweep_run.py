"""Sweeps: the same result whatever runs them, nothing lost, errors of one task stay there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emghand.errors import UserError
from emghand.sweep.pools import LocalPool, open_pool
from emghand.sweep.run import outcomes, run_sweep
from emghand.sweep.store import Store
from emghand.sweep.task import Data, Task, code_digest, data_digest, run_task


class Threads:
    """Threads of this process, which end in no particular order."""

    def __init__(self, width):
        self.width = width
        self.ran = []
        self._executor = ThreadPoolExecutor(width)

    def submit(self, task):
        self.ran.append(task)
        return self._executor.submit(run_task, task)

    def outcome(self, future):
        return future.result()


def solves(n, **more):
    return tuple(("solve", {"seed": i} | more) for i in range(n))


def files(store):
    return {p.name: json.loads(p.read_text())["result"] for p in (store.path / "tasks").iterdir()}


def test_results_are_the_same_bytes_in_any_order_and_in_other_processes(small_sweep, tmp_path):
    sweep = small_sweep(solves(6), second=True)
    texts = []
    for name, pool in (("a", Threads(1)), ("b", Threads(4))):
        run_sweep(sweep, Store(tmp_path / name), pool)
        texts.append((tmp_path / name / "results.json").read_bytes())
    with open_pool(jobs=2) as pool:
        report = run_sweep(sweep, Store(tmp_path / "c"), pool)
    texts.append((tmp_path / "c" / "results.json").read_bytes())
    assert texts[0] == texts[1] == texts[2]
    assert len(report.table) == 7, "the second stage ran as well"
    assert (tmp_path / "c" / "results.csv").read_text().count("\n") == 8


def test_a_sweep_goes_on_where_it_was_and_does_not_trust_a_torn_file(small_sweep, tmp_path):
    store = Store(tmp_path)
    run_sweep(small_sweep(solves(4)), store, Threads(2))
    torn = sorted((tmp_path / "tasks").iterdir())[0]
    torn.write_text(torn.read_text()[:50])
    pool = Threads(2)
    report = run_sweep(small_sweep(solves(6)), store, pool)
    assert len(pool.ran) == 3, "two new ones and the torn one"
    assert report.stored == 3
    fresh = run_sweep(small_sweep(solves(6)), Store(tmp_path / "fresh"), Threads(2))
    assert fresh.results == report.results


def test_other_settings_data_or_code_are_other_tasks(tmp_path):
    task = Task("sweep_tasks:solve", {"seed": 1}, (Data("a", "1"),), "code")
    others = [
        Task("sweep_tasks:fail", {"seed": 1}, (Data("a", "1"),), "code"),
        Task("sweep_tasks:solve", {"seed": 2}, (Data("a", "1"),), "code"),
        Task("sweep_tasks:solve", {"seed": 1}, (Data("a", "2"),), "code"),
        Task("sweep_tasks:solve", {"seed": 1}, (Data("a", "1"),), "other"),
    ]
    assert len({task.key, *(t.key for t in others)}) == 5
    assert task.key == Task("sweep_tasks:solve", {"seed": 1}, (Data("b", "1"),), "code").key


def test_errors_are_in_the_table_and_are_tried_again(small_sweep, tmp_path):
    settings = (("fail", {"seed": 1}), ("solve", {"seed": 5}), ("fail", {"seed": 2}))
    store = Store(tmp_path)
    report = run_sweep(small_sweep(settings), store, Threads(2))
    assert [r.get("error") for r in report.table] == [
        "the recording is empty",
        None,
        "ZeroDivisionError: division by zero",
    ]
    assert len(files(store)) == 1
    pool = Threads(2)
    run_sweep(small_sweep(settings), store, pool)
    assert len(pool.ran) == 2


def test_a_worker_with_other_code_or_data_refuses(tmp_path):
    assert "other code" in run_task(Task("sweep_tasks:solve", {"seed": 1}, (), "x"))["error"]
    (tmp_path / "r.npz").write_bytes(b"1")
    data = Data(str(tmp_path / "r.npz"), "0" * 64)
    task = Task("sweep_tasks:solve", {"seed": 1}, (data,), code_digest())
    assert "is not what it was" in run_task(task)["error"]


def test_the_digest_of_a_directory_is_that_of_names_and_contents(tmp_path):
    found = set()
    for name, files_ in {"a": {"x": "1"}, "b": {"x": "2"}, "c": {"y": "1"}}.items():
        (tmp_path / name).mkdir()
        for file, text in files_.items():
            (tmp_path / name / file).write_text(text)
        found.add(data_digest(str(tmp_path / name)))
    assert len(found) == 3
    (tmp_path / "a" / "x").write_text("other")
    assert data_digest(str(tmp_path / "a")) not in found, "a worker outlives the content of a file"
    with pytest.raises(UserError, match="does not exist"):
        data_digest(str(tmp_path / "nothing"))


def test_tasks_of_a_worker_that_dies_run_again(small_sweep, tmp_path):
    (tmp_path / "marks").mkdir()
    died = ("die", {"seed": 0, "marks": str(tmp_path / "marks"), "times": 1})
    with open_pool(jobs=2) as pool:
        report = run_sweep(small_sweep((*solves(3, sleep=0.2), died)), Store(tmp_path / "s"), pool)
    assert not report.errors
    assert len(list((tmp_path / "marks").iterdir())) == 1
    undisturbed = run_sweep(small_sweep(solves(3, sleep=0.2)), Store(tmp_path / "u"), Threads(2))
    assert undisturbed.results.items() <= report.results.items()


def test_a_task_that_kills_every_worker_is_given_up_and_the_others_end(small_sweep, tmp_path):
    (tmp_path / "marks").mkdir()
    poison = ("die", {"seed": 0, "marks": str(tmp_path / "marks"), "times": 99})
    tasks = small_sweep((poison, *solves(4))).tasks({})
    with open_pool(jobs=2) as pool:
        found = {t.key: o for t, o in outcomes(tasks, pool)}
    assert "died 3 times" in found[tasks[0].key]["error"]
    assert all("result" in found[t.key] for t in tasks[1:])


def test_a_sweep_that_was_killed_resumes(small_sweep, tmp_path):
    """kill -9 of the whole program, then again: what had ended does not run a second time."""
    log = tmp_path / "log"
    log.touch()
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import SmallSweep
from emghand.sweep.pools import open_pool
from emghand.sweep.run import run_sweep
from emghand.sweep.store import Store
settings = tuple(("solve", dict(seed=i, sleep=0.15, log={str(log)!r})) for i in range(12))
if __name__ == "__main__":
    with open_pool(jobs=2) as pool:
        run_sweep(SmallSweep(settings), Store({str(tmp_path / "s")!r}), pool)
"""
    (tmp_path / "run.py").write_text(script)
    store = Store(tmp_path / "s")
    process = subprocess.Popen([sys.executable, tmp_path / "run.py"], start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "s" / "tasks").glob("*.json"))) < 4:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    before = files(store)
    assert 4 <= len(before) < 12
    done = len(log.read_text().splitlines())
    assert subprocess.run([sys.executable, tmp_path / "run.py"], timeout=60).returncode == 0
    again = len(log.read_text().splitlines()) - done
    assert again == 12 - len(before)
    assert before.items() <= files(store).items()


def test_jobs_must_make_sense():
    with pytest.raises(UserError, match="jobs"):
        LocalPool(-1)
