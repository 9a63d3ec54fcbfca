"""The rules that a running decoder can adapt with, by name."""

from __future__ import annotations

import functools
import importlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from emghand.adapt.proposal import MakeRule, Rule
from emghand.errors import UserError

COMPANION = ".emgadapt"
"""Extension of the file beside a model that holds its calibration and the user's reference."""

_SIMPLE = "emghand.adapt.rules.files"
MODES = {
    "template": "emghand.adapt.adapter",
    "relabel": _SIMPLE,
    "rls": _SIMPLE,
    "smooth_batch": _SIMPLE,
    "gradient": _SIMPLE,
    "supervised": _SIMPLE,
}
"""Module of each rule; its function ``for_model(uri, options)`` makes it from the files of a model.
"""


@dataclass(frozen=True)
class RuleOptions:
    """What a rule is told where it runs.

    Parameters
    ----------
    mode : str
        One of `MODES`.
    margin : float
        By how much a candidate must be more plausible.
    labels : str
        Of the simpler rules: ``movements`` or ``output``.
    moving_dofs_only : bool
        Of the simpler rules.
    """

    mode: str = "template"
    margin: float = 0.05
    labels: str = "movements"
    moving_dofs_only: bool = False


def rule_for(uri: str, options: RuleOptions) -> MakeRule:
    """What makes a rule, in whatever process it is to run.

    Parameters
    ----------
    uri : str
        Model file of the calibration.
    options : RuleOptions

    Raises
    ------
    UserError
        When the model has no companion file or that no reference.
    """
    companion = Path(uri).with_suffix(COMPANION)
    if not companion.is_file():
        raise UserError(
            f"no adaptation: {companion.name} is not beside the model; write it with emghand adapt "
            "prepare, then learn the reference with emghand adapt reference"
        )
    if not _has_reference(companion):
        raise UserError(
            f"no adaptation: {companion.name} has no reference of the user's own use; learn it "
            "with emghand adapt reference"
        )
    return functools.partial(make_rule, uri, options)


def make_rule(uri: str, options: RuleOptions) -> Rule:
    """The rule itself; reads the companion file.

    Raises
    ------
    UserError
        When the file cannot be read, or holds no reference yet.
    """
    rule: Rule = importlib.import_module(MODES[options.mode]).for_model(uri, options)
    return rule


def _has_reference(companion: Path) -> bool:
    """Whether its list of members names one; what else is wrong with the file the worker says."""
    try:
        with zipfile.ZipFile(companion) as archive:
            return any(name.startswith("arrays/reference.") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return True
