"""Translation between the messages of trials and `emghand.tasks`, as pure functions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from emghand_interfaces.msg import TrialResult, TrialSpec

from emghand import tasks
from emghand.activities.messages import result_fields, spec_fields
from emghand.errors import UserError
from emghand.evaluate.online import Measures
from emghand.tasks.perturbation import Perturbation, parse_perturbations
from emghand_ros.conversions import MessageError, ns_to_time

MAX_TEXT = 1 << 16


def spec_to_ros(spec: tasks.TrialSpec, session: str, stamp_ns: int) -> TrialSpec:
    """What a trial asks for, as a message; `stamp_ns`: its first tick."""
    message = TrialSpec(**spec_fields(spec, session))
    message.header.stamp = ns_to_time(stamp_ns)
    return message


def spec_from_ros(message: TrialSpec) -> tasks.TrialSpec:
    """What a trial asks for.

    Raises
    ------
    MessageError
        When it makes no sense.
    """
    try:
        return tasks.TrialSpec(
            task=message.task,
            kind=message.kind,
            trial=message.trial,
            seed=message.seed,
            dofs=tuple(message.dofs),
            start=tuple(message.start),
            goal=tuple(message.goal),
            active=tuple(bool(a) for a in message.active),
            radius=message.radius,
            dwell=message.dwell,
            epochs=tuple(message.epochs),
            bounds=tuple(message.bounds),
            perturbations=tuple(message.perturbations),
            validation=message.validation,
            id=message.id,
        )
    except UserError as error:
        raise MessageError(str(error)) from error


def result_to_ros(
    spec: tasks.TrialSpec, found: Measures, session: str, start_ns: int, end_ns: int
) -> TrialResult:
    """What came of a trial of a task; stamps of its first and last tick."""
    message = TrialResult(
        start=ns_to_time(start_ns), end=ns_to_time(end_ns), **result_fields(spec, found, session)
    )
    message.header.stamp = message.end
    return message


def perturbations_to_text(perturbations: Sequence[Perturbation]) -> str:
    """Definitions of perturbations as JSON."""
    return json.dumps([dataclasses.asdict(p) for p in perturbations])


def perturbations_from_text(text: str) -> tuple[Perturbation, ...]:
    """Definitions of perturbations from JSON.

    Raises
    ------
    MessageError
        When it is malformed.
    """
    if len(text) > MAX_TEXT:
        raise MessageError("definitions of perturbations: too long")
    try:
        return parse_perturbations(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise MessageError(f"definitions of perturbations: {error}") from error
