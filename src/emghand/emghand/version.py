"""Which code is running, for models and sessions."""

from __future__ import annotations

import functools
import importlib.metadata
import subprocess
from pathlib import Path

UNKNOWN = "unknown"


@functools.cache
def code_version() -> str:
    """Version of the package and, in a checkout, its commit, for example ``0.1.0+g42bb2ea``."""
    try:
        version = importlib.metadata.version("emghand")
    except importlib.metadata.PackageNotFoundError:
        version = UNKNOWN
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=Path(__file__).resolve().parent,
            capture_output=True,
            text=True,
            timeout=5.0,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{version}+g{found.stdout.strip()}"
