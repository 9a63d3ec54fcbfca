"""What the packages import is what their package.xml, setup.py and the lock file declare."""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(p.parent for p in (ROOT / "src").glob("*/setup.py"))
SIBLINGS = {p.name for p in PACKAGES} | {"emghand_interfaces"}

# Import name -> rosdep key. zstandard comes with rosbags and mcap, joblib and threadpoolctl with
# scikit-learn.
ROSDEP = {
    "imageio": "python3-imageio",
    "joblib": "python3-sklearn",
    "matplotlib": "python3-matplotlib",
    "mcap": "mcap-ros2-support",
    "mujoco": "python3-mujoco-pip",
    "numpy": "python3-numpy",
    "rich": "python3-rich",
    "rosbags": "python3-rosbags-pip",
    "scipy": "python3-scipy",
    "serial": "python3-serial",
    "sklearn": "python3-sklearn",
    "threadpoolctl": "python3-sklearn",
    "yaml": "python3-yaml",
    "zstandard": "python3-rosbags-pip",
}
ROS = {
    "action_msgs",
    "builtin_interfaces",
    "diagnostic_msgs",
    "dynamixel_sdk",
    "rcl_interfaces",
    "rclpy",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "unique_identifier_msgs",
}
# The core runs without these: they are imported inside functions, or where an extra needs them.
OPTIONAL = {
    "emghand": {
        "action_msgs",
        "alembic",
        "boto3",
        "botocore",
        "distributed",
        "emghand_interfaces",
        "hand_bridge",
        "pandas",
        "pyarrow",
        "rclpy",
        "rosidl_parser",
        "sqlalchemy",
        "std_msgs",
        "std_srvs",
        "torch",
    }
}


def imports(package: Path) -> set[str]:
    found = set()
    for file in (package / package.name).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {package.name}


def declared(package: Path) -> set[str]:
    root = ElementTree.parse(package / "package.xml").getroot()
    return {e.text or "" for tag in ("depend", "exec_depend") for e in root.findall(tag)}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_package_declares_what_it_imports_and_nothing_else(package):
    used = imports(package) - OPTIONAL.get(package.name, set())
    unknown = used - ROSDEP.keys() - ROS - SIBLINGS
    assert not unknown, f"no rosdep key known for {unknown}"
    expected = {ROSDEP.get(name, name) for name in used}
    assert declared(package) == expected


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_versions_agree(package):
    version = ElementTree.parse(package / "package.xml").findtext("version")
    assert f'version="{version}"' in (package / "setup.py").read_text()


def test_lock_pins_every_requirement_with_hashes_and_names_no_registry():
    lock = (ROOT / "requirements.lock").read_text()
    wanted = re.findall(r"^([A-Za-z][\w.-]*)", (ROOT / "requirements.in").read_text(), re.M)
    locked = set(re.findall(r"^([a-z0-9.-]+)(?:\[.*?\])?==", lock, re.M))
    assert {name.lower().replace("_", "-") for name in wanted} <= locked
    assert "://" not in lock
    assert "--hash=sha256:" in lock
