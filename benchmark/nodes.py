"""What the running graph costs: processor time per node, ticks, and import time of the decoder.

    python benchmark/nodes.py [--seconds 10]

The real nodes with the synthetic arm, in processes of their own, while a bag is recorded.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from latency import finish, make_model, start_node

IMPORT = """
import time
import rclpy.action, rclpy.lifecycle, rclpy.event_handler
import diagnostic_msgs.msg, emghand_interfaces.msg, emghand_interfaces.srv
import sensor_msgs.msg, std_srvs.srv
start = time.perf_counter()
import decoder_node.decoder_node
print(time.perf_counter() - start)
"""
SETTLE_S = 4.0


def import_time() -> float:
    """Best of three [s]: the first one may read from a cold disk."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(3)
    ]
    return min(float(r.splitlines()[-1]) for r in runs)


def node_commands(folder: Path) -> dict[str, tuple[str, ...]]:
    """Module and arguments of every process of the graph."""
    from emghand.simulate.emg import SyntheticEmg
    from emghand.simulate.settings import SyntheticSettings

    model = folder / "noise.emgmodel"
    make_model(model, SyntheticEmg(SyntheticSettings()).channel_names)
    return {
        "emg_driver (synthetic)": ("emg_driver.node",),
        "feature_node": ("decoder_node.feature_node",),
        "decoder_node": ("decoder_node.decoder_node", "-p", f"model:={model}"),
        "mujoco_bridge": ("hand_bridge.mujoco_bridge",),
        "session_node (idle)": ("session_node.node",),
        "bag_recorder": ("bag_tools.recorder", "-p", f"uri:={folder / 'bag'}"),
    }


def watch(seconds: float, processes: dict[str, subprocess.Popen[str]]) -> list[str]:
    """Let the graph run for a while; lines of the table."""
    from emghand_interfaces.msg import TickTiming

    from emghand_ros import qos
    from emghand_ros.node import EmghandNode
    from emghand_ros.testing import Graph, wait_until

    timings: list[TickTiming] = []
    with Graph(isolated=True) as graph:
        node = graph.add(EmghandNode("watch"))
        node.create_subscription(TickTiming, "/decoder/timing", timings.append, qos.TICK)
        wait_until(lambda: timings, "the first tick", 60.0)
        time.sleep(SETTLE_S)
        timings.clear()
        handles = {name: psutil.Process(p.pid) for name, p in processes.items()}
        before = {name: sum(h.cpu_times()[:2]) for name, h in handles.items()}
        began = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        spent = {n: (sum(h.cpu_times()[:2]) - before[n]) / took for n, h in handles.items()}
        memory = {name: h.memory_info().rss / 2**20 for name, h in handles.items()}
    lines = [f"{'process':28} {'CPU':>7} {'memory':>9}"]
    lines += [f"{n:28} {100 * spent[n]:5.1f} % {memory[n]:6.0f} MB" for n in spent]
    lines.append(
        f"{'together':28} {100 * sum(spent.values()):5.1f} % {sum(memory.values()):6.0f} MB"
    )
    lines += ["", f"{'decoder tick [µs]':28} {'p50':>7} {'p99':>7} {'max':>7}"]
    for name in ("decode_ns", "filter_ns", "publish_ns"):
        values = np.array([getattr(t, name) for t in timings]) * 1e-3
        p50, p99 = np.percentile(values, (50, 99))
        lines.append(f"{name.removesuffix('_ns'):28} {p50:7.0f} {p99:7.0f} {values.max():7.0f}")
    total = np.array([t.total_ns for t in timings]) * 1e-6
    p50, p99 = np.percentile(total, (50, 99))
    lines.append(f"sample → out_x_hat published [ms] {p50:.2f} p50, {p99:.2f} p99")
    lines.append(f"ticks: {len(timings)}, missed: {timings[-1].missed}")
    return lines


def main() -> None:
    """Print the tables."""
    from emghand_ros.testing import isolate

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    print(f"import of decoder_node, without rclpy: {import_time():.2f} s (budget 1 s)")
    isolate()
    with tempfile.TemporaryDirectory() as folder:
        commands = node_commands(Path(folder))
        processes = {name: start_node(*command) for name, command in commands.items()}
        try:
            lines = watch(args.seconds, processes)
        finally:
            finish(list(processes.values()))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
