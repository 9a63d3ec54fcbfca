"""Results of a sweep on disk: one small file per task, written as soon as it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emghand.storage.files import make_folder, write_file
from emghand.sweep.task import Task


class Store:
    """Directory of a sweep.

    Parameters
    ----------
    path : path
        Made when it does not exist.

    Raises
    ------
    UserError
        When it cannot be made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._tasks = self.path / "tasks"
        make_folder(self._tasks)

    def read(self, task: Task) -> dict[str, Any] | None:
        """Result of a task that was finished before; None when it has to run (again)."""
        try:
            found = json.loads((self._tasks / f"{task.key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = isinstance(found, dict) and found.get("key") == task.key
        return found["result"] if whole and isinstance(found.get("result"), dict) else None

    def write(self, task: Task, result: dict[str, Any], seconds: float) -> None:
        """Keep a result."""
        document = {
            "key": task.key,
            "function": task.function,
            "settings": task.settings,
            "data": [{"path": d.path, "sha256": d.digest} for d in task.data],
            "code": task.code,
            "result": result,
            "seconds": round(seconds, 3),
        }
        text = json.dumps(document, indent=1, allow_nan=False)
        write_file(self._tasks / f"{task.key}.json", text.encode(), replace=True)

    def write_report(self, name: str, text: str) -> Path:
        """Write the report of the last run, in place of that of an earlier one."""
        write_file(self.path / name, text.encode(), replace=True)
        return self.path / name
