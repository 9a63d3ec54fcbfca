import sys
from pathlib import Path

import pytest

from emghand_ros.testing import Graph

sys.path.insert(0, str(Path(__file__).parent))
from live_bench import Bench


@pytest.fixture
def bench(tmp_path):
    with Graph() as graph:
        yield Bench(graph, tmp_path)
