import sys
from pathlib import Path

import numpy as np
import pytest

from emghand.storage.bags import BagWriter

sys.path.insert(0, str(Path(__file__).parent))
from bag_maker import Maker


@pytest.fixture
def samples():
    return np.random.default_rng(1).standard_normal((160, 4)).astype(np.float32)


@pytest.fixture
def bag(tmp_path, samples):
    path = tmp_path / "bag"
    with BagWriter(path) as writer:
        maker = Maker(writer)
        maker.info()
        for i in range(10):
            maker.frame(16 * i, samples[16 * i : 16 * i + 16], i + 1)
            maker.series("/task/x_d", ["index_flex", "wrist_flex"], [0.1 * i, -0.1 * i])
            maker.series("/decoder/x_hat", ["index_flex"], [0.2 * i])
            maker.state(1 if i < 5 else 3)
    return path
