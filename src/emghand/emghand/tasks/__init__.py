"""Movements and their prompts; tasks with targets, their trials and what disturbs them."""

from emghand.tasks.base import Task
from emghand.tasks.loader import load_task, task_from_mapping
from emghand.tasks.spec import TrialSpec
from emghand.tasks.trial import Acquisition, Progress, TrialRun, play

__all__ = [
    "Acquisition",
    "Progress",
    "Task",
    "TrialRun",
    "TrialSpec",
    "load_task",
    "play",
    "task_from_mapping",
]
