"""What a launch file can refer to while it is evaluated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emghand.errors import UserError


class LaunchError(UserError):
    """A launch file cannot be run: names the file and what is wrong."""


@dataclass(frozen=True)
class Argument:
    """A declared argument; `default` is as written, None: required."""

    name: str
    default: str | None
    description: str = ""
    choices: tuple[str, ...] = ()


@dataclass
class Context:
    """Variables and environment at one point of a launch file.

    Parameters
    ----------
    file : Path
        The launch file, absolute.
    variables : dict of str to str
        Arguments and `let` variables.
    environment : dict of str to str
        Of the processes; `set_env` changes it.
    """

    file: Path
    variables: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def scoped(self) -> Context:
        """Copy whose changes stay inside, for a group."""
        return Context(self.file, dict(self.variables), dict(self.environment))


def find_prefix(package: str, environment: Mapping[str, str]) -> Path:
    """Folder that a package is installed in, from the ament index.

    Raises
    ------
    LaunchError
        When it is not installed.
    """
    for prefix in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        marker = Path(prefix) / "share/ament_index/resource_index/packages" / package
        if prefix and marker.exists():
            return Path(prefix)
    raise LaunchError(f"package {package} is not installed: build the workspace and source it")


def find_executable(package: str, name: str, environment: Mapping[str, str]) -> Path:
    """Executable of a package, as `ros2 run` finds it.

    Raises
    ------
    LaunchError
        When package or executable is missing.
    """
    folder = find_prefix(package, environment) / "lib" / package
    path = folder / name
    if path.is_file() and os.access(path, os.X_OK):
        return path
    known = sorted(p.name for p in folder.glob("*") if p.is_file() and os.access(p, os.X_OK))
    raise LaunchError(f"package {package} has no executable {name}, but: {', '.join(known)}")
