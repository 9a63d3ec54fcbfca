"""Readers of public data sets and of plain tables; each gives a `Recording`."""

from emghand.storage.datasets.jhu import is_camera_glitch, read_jhu
from emghand.storage.datasets.myo_wrist import read_myo_wrist
from emghand.storage.datasets.tables import read_csv, read_npz

__all__ = ["is_camera_glitch", "read_csv", "read_jhu", "read_myo_wrist", "read_npz"]
