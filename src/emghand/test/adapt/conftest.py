import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from feature_people import make_person


@pytest.fixture(scope="session")
def person():
    return make_person()
