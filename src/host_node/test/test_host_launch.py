"""The launch file of a host."""

import os
from pathlib import Path

import pytest

from emghand.launchfile import LaunchError, evaluate
from emghand.launchfile.context import find_prefix

LAUNCH = Path(__file__).parents[3] / "launch" / "host.launch.yaml"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"host": "bench", "allow": "a.yaml"}, {"host_node"}),
        ({"clocks": "true"}, {"host_node", "clock_node"}),
    ],
)
def test_a_host_runs_its_nodes_and_what_it_may_create_is_stated(arguments, expected):
    try:
        find_prefix("host_node", os.environ)
    except LaunchError:
        pytest.skip("the workspace is not built")
    processes = {p.name: p for p in evaluate(LAUNCH, arguments).processes}
    assert set(processes) == expected
    given = {
        k: v for p in processes["host_node"].parameters if isinstance(p, dict) for k, v in p.items()
    }
    assert given == {"host": arguments.get("host", ""), "allow": arguments.get("allow", "")}
