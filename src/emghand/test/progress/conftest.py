import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "store")]


@pytest.fixture(scope="session")
def postgres():
    """URL of a PostgreSQL server: one for all tests."""
    from postgres_server import server, tool

    pytest.importorskip("psycopg", reason="psycopg is not installed")
    if not tool("initdb"):
        pytest.skip("PostgreSQL is not installed (no initdb)")
    with server() as url:
        yield url
