import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Nobody pulls the plug here: what is written need not reach the disk at once."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
