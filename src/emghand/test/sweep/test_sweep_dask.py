"""The same sweep on a Dask cluster, with a worker that is killed half-way."""

from __future__ import annotations

import os
import signal

import pytest

from emghand.actions import ACTIONS
from emghand.actions.sweep import ActionSweep, simulated_subject
from emghand.errors import UserError
from emghand.sweep import pools
from emghand.sweep.run import run_sweep
from emghand.sweep.store import Store

distributed = pytest.importorskip("distributed", reason="needs dask and distributed")


@pytest.fixture
def cluster():
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        memory_limit=0,
    ) as made:
        yield made


def test_a_worker_killed_half_way_changes_nothing(cluster, tmp_path):
    sweep = ActionSweep((simulated_subject(4, ACTIONS[:4], changes={"n_channels": 4}),), 2)
    with pools.open_pool(jobs=2) as pool:
        run_sweep(sweep, Store(tmp_path / "local"), pool)
    killed = []

    def kill_one(done, total):
        if done == 6 and not killed:
            killed.append(cluster.workers[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    with pools.open_pool(cluster.scheduler_address) as pool:
        report = run_sweep(sweep, Store(tmp_path / "dask"), pool, kill_one)
    assert killed
    assert not report.errors
    results = [(tmp_path / n / "results.json").read_bytes() for n in ("local", "dask")]
    assert results[0] == results[1]


def test_a_scheduler_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(pools, "START_S", 0.5)
    with pytest.raises(UserError, match="no Dask scheduler"):
        pools.DaskPool("tcp://127.0.0.1:1")
