import numpy as np
import pytest

from emghand.errors import UserError
from emghand.storage.datasets import default_block_size, read_any


def test_the_kind_is_told_from_the_path(tmp_path):
    np.savez(tmp_path / "a.npz", emg=np.zeros((10, 2)), rate=1000.0)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    assert read_any(tmp_path / "a.npz").stream.rate == 1000.0
    assert read_any(tmp_path / "a.csv", rate=50.0, unit="count").stream.unit == "count"
    (tmp_path / "mystery.dat").write_text("")
    with pytest.raises(UserError, match="name its format"):
        read_any(tmp_path / "mystery.dat")
    with pytest.raises(UserError, match="name its format"):
        read_any(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        read_any(tmp_path / "nothing.npz")
    with pytest.raises(UserError, match="no kind"):
        read_any(tmp_path / "a.npz", "mp3")
    with pytest.raises(UserError, match="not a folder"):
        read_any(tmp_path / "a.npz", "jhu")


@pytest.mark.parametrize(
    ("rate", "size"), [(60.0, 1), (125.0, 2), (200.0, 2), (250.0, 4), (1000.0, 16), (2048.0, 32)]
)
def test_blocks_last_no_longer_than_sixteen_milliseconds(rate, size):
    assert default_block_size(rate) == size
