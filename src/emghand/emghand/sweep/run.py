"""Run what is missing of a sweep, and put its results together."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from emghand.settings import digest
from emghand.sweep.pools import Pool, WorkerDied
from emghand.sweep.store import Store
from emghand.sweep.sweep import Row, Sweep
from emghand.sweep.task import Task, code_digest

FORMAT = "emghand sweep"
VERSION = 1
DEATHS = 3
"""A task whose worker died so many times is given up."""


@dataclass(frozen=True)
class Report:
    """What came of a sweep; the same whatever ran it, in whatever order.

    Parameters
    ----------
    tasks : list of Task
    results : dict
        By key of the task.
    errors : dict of str
        One sentence, by key of the task.
    table : list of dict
        Rows of plain values.
    stored : int
        Results that were there from an earlier run.
    """

    tasks: list[Task]
    results: dict[str, dict[str, Any]]
    errors: dict[str, str]
    table: list[Row]
    stored: int

    def as_dict(self, sweep: Sweep) -> dict[str, Any]:
        """Plain values, with a hash of all of them; no times."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "kind": sweep.kind,
            "settings": sweep.plain(),
            "code": code_digest(),
            "tasks": [
                {
                    "key": t.key,
                    "settings": t.settings,
                    "data": [d.digest for d in t.data],
                    **(
                        {"result": self.results[t.key]}
                        if t.key in self.results
                        else {"error": self.errors.get(t.key, "did not run")}
                    ),
                }
                for t in self.tasks
            ],
            "table": self.table,
        }
        return document | {"sha256": digest(document)}


def run_sweep(
    sweep: Sweep,
    store: Store,
    pool: Pool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Run the tasks of a sweep that have no result yet; write ``results.json`` and ``.csv``.

    Each result is stored as soon as it arrives: a sweep that was stopped in any way goes on where
    it was.

    Parameters
    ----------
    sweep : Sweep
        Asked for its tasks again whenever all are done: later ones may depend on results.
    store : Store
    pool : Pool
    progress : callable
        Called with the number of tasks that are done and of those that are known.

    Raises
    ------
    UserError
        When the pool can run nothing any more, or results cannot be written.
    """
    results: dict[str, dict[str, Any]] = {}
    errors: dict[str, str] = {}
    stored = 0
    while True:
        tasks = list({t.key: t for t in sweep.tasks(results)}.values())
        fresh = [t for t in tasks if t.key not in results and t.key not in errors]
        if not fresh:
            break
        missing = []
        for task in fresh:
            before = store.read(task)
            if before is None:
                missing.append(task)
            else:
                results[task.key] = before
                stored += 1
        progress(len(tasks) - len(missing), len(tasks))
        for task, outcome in outcomes(missing, pool):
            if "result" in outcome:
                results[task.key] = outcome["result"]
                store.write(task, outcome["result"], outcome["seconds"])
            else:
                errors[task.key] = outcome["error"]
            progress(len(results) + len(errors), len(tasks))
    report = Report(tasks, results, errors, sweep.table(results, errors), stored)
    store.write_report("results.json", json.dumps(report.as_dict(sweep), indent=1) + "\n")
    store.write_report("results.csv", _csv(report.table))
    return report


def outcomes(tasks: Sequence[Task], pool: Pool) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Run tasks; yield each with what `run_task` returned of it, in the order they end.

    Tasks that were under way when a worker died run again. As it is not known which of them it
    died of, they do so last and one at a time; after three deaths a task is given up as an error.
    """
    waiting = deque(tasks)
    deaths: Counter[str] = Counter()
    running: dict[Future[dict[str, Any]], Task] = {}
    ended: SimpleQueue[Future[dict[str, Any]]] = SimpleQueue()
    try:
        while waiting or running:
            while waiting and len(running) < (1 if deaths[waiting[0].key] else pool.width):
                task = waiting.popleft()
                future = pool.submit(task)
                running[future] = task
                future.add_done_callback(ended.put)
            future = ended.get()
            task = running.pop(future)
            try:
                outcome = pool.outcome(future)
            except WorkerDied:
                deaths[task.key] += 1
                if deaths[task.key] < DEATHS:
                    waiting.append(task)
                    continue
                outcome = {"error": f"its worker died {DEATHS} times; out of memory?"}
            yield task, outcome
    finally:
        for future in running:
            future.cancel()


def _csv(table: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(name for row in table for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()
