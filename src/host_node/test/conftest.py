"""An emulated board."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def board(tmp_path):
    from firmata_emulator import Board

    board = Board(tmp_path / "ttyACM0")
    board.plug_in()
    yield board
    if board.plugged:
        board.unplug()
