"""What may be imported where."""

from __future__ import annotations

import subprocess
import sys

WITHOUT_ROS = """
import pkgutil, sys
import hand_bridge
from hand_bridge import buses, hands, safety
nodes = {"bridge", "mujoco_bridge", "servo_bridge"}
found = [m.name for m in pkgutil.walk_packages(hand_bridge.__path__, "hand_bridge.")]
for name in found:
    if name.removeprefix("hand_bridge.") not in nodes:
        __import__(name)
ros = {"rclpy", "emghand_ros", "emghand_interfaces", "std_msgs", "sensor_msgs"} & set(sys.modules)
assert not ros, ros
assert "hand_bridge.safety.core" in sys.modules
assert "hand_bridge.buses.dynamixel2" in sys.modules
"""


def test_only_the_nodes_import_ros():
    done = subprocess.run([sys.executable, "-c", WITHOUT_ROS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
