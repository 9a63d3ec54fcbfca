"""Time of one tick, from raw EMG to the command, and offline throughput.

    python benchmark/tick.py [--seconds 60] [--paced]

One tick is one block of 16 samples at 1 kHz: filters, pairs, features, live-signal guard, Kalman
decoder with 6 DOFs, output filters. With ``--paced`` blocks come every millisecond instead of back
to back, so that caches cool down in between as they do live.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np

from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.pipeline import Pipeline
from emghand.signal.settings import FeatureSettings
from emghand.storage.recording import Block, Recording, Series, Stream
from emghand.training import TrainSettings, dataset_from_recording, train

RATE = 1000.0
HOP = 16
TRAIN_S = 20.0


@dataclass(frozen=True)
class Case:
    """One row of the table; times beyond the budget are a matter for the reader."""

    name: str
    channels: int
    settings: FeatureSettings
    budget_us: float | None = None
    budget_times: float | None = None


HUDGINS = ("mav", "wl", "zc", "ssc")
CASES = (
    Case("8 channels, MAV", 8, FeatureSettings()),
    Case("8 channels, MAV WL ZC SSC", 8, FeatureSettings(features=HUDGINS), 50.0),
    Case("32 channels, MAV", 32, FeatureSettings(), None, 500.0),
    Case("32 + 496 pairs, MAV", 32, FeatureSettings(montage="both"), 80.0, 200.0),
    Case("the same, window 3 s", 32, FeatureSettings(montage="both", window_hops=188)),
    Case("32 + 496 pairs, MAV WL ZC SSC", 32, FeatureSettings(montage="both", features=HUDGINS)),
)


def recording(samples: np.ndarray) -> Recording:
    """EMG in one block of 16 samples per message, with DOFs that swing slowly."""
    n, channels = samples.shape
    stream = Stream("bench", "bench", tuple(f"ch{i + 1}" for i in range(channels)), RATE, HOP)
    blocks = [
        Block(first, round(first / RATE * 1e9), samples[first : first + HOP])
        for first in range(0, n, HOP)
    ]
    t = np.arange(0, n, HOP) / RATE
    x_d = np.sin(t[:, None] * np.linspace(0.5, 2.0, len(DEFAULT_DOFS)))
    series = Series(dof_names(DEFAULT_DOFS), np.round(t * 1e9).astype(np.int64), x_d)
    return Recording("bench", stream, blocks, x_d=series)


def tick_times(pipeline: Pipeline, blocks: list[Block], paced: bool) -> np.ndarray:
    """Microseconds per tick, blocks of one hop."""
    times = []
    for block in blocks:
        if paced:
            time.sleep(0.001)
        start = time.perf_counter_ns()
        ticks = pipeline.push(block)
        end = time.perf_counter_ns()
        if ticks:
            times.append(end - start)
    return np.array(times) / 1000.0


def offline_times_real_time(pipeline: Pipeline, samples: np.ndarray) -> float:
    """How many times faster than real time one big block goes through."""
    start = time.perf_counter()
    pipeline.push(Block(0, 0, samples))
    return len(samples) / RATE / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the signal")
    parser.add_argument("--paced", action="store_true", help="one block every millisecond")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{'per tick, in us':<32}{'p50':>8}{'p99':>8}{'max':>9}{'bar':>6}", end="")
    print(f"{'offline':>12}{'bar':>7}")
    for case in CASES:
        shape = (int(args.seconds * RATE) // HOP * HOP, case.channels)
        samples = (rng.standard_normal(shape) * 1e-4).astype(np.float32)
        whole = recording(samples)
        first = replace(whole, blocks=whole.blocks[: int(TRAIN_S * RATE) // HOP])
        model = train(dataset_from_recording(first, case.settings), TrainSettings(max_lag_s=0.0))
        times = tick_times(Pipeline(model, whole.stream), whole.blocks, args.paced)
        p50, p99 = np.percentile(times, [50, 99])
        bar = f"{case.budget_us:.0f}" if case.budget_us else ""
        bar_times = f"x{case.budget_times:.0f}" if case.budget_times else ""
        offline = offline_times_real_time(Pipeline(model, whole.stream), samples)
        print(f"{case.name:<32}{p50:8.1f}{p99:8.1f}{times.max():9.1f}{bar:>6}", end="")
        print(f"{f'x{offline:.0f}':>12}{bar_times:>7}")


if __name__ == "__main__":
    main()
