"""The activities that session_node offers, one line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emghand_interfaces.action import (
    Calibrate,
    CollectTrials,
    FreeControl,
    Job,
    Replay,
    RunTask,
    RunTest,
)

from emghand.activities.activity import Activity
from emghand.activities.table import ACTIVITIES as PLAIN
from session_node.replay import ReplayRun
from session_node.room import LiveRoom


@dataclass(frozen=True)
class Kind:
    """An activity as it is offered to the graph.

    Parameters
    ----------
    name : str
    action : type
        Action of the message package.
    topic : str
        Name of the action.
    make : callable
        Makes the activity from its name, goal and room.
    """

    name: str
    action: Any
    topic: str
    make: Callable[[str, Any, LiveRoom], Activity]


_ACTIONS = {a.__name__: a for a in (Calibrate, CollectTrials, FreeControl, Job, RunTask, RunTest)}

ACTIVITIES = (
    *(Kind(p.name, _ACTIONS[p.action], p.topic, p.make) for p in PLAIN),
    Kind("replay", Replay, "session/replay", ReplayRun),
)
