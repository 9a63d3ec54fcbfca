"""The core is plain Python: it can be imported where there is no ROS."""

import os
import subprocess
import sys
from pathlib import Path

import emghand

IMPORT_EVERYTHING = """
import importlib, importlib.util, pkgutil, sys

class NoRos:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ("rclpy", "emghand_ros") or top.startswith("rosidl") or top.endswith(
            ("_msgs", "_srvs", "_interfaces")
        ):
            raise ModuleNotFoundError(f"{name} is part of ROS", name=name)

sys.meta_path.insert(0, NoRos())
try:
    import rclpy
except ModuleNotFoundError:
    pass
else:
    sys.exit("the blocker does not block")

import emghand
names = [m.name for m in pkgutil.walk_packages(emghand.__path__, "emghand.")]
extras = {"emghand.networks.torch_fit": "torch"}
for name in ("database", "scan", "schema", "share", "tables", "transaction", "upkeep"):
    extras[f"emghand.progress.{name}"] = "sqlalchemy"
for name in names:
    extra = extras.get(name)
    if extra and not importlib.util.find_spec(extra):
        continue
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""


def test_no_module_of_the_core_imports_ros():
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            [str(Path(emghand.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        )
    }
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 10
