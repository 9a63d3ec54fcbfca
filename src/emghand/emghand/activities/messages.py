"""Fields of the messages of trials, and what is read from messages that are heard.

A message that is heard is any object with the fields of its type, from a graph or from a bag.
"""

from __future__ import annotations

import json
from typing import Any

from emghand.evaluate.online import NUMBERS, Measures
from emghand.tasks.spec import TrialSpec


def spec_fields(spec: TrialSpec, session: str) -> dict[str, Any]:
    """Fields of ``TrialSpec`` beside the header."""
    return {
        "session": session,
        "task": spec.task,
        "kind": spec.kind,
        "trial": spec.trial,
        "id": spec.id,
        "seed": spec.seed,
        "dofs": list(spec.dofs),
        "start": list(spec.start),
        "goal": list(spec.goal),
        "active": list(spec.active),
        "radius": spec.radius,
        "dwell": spec.dwell,
        "time_limit": spec.time_limit,
        "epochs": list(spec.epochs),
        "bounds": list(spec.bounds),
        "perturbations": list(spec.perturbations),
        "validation": spec.validation,
    }


def result_fields(spec: TrialSpec, found: Measures, session: str) -> dict[str, Any]:
    """Fields of ``TrialResult`` of a trial of a task, without times."""
    return {
        "session": session,
        "activity": "task",
        "trial": spec.trial,
        "dofs": list(spec.dofs),
        "task": spec.task,
        "id": spec.id,
        "outcome": found.outcome,
        "details": json.dumps(dict(found.details), allow_nan=False),
        **{name: getattr(found, name) for name in NUMBERS},
    }
