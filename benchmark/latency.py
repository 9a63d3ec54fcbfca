"""Latency of the graph: one hop, and raw EMG to hand command across four processes.

    python benchmark/latency.py [--seconds 10]

One hop: a message with six DOFs between two processes at 1 kHz. Chain: the EMG frame that completes
a tick is published → the command is received by a bridge; source, feature_node, decoder_node and
bridge are four processes. The source and the bridge are stand-ins that only publish and receive, at
real time, with the profiles and executors of the real ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATE = 1000.0
BLOCK = 16
WARM_UP_S = 1.0
HOP_RATE = 1000.0
DOFS = ("thumb_flex", "index_flex", "middle_flex", "ring_flex", "little_flex", "wrist_flex")


@dataclass(frozen=True)
class Case:
    """One row of the table; budgets in milliseconds."""

    name: str
    channels: int
    montage: str
    budget: tuple[float, float]


CASES = (
    Case("frame → command, 8 channels", 8, "single", (2.5, 8.0)),
    Case("frame → command, 32 + 496 channels", 32, "both", (2.5, 8.0)),
)


def channel_names(channels: int) -> tuple[str, ...]:
    """Names of the channels of the source."""
    return tuple(f"ch{i + 1}" for i in range(channels))


def make_model(path: Path, names: tuple[str, ...], montage: str = "single") -> None:
    """Write a Kalman model of the right size, fitted to noise."""
    from emghand.decoders.kalman import KalmanDecoder
    from emghand.decoders.normaliser import Normaliser
    from emghand.dofs import Dof
    from emghand.signal.feature_pipeline import FeaturePipeline
    from emghand.signal.settings import FeatureSettings
    from emghand.storage.models import Model, save_model

    features = FeatureSettings(montage=montage)
    n = FeaturePipeline(features, len(names), RATE).n_features
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(4 * n + 1000, n))
    X = np.clip(np.cumsum(rng.normal(size=(len(Z), len(DOFS))), axis=0) * 0.02, -1, 1)
    model = Model(
        decoder=KalmanDecoder().fit(Z, X),
        normaliser=Normaliser(np.zeros(n), np.ones(n)),
        dofs=tuple(Dof(name) for name in DOFS),
        features=features,
        n_channels=len(names),
        rate=RATE,
        channel_names=names,
    )
    save_model(model, path)


# Roles: each is one process.


def send_hops(seconds: float) -> None:
    """Publish DOF vectors at 1 kHz, stamped with the steady time of publication."""
    import rclpy
    from sensor_msgs.msg import JointState

    from emghand_ros import qos
    from emghand_ros.conversions import dofs_to_ros, ns_to_time
    from emghand_ros.node import EmghandNode

    with rclpy.init():
        publisher = EmghandNode("hop_source").create_publisher(JointState, "/hop", qos.TICK)
        while publisher.get_subscription_count() < 1:
            time.sleep(0.01)
        x = np.zeros(len(DOFS))
        start = time.monotonic_ns()
        for i in range(int((seconds + WARM_UP_S) * HOP_RATE)):
            _sleep_until(start + round(i * 1e9 / HOP_RATE))
            publisher.publish(dofs_to_ros(DOFS, x, ns_to_time(time.monotonic_ns())))
        time.sleep(0.5)


def send_emg(seconds: float, channels: int) -> None:
    """Publish EMG in real time; the stamp of each last sample is its steady publication time."""
    import rclpy
    from emghand_interfaces.msg import EmgFrame, EmgInfo

    from emghand.storage.recording import Stream
    from emghand_ros import qos
    from emghand_ros.conversions import emg_to_ros, stream_to_ros
    from emghand_ros.node import EmghandNode

    with rclpy.init():
        node = EmghandNode("emg_source")
        infos = node.create_publisher(EmgInfo, "/emg/info", qos.LATCHED)
        frames = node.create_publisher(EmgFrame, "/emg/raw", qos.EMG)
        names = channel_names(channels)
        infos.publish(stream_to_ros(Stream("benchmark", "benchmark", names, RATE, BLOCK)))
        while frames.get_subscription_count() < 1 or node.count_subscribers("/features") < 1:
            time.sleep(0.01)
        time.sleep(1.0)
        rng = np.random.default_rng(0)
        noise = (rng.normal(size=(256, BLOCK, channels)) * 1e-4).astype(np.float32)
        start = time.monotonic_ns()
        for i in range(int((seconds + WARM_UP_S) * RATE / BLOCK)):
            _sleep_until(start + round(i * BLOCK * 1e9 / RATE))
            last_ns = time.monotonic_ns()
            stamp = last_ns - round((BLOCK - 1) * 1e9 / RATE)
            frames.publish(emg_to_ros(noise[i % 256], i * BLOCK, 0, stamp, "benchmark"))
        time.sleep(0.5)


def receive(topic: str, seconds: float, bridge: bool) -> None:
    """Print the latencies [ms] of what arrives on a topic as JSON; ends after a silence."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import JointState

    from emghand_ros import qos
    from emghand_ros.conversions import dofs_from_ros, time_to_ns
    from emghand_ros.node import EmghandNode, make_executor

    latencies: list[float] = []
    last = [time.monotonic() + 20.0]

    def take(message: JointState) -> None:
        dofs_from_ros(message, DOFS)
        now = time.monotonic_ns()
        latencies.append((now - time_to_ns(message.header.stamp)) * 1e-6)
        last[0] = time.monotonic()

    def take_with_info(message: JointState, info: object) -> None:
        take(message)

    with rclpy.init():
        node = EmghandNode("receiver")
        executor = SingleThreadedExecutor() if bridge else make_executor()
        executor.add_node(node)
        profile = qos.COMMAND if bridge else qos.TICK
        callback = take_with_info if bridge else take
        node.create_subscription(JointState, topic, callback, profile)
        future = rclpy.task.Future()
        while time.monotonic() < last[0] + 1.5:
            executor.spin_until_future_complete(future, timeout_sec=0.5)
    print(json.dumps(latencies))


def _sleep_until(deadline_ns: int) -> None:
    left = deadline_ns - time.monotonic_ns()
    if left > 0:
        time.sleep(left * 1e-9)


# The benchmark itself.


def start(*args: str) -> subprocess.Popen[str]:
    """Start a role of this benchmark as a process of its own."""
    return subprocess.Popen([sys.executable, __file__, *args], stdout=subprocess.PIPE, text=True)


def start_node(module: str, *args: str) -> subprocess.Popen[str]:
    """Start the node of a module as a process of its own."""
    code = f"import sys; from {module} import main; sys.exit(main())"
    ros = ("--ros-args", "--log-level", "warn", *args)
    return subprocess.Popen([sys.executable, "-c", code, *ros], text=True)


def finish(processes: Sequence[subprocess.Popen[str]]) -> None:
    """End processes that were started here."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(10.0)


def measure_hop(seconds: float) -> np.ndarray:
    """Latencies of one hop at 1 kHz [ms]."""
    receiver = start("--role", "receive", "--topic", "/hop")
    sender = start("--role", "hops", "--seconds", str(seconds))
    out, _ = receiver.communicate(timeout=seconds + 60.0)
    finish([sender])
    return np.array(json.loads(out))[int(WARM_UP_S * HOP_RATE) :]


def measure_chain(case: Case, seconds: float, folder: Path) -> np.ndarray:
    """Latencies from the last EMG frame of a tick to the command [ms]."""
    model = folder / f"{case.channels}.emgmodel"
    make_model(model, channel_names(case.channels), case.montage)
    receiver = start("--role", "receive", "--topic", "/decoder/out_x_hat", "--bridge")
    nodes = [
        start_node("decoder_node.feature_node", "-p", f"montage:={case.montage}"),
        start_node("decoder_node.decoder_node", "-p", f"model:={model}"),
    ]
    source = start("--role", "emg", "--seconds", str(seconds), "--channels", str(case.channels))
    out, _ = receiver.communicate(timeout=seconds + 90.0)
    finish([source, *nodes])
    return np.array(json.loads(out))[int(WARM_UP_S * RATE / BLOCK) :]


def row(name: str, values: np.ndarray, budget: tuple[float, float | None]) -> str:
    """One line of the table."""
    p50, p99 = np.percentile(values, (50, 99))
    wanted = " / ".join("–" if b is None else f"{b:g}" for b in budget)
    return (
        f"{name:36} {p50:8.2f} {p99:8.2f} {values.max():8.2f}   {wanted:12} {len(values)} messages"
    )


def main() -> None:
    """Print the table."""
    from emghand.client.domain import claim_domain

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--role", choices=("hops", "emg", "receive"), help=argparse.SUPPRESS)
    parser.add_argument("--topic", default="", help=argparse.SUPPRESS)
    parser.add_argument("--bridge", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--channels", type=int, default=8, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role == "hops":
        send_hops(args.seconds)
    elif args.role == "emg":
        send_emg(args.seconds, args.channels)
    elif args.role == "receive":
        receive(args.topic, args.seconds, args.bridge)
    else:
        claim_domain()
        print(f"{'latency [ms]':36} {'p50':>8} {'p99':>8} {'max':>8}   {'budget':12}")
        print(row("one hop at 1 kHz", measure_hop(args.seconds), (0.5, None)), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            for case in CASES:
                values = measure_chain(case, args.seconds, Path(folder))
                print(row(case.name, values, case.budget), flush=True)


if __name__ == "__main__":
    main()
