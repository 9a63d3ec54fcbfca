"""rosbag2 bags (MCAP) without rosbag2 and without rclpy."""

from emghand.storage.bags.convert import read_recording
from emghand.storage.bags.messages import BagError, RawMessage, Topic
from emghand.storage.bags.reader import BagReader
from emghand.storage.bags.repair import repair_bag
from emghand.storage.bags.writer import BagWriter

__all__ = [
    "BagError",
    "BagReader",
    "BagWriter",
    "RawMessage",
    "Topic",
    "read_recording",
    "repair_bag",
]
