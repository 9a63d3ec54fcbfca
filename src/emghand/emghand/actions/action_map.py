"""The file that says which actions were chosen and which DOF of the hand each one drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from emghand.actions.terms import trials_of
from emghand.dofs import DEFAULT_DOFS, Dof, dof_names
from emghand.errors import UserError
from emghand.storage.files import sha256, write_file
from emghand.training import Dataset
from emghand.yaml_files import read_yaml

FORMAT = "emghand action map"
VERSION = 1


@dataclass(frozen=True)
class Drive:
    """One action and what it does to the hand.

    Parameters
    ----------
    action : str
        Name of its DOF in the screening recording.
    dof : str
        DOF of the hand.
    value : float
        The DOF when the action is made in full, in [-1, 1] and not 0. Two actions may drive one
        DOF to opposite sides.
    """

    action: str
    dof: str
    value: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < abs(self.value) <= 1.0:
            raise UserError(f"action {self.action}: value must be in [-1, 1] and not 0")


@dataclass(frozen=True)
class ActionMap:
    """Chosen actions and the DOFs they drive.

    Parameters
    ----------
    drives : tuple of Drive
    provenance : mapping
        Plain values: method, objective, scores, settings, seeds, hashes.
    """

    drives: tuple[Drive, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        actions = [d.action for d in self.drives]
        if not actions or len(set(actions)) != len(actions):
            raise UserError(f"actions must be named once each, got: {', '.join(actions) or 'none'}")
        for dof in self.dof_names:
            signs = [np.sign(d.value) for d in self.drives if d.dof == dof]
            if len(set(signs)) != len(signs):
                raise UserError(f"DOF {dof}: two actions drive it to the same side")

    @property
    def actions(self) -> tuple[str, ...]:
        """The chosen actions."""
        return tuple(d.action for d in self.drives)

    @property
    def dof_names(self) -> tuple[str, ...]:
        """DOFs that are driven, in the order of their first action."""
        return tuple(dict.fromkeys(d.dof for d in self.drives))

    def as_dict(self) -> dict[str, Any]:
        """What goes into a model made with the map: its DOFs, and the hash of its file."""
        drives = {d.action: {"dof": d.dof, "value": d.value} for d in self.drives}
        return {"drives": drives, "sha256": self.provenance.get("sha256")}

    def apply(self, dataset: Dataset) -> Dataset:
        """Examples of the chosen actions alone, labelled with the DOFs they drive.

        Raises
        ------
        UserError
            When an action was not recorded.
        """
        kept = trials_of(dataset, self.actions)
        weights = np.zeros((len(self.drives), len(self.dof_names)))
        for row, drive in enumerate(self.drives):
            weights[row, self.dof_names.index(drive.dof)] = drive.value
        dofs = tuple(
            Dof(name, min(0.0, *column), max(0.0, *column))
            for name, column in zip(self.dof_names, weights.T.tolist(), strict=True)
        )
        return replace(kept, X=np.einsum("ta,ad->td", kept.X, weights), dofs=dofs)

    def save(self, path: str | Path) -> None:
        """Write the map as YAML; never over another file.

        Raises
        ------
        UserError
            When the file exists or cannot be written.
        """
        document = {
            "format": FORMAT,
            "version": VERSION,
            "actions": [{"action": d.action, "dof": d.dof, "value": d.value} for d in self.drives],
            **self.provenance,
        }
        text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=96)
        write_file(path, text.encode())


def drive_dofs(actions: Sequence[str], dofs: Sequence[str] = ()) -> tuple[Drive, ...]:
    """Give every action a DOF of its own.

    An action gets the DOF of its own limb if that is free (``flex_index`` drives ``index_flex``);
    the others get what is left, in order.

    Parameters
    ----------
    actions : sequence of str
    dofs : sequence of str, optional
        At least as many as actions. By default those of the hand; where they do not suffice, every
        action keeps its own name.
    """
    free = list(dofs or dof_names(DEFAULT_DOFS))
    if len(free) < len(actions):
        if dofs:
            raise UserError(f"{len(actions)} actions need as many DOFs, got {len(dofs)}")
        free = list(actions)
    if len(set(free)) != len(free):
        raise UserError(f"DOFs must be named once each, got: {', '.join(free)}")
    given: dict[str, str] = {}
    # An action that flexes comes before others of its limb.
    for action in sorted(actions, key=lambda a: not a.startswith("flex_")):
        for dof in free:
            if dof == action or dof.split("_")[0] == action.split("_")[-1]:
                given[action] = dof
                free.remove(dof)
                break
    for action in actions:
        if action not in given:
            given[action] = free.pop(0)
    return tuple(Drive(action, given[action]) for action in actions)


def load_action_map(path: str | Path) -> ActionMap:
    """Read a map.

    Raises
    ------
    UserError
        When the file cannot be read or is no map.
    """
    where = f"action map {path}"
    document = read_yaml(path, "action map")
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise UserError(f"{where}: is no action map; make one with emghand actions select")
    if document.get("version") != VERSION:
        raise UserError(f"{where}: is of version {document.get('version')}, known is {VERSION}")
    try:
        drives = tuple(
            Drive(str(d["action"]), str(d["dof"]), float(d.get("value", 1.0)))
            for d in document["actions"]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{where}: actions must each have an action and a dof: {error}") from error
    rest = {k: v for k, v in document.items() if k not in ("format", "version", "actions")}
    return ActionMap(drives, rest | {"sha256": sha256(path)})
