"""The rules that a running decoder can adapt with, by name."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import zipfile
from pathlib import Path

from emghand.adapt.proposal import MakeRule, Rule
from emghand.errors import UserError

COMPANION = ".emgadapt"
"""Extension of the file beside a model that holds its calibration and the user's reference."""

MODES = {
    "template": "emghand.adapt.adapter",
    "relabel": "emghand.adapt.rules.relabel",
    "rls": "emghand.adapt.rules.rls",
    "smooth_batch": "emghand.adapt.rules.smooth_batch",
    "gradient": "emghand.adapt.rules.gradient",
}
"""Module of each rule; its function ``for_model(uri, margin)`` makes it from the files of a model.
"""


def rule_for(uri: str, mode: str, margin: float) -> MakeRule:
    """What makes a rule, in whatever process it is to run.

    Parameters
    ----------
    uri : str
        Model file of the calibration.
    mode : str
        One of `MODES`.
    margin : float
        By how much a candidate must be more plausible.

    Raises
    ------
    UserError
        When the model has no companion file or that no reference, or this version lacks the rule.
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
    if not _exists(MODES[mode]):
        raise UserError(f"no adaptation: the rule {mode} is not part of this version")
    return functools.partial(make_rule, uri, mode, margin)


def make_rule(uri: str, mode: str, margin: float) -> Rule:
    """The rule itself; reads the companion file.

    Raises
    ------
    UserError
        When the file cannot be read, or holds no reference yet.
    """
    rule: Rule = importlib.import_module(MODES[mode]).for_model(uri, margin)
    return rule


def _has_reference(companion: Path) -> bool:
    """Whether its list of members names one; what else is wrong with the file the worker says."""
    try:
        with zipfile.ZipFile(companion) as archive:
            return any(name.startswith("arrays/reference.") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return True


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
