"""One process of a launch: what is run, as `launch_ros` would run it."""

from __future__ import annotations

import os
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class NodeProcess:
    """A node with everything settled.

    Parameters
    ----------
    label : str
        Prefix of its output.
    executable : Path
    arguments, ros_arguments : tuple of str
    name : str
        Empty: as the executable chooses.
    namespace : str
        Absolute; empty: not given.
    parameters : tuple
        In order: a path of a parameter file, or a mapping of names to values.
    remaps : tuple of (str, str)
    environment : dict
        Whole environment of the process.
    respawn : bool
        Start it again whenever it ends.
    respawn_delay : float
        Wait before that [s].
    respawn_max_retries : int
        Negative: no limit.
    required : bool
        The launch ends when it ends.
    """

    label: str
    executable: Path
    arguments: tuple[str, ...]
    ros_arguments: tuple[str, ...]
    name: str
    namespace: str
    parameters: tuple[Path | dict[str, Any], ...]
    remaps: tuple[tuple[str, str], ...]
    environment: dict[str, str]
    respawn: bool
    respawn_delay: float
    respawn_max_retries: int
    required: bool

    @property
    def full_name(self) -> str:
        """Fully qualified name of the node; empty when it has no name of its own."""
        return f"{self.namespace.rstrip('/')}/{self.name}" if self.name else ""

    def command(self, folder: Path) -> list[str]:
        """Command line; parameters given as values are written to files in `folder`."""
        command = [str(self.executable), *self.arguments, "--ros-args", *self.ros_arguments]
        if self.name:
            command += ["-r", f"__node:={self.name}"]
        if self.namespace:
            command += ["-r", f"__ns:={self.namespace}"]
        for item in self.parameters:
            path = item if isinstance(item, Path) else self._write(item, folder)
            command += ["--params-file", str(path)]
        for source, target in self.remaps:
            command += ["-r", f"{source}:={target}"]
        return command

    def _write(self, values: dict[str, Any], folder: Path) -> Path:
        document = {self.full_name or "/**": {"ros__parameters": values}}
        handle, path = tempfile.mkstemp(prefix="launch_params_", suffix=".yaml", dir=folder)
        with os.fdopen(handle, "w") as file:
            yaml.safe_dump(document, file, default_flow_style=False)
        return Path(path)

    def describe(self) -> str:
        """Command line for a person, parameters in full."""
        words = [str(self.executable), *self.arguments, *self.ros_arguments]
        if self.full_name:
            words.append(f"__node:={self.full_name}")
        for item in self.parameters:
            if isinstance(item, Path):
                words.append(f"--params-file {item}")
            else:
                words += [f"-p {name}:={yaml_word(value)}" for name, value in item.items()]
        words += [f"{source}:={target}" for source, target in self.remaps]
        flags = [
            *(["respawn"] if self.respawn else []),
            *(["required"] if self.required else []),
        ]
        note = f"  # {', '.join(flags)}" if flags else ""
        return f"{self.label}: {' '.join(words)}{note}"


def yaml_word(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
    return shlex.quote(text.removesuffix("...").strip())
