"""Choosing the muscle actions that a person can tell apart best."""

from emghand.actions.action_map import ActionMap, load_action_map
from emghand.actions.candidates import ACTIONS, screening_set, simulated_person, unseen_set
from emghand.actions.selection import METHODS, Choice, Terms, choose

__all__ = [
    "ACTIONS",
    "METHODS",
    "ActionMap",
    "Choice",
    "Terms",
    "choose",
    "load_action_map",
    "screening_set",
    "simulated_person",
    "unseen_set",
]
