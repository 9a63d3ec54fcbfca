"""Run a ROS 2 launch file.

Hands the file to `ros2 launch` where that is installed, and otherwise runs the very same file
itself. Ctrl-C ends all processes within five seconds.

Examples
--------
  emghand up launch/live.launch.yaml model:=hand.emgmodel
  emghand up live --show-args
  emghand up live hand:=none --dry-run
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

HELP = "run a launch file: the whole graph with one command"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", help="launch file, or its name: live, collect, replay")
    parser.add_argument("arguments", nargs="*", metavar="NAME:=VALUE", help="launch arguments")
    parser.set_defaults(interleaved="arguments")
    parser.add_argument("--show-args", action="store_true", help="list the arguments and stop")
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would run, start nothing"
    )
    parser.add_argument(
        "--runner",
        choices=("auto", "own", "ros2"),
        default="auto",
        help="auto: ros2 launch where it is installed, else the own runner",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.launchfile import LaunchError, Supervisor, declared_arguments, evaluate

    file = find_launch_file(args.file)
    values = {}
    for item in args.arguments:
        name, separator, value = item.partition(":=")
        if not separator or not name:
            raise LaunchError(f"{item!r}: write NAME:=VALUE")
        values[name] = value
    if args.show_args:
        for argument in declared_arguments(file):
            print(f"{argument.name}: {argument.description}")
            if argument.choices:
                print(f"    one of: {', '.join(argument.choices)}")
            print(
                "    required" if argument.default is None else f"    default: {argument.default}"
            )
        return 0
    if args.dry_run:
        for process in evaluate(file, values).processes:
            print(process.describe())
        return 0
    if args.runner == "ros2" or (args.runner == "auto" and has_ros2_launch()):
        sys.stdout.flush()
        try:
            os.execvp("ros2", ["ros2", "launch", str(file), *args.arguments])
        except OSError as error:
            raise LaunchError(f"ros2 launch: {error}; leave out --runner ros2") from error
    return Supervisor(evaluate(file, values)).run()


def find_launch_file(name: str) -> Path:
    """File of that name, also without its suffix and in the folder ``launch`` of the workspace.

    Raises
    ------
    LaunchError
        When there is none.
    """
    from emghand.launchfile import LaunchError

    folders = [Path(), Path("launch"), Path(os.environ.get("EMGHAND_ROOT", "."), "launch")]
    for folder in folders:
        for candidate in (folder / name, folder / f"{name}.launch.yaml"):
            if candidate.is_file():
                return candidate
    raise LaunchError(f"launch file {name}: not found here, nor in launch/")


def has_ros2_launch() -> bool:
    """Whether `ros2 launch` is installed."""
    if shutil.which("ros2") is None:
        return False
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    marker = "share/ament_index/resource_index/packages/ros2launch"
    return any(prefix and (Path(prefix) / marker).exists() for prefix in prefixes)
