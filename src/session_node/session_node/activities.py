"""The activities that session_node offers, one line each."""

from __future__ import annotations

from emghand_interfaces.action import (
    Calibrate,
    CollectTrials,
    FreeControl,
    Job,
    Replay,
    RunTask,
    RunTest,
)

from session_node.activity import Kind
from session_node.calibrate import CalibrationRun
from session_node.control import ControlRun
from session_node.job import JobRun
from session_node.prompted import PromptedRun
from session_node.replay import ReplayRun
from session_node.task_run import TaskRun

ACTIVITIES = (
    Kind("collect", CollectTrials, "session/collect_trials", PromptedRun),
    Kind("test", RunTest, "session/run_test", PromptedRun),
    Kind("task", RunTask, "session/run_task", TaskRun),
    Kind("control", FreeControl, "session/control", ControlRun),
    Kind("calibrate", Calibrate, "session/calibrate", CalibrationRun),
    Kind("job", Job, "session/job", JobRun),
    Kind("replay", Replay, "session/replay", ReplayRun),
)
