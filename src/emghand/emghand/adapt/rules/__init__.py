"""Simpler rules of adaptation, by name: to compare with, and to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emghand.adapt.rules.base import LinearRule, RuleSettings, Score
from emghand.adapt.rules.gradient import GradientRule, GradientSettings
from emghand.adapt.rules.labels import LabelledWindow, Segmenter, detected_segments
from emghand.adapt.rules.relabel import RelabelRule, RelabelSettings
from emghand.adapt.rules.rls import RlsRule, RlsSettings
from emghand.adapt.rules.smooth_batch import SmoothBatchRule, SmoothBatchSettings
from emghand.adapt.rules.supervised import SupervisedRule, SupervisedSettings
from emghand.errors import UserError
from emghand.settings import from_mapping
from emghand.storage.models import Model
from emghand.training.dataset import Dataset

__all__ = [
    "RULES",
    "GradientRule",
    "GradientSettings",
    "LabelledWindow",
    "LinearRule",
    "RelabelRule",
    "RelabelSettings",
    "RlsRule",
    "RlsSettings",
    "RuleKind",
    "RuleSettings",
    "SmoothBatchRule",
    "SmoothBatchSettings",
    "SupervisedRule",
    "SupervisedSettings",
    "make_rule",
]


@dataclass(frozen=True)
class RuleKind:
    """A rule and the settings that it takes."""

    rule: type[LinearRule[Any]]
    settings: type[RuleSettings]


RULES: Mapping[str, RuleKind] = {
    kind.rule.name: kind
    for kind in (
        RuleKind(RelabelRule, RelabelSettings),
        RuleKind(RlsRule, RlsSettings),
        RuleKind(SmoothBatchRule, SmoothBatchSettings),
        RuleKind(GradientRule, GradientSettings),
        RuleKind(SupervisedRule, SupervisedSettings),
    )
}


def make_rule(
    name: str,
    model: Model,
    dataset: Dataset,
    values: Mapping[str, Any] | None = None,
    *,
    segmenter: Segmenter = detected_segments,
    score: Score | None = None,
    margin: float | None = None,
) -> LinearRule[Any]:
    """A rule by name.

    Parameters
    ----------
    name : str
        One of `RULES`.
    model, dataset : Model, Dataset
        The calibration, and what it was fitted to.
    values : mapping, optional
        Settings that are not to have their defaults.
    segmenter, score, margin : optional
        See `LinearRule`.

    Raises
    ------
    UserError
        For an unknown rule or setting, or a decoder that the rule cannot adapt.
    """
    kind = RULES.get(name)
    if kind is None:
        raise UserError(f"rule {name!r}: unknown, choose from: {', '.join(RULES)}")
    settings = from_mapping(kind.settings, values or {})
    return kind.rule(model, dataset, settings, segmenter=segmenter, score=score, margin=margin)
