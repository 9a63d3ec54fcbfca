"""Readers of public data sets and of plain tables; each gives a `Recording`."""

from emghand.storage.datasets.any import FORMATS, read_any
from emghand.storage.datasets.common import default_block_size
from emghand.storage.datasets.jhu import is_camera_glitch, read_jhu
from emghand.storage.datasets.myo_wrist import read_myo_wrist
from emghand.storage.datasets.tables import read_csv, read_npz

__all__ = [
    "FORMATS",
    "default_block_size",
    "is_camera_glitch",
    "read_any",
    "read_csv",
    "read_jhu",
    "read_myo_wrist",
    "read_npz",
]
