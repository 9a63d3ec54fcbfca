"""Ticks and results whose scores are known."""

import numpy as np

from emghand.dofs import Dof
from emghand.evaluate.results import make_result
from emghand.evaluate.ticks import Ticks
from emghand.storage.recording import Source

RATE = 62.5
TICK_NS = 16_000_000


def make_ticks(trials=8, length=60, noise=0.1, seed=0, delay=0, relax_pos=(0.0, 0.0)):
    """Trials of two movements in turn; the estimate is x_d `delay` ticks ago, with noise."""
    m = trials * length
    bump = np.sin(np.pi * np.arange(length) / length) ** 2
    x_d = np.zeros((m, 2))
    trial = np.repeat(np.arange(trials), length)
    for t in range(trials):
        x_d[trial == t, t % 2] = bump * (1 if t % 2 else 0.8)
    rng = np.random.default_rng(seed)
    x_hat = np.roll(x_d, delay, axis=0) + noise * rng.standard_normal((m, 2))
    return Ticks(
        dofs=(Dof("index_flex", 0.0, 1.0), Dof("wrist_flex")),
        tick_rate=RATE,
        relax_pos=relax_pos,
        movements=("index", "wrist"),
        x_d=x_d,
        x_d_before=np.roll(x_d, delay, axis=0),
        x_hat=x_hat,
        out_x_hat=np.clip(x_hat + np.array(relax_pos), [0.0, -1.0], 1.0),
        stamps_ns=np.arange(m, dtype=np.int64) * TICK_NS + 10**18,
        movement=(trial % 2).astype(np.int64),
        repetition=(trial // 2).astype(np.int64),
        trial=trial.astype(np.int64),
        recording=np.zeros(m, dtype=np.int64),
        fold=np.zeros(m, dtype=np.int64),
    )


def make(name="a", digest="d1", scheme="given", **options):
    """Result of made-up ticks."""
    return make_result(
        make_ticks(**options),
        [Source("bags/test", digest, "p01", "s01", "2026-01-31")],
        kind="model",
        name=name,
        scheme=scheme,
        settings={"decoder": "ridge", "delays": (1, 2)},
        lag_s=0.1,
        model_id=f"id of {name}",
    )
