"""What a refit in the worker costs the tick of decoder_node.

    python benchmark/adaptation_tick.py [--seconds 15] [--rounds 4] [--channels 32]

decoder_node gets 62.5 feature vectors a second. In turns its worker is idle, and refits the decoder
again and again to nine minutes of use, `--seconds` each. The bar: p99 of a tick while a refit runs
is within 20 % of p99 without.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from pathlib import Path

import numpy as np

from emghand.adapt.proposal import Changes, Proposal
from emghand.adapt.registry import RuleOptions
from emghand.adapt.window import Window
from emghand.storage.models import load_model

RATE = 62.5
USE_S = 540.0


class Refit:
    """Refits for a while, and notes from when to when; proposes nothing."""

    name = "refit"

    def __init__(self, uri: str, notes: str, seconds: float) -> None:
        self.model, self.notes, self.seconds = load_model(uri), Path(notes), seconds

    def propose(self, window: Window) -> Proposal:
        """See `emghand.adapt.proposal.Rule`."""
        rng = np.random.default_rng(0)
        rows = rng.integers(len(window), size=round(USE_S * RATE))
        Z = self.model.normaliser.apply(window.Z[rows])
        X = np.cumsum(rng.standard_normal((len(rows), len(self.model.dofs))), axis=0)
        X = np.sin(0.1 * X)
        start, fits = time.monotonic(), 0
        while time.monotonic() - start < self.seconds:
            type(self.model.decoder)(**self.model.decoder.get_params()).fit(Z, X)
            fits += 1
        with self.notes.open("a") as file:
            file.write(f"{start} {time.monotonic()} {fits}\n")
        return Proposal(None, "measured", self.name, "", (), Changes.none(Z.shape[1]))


def run(folder: Path, seconds: float, rounds: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Times of the ticks and what they took [us], columns tick and total; from-to of the refits."""
    from adaptation_tick import Refit as ImportableRefit
    from emghand_interfaces.msg import FeatureFrame, FeatureInfo, TickTiming
    from latency import make_model
    from rclpy.parameter import Parameter

    import decoder_node.adaptation
    from decoder_node.decoder_node import DecoderNode
    from emghand.pipeline import FeaturePipeline
    from emghand.settings import to_json
    from emghand_ros import conversions, qos
    from emghand_ros.node import EmghandNode
    from emghand_ros.testing import Graph, wait_until

    path, notes = folder / "m.emgmodel", folder / "notes"
    names = tuple(f"ch{i + 1}" for i in range(channels))
    make_model(path, names)
    model = load_model(path)
    features = FeaturePipeline(model.features, channels, model.rate, channel_names=names)

    def rule_for(uri: str, options: RuleOptions) -> functools.partial:
        return functools.partial(ImportableRefit, uri, str(notes), seconds)

    decoder_node.adaptation.rule_for = rule_for
    given = {
        "model": str(path),
        "adaptation.enabled": True,
        "adaptation.need_hand": False,
        "adaptation.update_s": 2.0 * seconds,
        "adaptation.limit_s": 10.0 * seconds,
    }
    ticks: list[tuple[float, float, float]] = []

    def keep(t: TickTiming) -> None:
        spent = t.decode_ns + t.filter_ns + t.publish_ns
        ticks.append((time.monotonic(), spent * 1e-3, t.total_ns * 1e-3))

    with Graph() as graph:
        bench = graph.add(EmghandNode("bench"))
        parameters = [Parameter(name, value=value) for name, value in given.items()]
        node = graph.add(DecoderNode(parameter_overrides=parameters))
        bench.create_subscription(TickTiming, "/decoder/timing", keep, qos.TICK)
        infos = bench.create_publisher(FeatureInfo, "/features/info", qos.LATCHED)
        frames = bench.create_publisher(FeatureFrame, "/features", qos.TICK)
        if not graph.call(node.start):
            raise SystemExit(node.failure)
        wait_until(lambda: frames.get_subscription_count() == 1, "the decoder")
        infos.publish(
            FeatureInfo(
                names=list(features.names), rate=model.rate, settings=to_json(model.features)
            )
        )
        wait_until(lambda: node._space is not None, "the description of the features")
        rng = np.random.default_rng(1)
        begin = time.monotonic()
        for tick in range(round((2.0 * rounds + 1.0) * seconds * RATE)):
            time.sleep(max(0.0, begin + tick / RATE - time.monotonic()))
            stamp = bench.get_clock().now().to_msg()
            z = np.abs(rng.standard_normal(model.n_features))
            frames.publish(conversions.features_to_ros(z, tick, stamp))
        wait_until(lambda: len(ticks) > tick - 10, "the last ticks")
    return np.array(ticks), np.loadtxt(notes, ndmin=2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--channels", type=int, default=32)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ticks, refits = run(Path(folder), args.seconds, args.rounds, args.channels)
    busy = ((ticks[:, :1] >= refits[:, 0]) & (ticks[:, :1] <= refits[:, 1])).any(axis=1)
    # The first turn also holds the start of the worker.
    idle = ~busy & (ticks[:, 0] > ticks[0, 0] + args.seconds)
    print(f"{len(refits)} turns with {refits[:, 2].sum():.0f} refits, {args.channels} channels")
    print(f"{'':34}{'ticks':>7}{'p50':>8}{'p99':>8}{'max':>8}")
    for name, column in (("tick [µs]", 1), ("features sent → command [µs]", 2)):
        for state, chosen in (("idle", idle), ("refit", busy)):
            values = ticks[chosen, column]
            p50, p99 = np.percentile(values, (50, 99))
            label = f"{name}, {state}"
            print(f"{label:34}{len(values):7}{p50:8.0f}{p99:8.0f}{values.max():8.0f}")
        ratio = np.percentile(ticks[busy, column], 99) / np.percentile(ticks[idle, column], 99)
        print(f"{'p99 with against without':34}{ratio:7.2f}")


if __name__ == "__main__":
    main()
