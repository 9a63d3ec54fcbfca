"""A sweep of small tasks that the workers can import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from emghand.sweep.task import Task, code_digest


@dataclass(frozen=True)
class SmallSweep:
    """Tasks by name, and a second stage that follows from the results of the first."""

    settings: tuple[tuple[str, dict], ...]
    second: bool = False
    kind = "small"

    def plain(self):
        return {"settings": [list(s) for s in self.settings]}

    def tasks(self, results):
        first = [Task(f"sweep_tasks:{f}", s, (), code_digest()) for f, s in self.settings]
        if not self.second or any(t.key not in results for t in first):
            return first
        total = sum(results[t.key]["x"][0] for t in first)
        return [*first, Task("sweep_tasks:solve", {"seed": 99, "sum": total}, (), code_digest())]

    def table(self, results, errors):
        return [
            {"seed": t.settings["seed"], "x": results.get(t.key, {}).get("x", [None])[0]}
            | ({"error": errors[t.key]} if t.key in errors else {})
            for t in self.tasks(results)
        ]


@pytest.fixture(autouse=True)
def tasks_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def small_sweep():
    return SmallSweep
