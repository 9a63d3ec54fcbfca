"""Runs ROS 2 YAML launch files where `ros2 launch` is not there.

The subset is that of `docs/launch.md`; the same files run unchanged under `ros2 launch`. What is
not in the subset is an error before anything starts.
"""

from emghand.launchfile.context import Argument, LaunchError
from emghand.launchfile.evaluate import Plan, declared_arguments, evaluate
from emghand.launchfile.process import NodeProcess
from emghand.launchfile.supervisor import Supervisor

__all__ = [
    "Argument",
    "LaunchError",
    "NodeProcess",
    "Plan",
    "Supervisor",
    "declared_arguments",
    "evaluate",
]
