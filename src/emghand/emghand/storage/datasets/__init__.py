"""Readers of public data sets and of plain tables; each gives a `Recording`."""

from emghand.storage.datasets.any import FORMATS, read_any
from emghand.storage.datasets.common import default_block_size
from emghand.storage.datasets.glove_map import GloveMap, db8_glove_map, read_glove_map
from emghand.storage.datasets.jhu import is_camera_glitch, read_jhu
from emghand.storage.datasets.mapped import read_mapped
from emghand.storage.datasets.myo_wrist import read_myo_wrist
from emghand.storage.datasets.ninapro import read_ninapro
from emghand.storage.datasets.npz import read_npz, save_npz
from emghand.storage.datasets.part import cut
from emghand.storage.datasets.tables import read_csv

__all__ = [
    "FORMATS",
    "GloveMap",
    "cut",
    "db8_glove_map",
    "default_block_size",
    "is_camera_glitch",
    "read_any",
    "read_csv",
    "read_glove_map",
    "read_jhu",
    "read_mapped",
    "read_myo_wrist",
    "read_ninapro",
    "read_npz",
    "save_npz",
]
