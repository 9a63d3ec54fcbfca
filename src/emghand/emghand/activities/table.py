"""The activities that need no hardware of their own, one line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emghand.activities.activity import Activity
from emghand.activities.calibrate import CalibrationRun
from emghand.activities.control import ControlRun
from emghand.activities.job import JobRun
from emghand.activities.prompted import PromptedRun
from emghand.activities.room import Room
from emghand.activities.task import TaskRun


@dataclass(frozen=True)
class Kind:
    """An activity as it is offered.

    Parameters
    ----------
    name : str
    action : str
        Name of its action in `emghand_interfaces`.
    topic : str
        Name under which the action is offered.
    make : callable
        Makes the activity from its name, goal and room.
    """

    name: str
    action: str
    topic: str
    make: Callable[[str, Any, Room], Activity]


ACTIVITIES = (
    Kind("collect", "CollectTrials", "session/collect_trials", PromptedRun),
    Kind("test", "RunTest", "session/run_test", PromptedRun),
    Kind("task", "RunTask", "session/run_task", TaskRun),
    Kind("control", "FreeControl", "session/control", ControlRun),
    Kind("calibrate", "Calibrate", "session/calibrate", CalibrationRun),
    Kind("job", "Job", "session/job", JobRun),
)
