"""Task files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.settings import from_mapping
from emghand.tasks.base import Task
from emghand.tasks.delayed import DelayedReach
from emghand.tasks.hold import Hold
from emghand.tasks.losses import LossWeights
from emghand.tasks.perturbation import PerturbationSchedule, parse_perturbations
from emghand.tasks.reach import SimpleReach
from emghand.tasks.targets import Fitts, Motion, Tac
from emghand.yaml_files import read_yaml

TASKS: dict[str, type[Task]] = {
    cls.kind: cls for cls in (SimpleReach, DelayedReach, Hold, Fitts, Tac, Motion)
}


def load_task(path: str | Path) -> Task:
    """Read a task from YAML (`docs/tasks.md` describes the file).

    Raises
    ------
    UserError
        When the file cannot be read or holds something unknown or out of range.
    """
    path = Path(path)
    document = read_yaml(path, "task")
    try:
        return task_from_mapping(document, path.stem)
    except UserError as error:
        raise UserError(f"task {path}: {error}") from error


def task_from_mapping(document: Any, name: str = "task") -> Task:
    """A task from the content of its file.

    Parameters
    ----------
    document : mapping
        ``kind`` and the settings of this kind; ``losses`` by name; ``perturbations`` as a list;
        ``schedule`` and ``schedule_validation`` by label. Nothing is in force until it is
        activated (`Task.activate`).
    name : str
        If the document gives none.

    Raises
    ------
    UserError
        When something is unknown, missing or out of range.
    """
    if not isinstance(document, Mapping) or "kind" not in document:
        raise UserError(f"expected a mapping with the key 'kind', one of: {', '.join(TASKS)}")
    values = dict(document)
    kind = values.pop("kind")
    if not isinstance(kind, str) or kind not in TASKS:
        raise UserError(f"kind: {kind!r} is unknown, choose from: {', '.join(TASKS)}")
    bad = [key for key in values if not isinstance(key, str)]
    if bad:
        raise UserError(f"{bad[0]!r}: names of settings are words")
    for key, other in TASKS[kind].instead.items():
        if key in values:
            raise UserError(f"{key}: means nothing in a task of kind {kind}, set {other}")
    values.setdefault("name", name)
    if "losses" in values:
        if not isinstance(values["losses"], Mapping):
            raise UserError("losses: expected a mapping of name to weight")
        values["losses"] = from_mapping(LossWeights, values["losses"])
    perturbations = parse_perturbations(values.get("perturbations", []))
    values["perturbations"] = perturbations
    labels = [p.label for p in perturbations]
    for key in ("schedule", "schedule_validation"):
        values[key] = PerturbationSchedule.parse(values.get(key, {}), labels)
    for key in ("activated", "activated_validation"):
        if key in values:
            raise UserError(
                f"{key}: nothing is in force until a run activates it (--perturb LABEL)"
            )
    return from_mapping(TASKS[kind], values)
