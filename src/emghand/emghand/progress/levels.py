"""The levels of training, lowest to highest."""

from __future__ import annotations

NO_CONTROL = "no_control"
NOT_COMPUTED = "not_computed"
FITTING = "fitting"
IN_TRAINING = "in_training"
TRAINED_BASIC = "trained_basic"
TRAINED_PROFICIENT = "trained_proficient"
READY_FOR_HAND = "ready_for_hand"
READY_RETENTION = "ready_retention"
READY_FOR_HOME = "ready_for_home"

LEVELS = (
    NO_CONTROL,
    NOT_COMPUTED,
    FITTING,
    IN_TRAINING,
    TRAINED_BASIC,
    TRAINED_PROFICIENT,
    READY_FOR_HAND,
    READY_RETENTION,
    READY_FOR_HOME,
)
EARNED = LEVELS[LEVELS.index(TRAINED_BASIC) :]
"""Levels that have criteria; those below follow from what kind of sessions there were."""

MEANING = {
    NO_CONTROL: "long in training without a trained level: change site or action selection",
    NOT_COMPUTED: "data are there, their evaluation is not",
    FITTING: "calibration or signal check only",
    IN_TRAINING: "at least one session with scored trials",
    TRAINED_BASIC: "single DOFs reach their targets and can be held",
    TRAINED_PROFICIENT: "singles and pairs, quickly, straight and without overshooting",
    READY_FOR_HAND: "proficient, and latency and faults were checked",
    READY_RETENTION: "what was learned lasts over a pause, on the hand",
    READY_FOR_HOME: "several dates on the hand, one of them after a pause",
}


def rank(level: str) -> int:
    """Place of a level, from 0 for the lowest."""
    return LEVELS.index(level)


def plain_name(level: str) -> str:
    """Name of a level as people read it."""
    return level.replace("_", " ")


def not_lower(status: str | None, raw: str) -> str:
    """Status that never goes back.

    Parameters
    ----------
    status : str or None
        Of the date before; None on the first one.
    raw : str
        What this date alone would say. `NO_CONTROL` is advice: it changes nothing.
    """
    if raw == NO_CONTROL:
        return status or IN_TRAINING
    return raw if status is None else max(status, raw, key=rank)
