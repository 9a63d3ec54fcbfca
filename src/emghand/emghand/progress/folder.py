"""Where the results of a study lie, and which study a path belongs to."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = "progress"
"""Of a study: its database and tables."""
FILE = "study.sqlite"


def is_study(path: str | Path) -> bool:
    """Whether a folder is a study: it has a database or tables of progress."""
    folder = Path(path) / FOLDER
    # A folder above that may not be looked into is none, and no error.
    return os.path.exists(folder / FILE) or any(folder.glob("*.parquet"))


def find_study(path: str | Path) -> Path | None:
    """The study that a path lies in, or is; None: it lies in none."""
    path = Path(path).expanduser().absolute()
    return next((p for p in (path, *path.parents) if is_study(p)), None)
