"""What a device on another host costs, and how well its clock is known.

    python benchmark/remote.py [--seconds 5] [--clock 60]

Round trip: one `SetPort` call of a virtual port at a time, p50. Execution rate: such calls in one
second, one after the other. Continuous rate: states that a remote node publishes as fast as the
reader takes them (it asks for 100 more whenever it has taken 100; at most 500 are on their way),
received in one second. Without ROS: the same call on the object.
Two namespaces: two processes that share no network but a veth pair (needs the right to make one).

Clock: another process whose clock is 1.7 s and 80 ppm off and that takes questions late, by 5 ms in
the mean; the true map is known because both processes share the steady clock of this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

SKEWED = Path(__file__).resolve().parent.parent / "src/host_node/test/skewed_host.py"
HOSTS = ("emgbench_a", "emgbench_b")
BURST = 100
WARM_UP = 50
DOMAIN_ALONE = "42"
REFERENCE = (  # PyMoa: round trip [ms], execution rate, continuous rate [Hz]
    ("PyMoa: none", None, 246669.96, 10018.94),
    ("PyMoa: thread", 0.45, 2789.56, 5395.46),
    ("PyMoa: process, socket", 0.48, 1132.06, 3144.60),
    ("PyMoa: websocket", 2.20, 533.46, 1104.19),
    ("PyMoa: REST", 8.68, 95.36, 1495.93),
)


def make_server() -> list[object]:
    """Maker of the virtual ports, and of a node that streams states while it is asked to."""
    from emghand_interfaces.msg import PortState
    from std_msgs.msg import UInt64

    from emghand_ros import qos
    from emghand_ros.node import EmghandNode
    from host_node.port_node import PortNode

    class Streamer(EmghandNode):
        def __init__(self) -> None:
            super().__init__("streamer")
            self._publisher = self.create_publisher(PortState, "/stream", qos.EVENT)
            self._allowed = threading.Semaphore(0)
            self.create_subscription(UInt64, "/stream/more", self._on_more, qos.EVENT)
            threading.Thread(target=self._run, daemon=True).start()

        def _on_more(self, message: UInt64) -> None:
            self._allowed.release(message.data)

        def _run(self) -> None:
            message = PortState(port="out", kind="digital", channels=["motor"], values=[1.0])
            for count in itertools.count():
                self._allowed.acquire()
                message.header.stamp.sec = count
                self._publisher.publish(message)

    return [PortNode, Streamer]


def serve() -> None:
    """Role: the other host."""
    from emghand_ros.node import run

    sys.exit(run(make_server(), [sys.argv[0]]))


def ask(seconds: float, servers: list[object] = ()) -> dict[str, float]:
    """Role: the caller; the servers run in this process when they are given."""
    from emghand_interfaces.msg import PortState
    from emghand_interfaces.srv import SetPort
    from std_msgs.msg import UInt64

    from emghand_ros import qos
    from emghand_ros.node import SWITCH_INTERVAL_S, EmghandNode, make_executor, spin
    from emghand_ros.testing import Graph, wait_until

    sys.setswitchinterval(SWITCH_INTERVAL_S)  # as every node does
    with Graph(isolated=True) as graph:
        node = graph.add(EmghandNode("caller"))
        executor, stop = make_executor(), threading.Event()
        made = [make() for make in servers]
        for server in made:
            executor.add_node(server)
            server.start()
        thread = threading.Thread(target=spin, args=(executor, stop), daemon=True)
        if made:
            thread.start()
        ports = node.create_client(SetPort, "/port_node/out/set")
        more = node.create_publisher(UInt64, "/stream/more", qos.EVENT)
        wait_until(ports.service_is_ready, "the ports", 30.0)
        request = SetPort.Request(port="out", channels=["motor"], values=[1.0])
        times: list[int] = []

        def call() -> bool:
            answered = threading.Event()
            began = time.monotonic_ns()
            future = ports.call_async(request)
            future.add_done_callback(lambda _: answered.set())
            if not answered.wait(10.0):
                raise SystemExit("error: a call was not answered")
            times.append(time.monotonic_ns() - began)
            return future.result().success

        wait_until(call, "a device that has been opened")
        for _ in range(WARM_UP):
            call()
        times.clear()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            call()
        counts: list[int] = []

        def on_state(message: PortState) -> None:
            counts.append(message.header.stamp.sec)
            if len(counts) % BURST == 0:
                more.publish(UInt64(data=BURST))

        node.create_subscription(PortState, "/stream", on_state, qos.EVENT)
        wait_until(
            lambda: node.count_publishers("/stream") and more.get_subscription_count(),
            "the stream",
        )
        time.sleep(1.0)  # until both ends of the topics know of each other
        more.publish(UInt64(data=5 * BURST))
        wait_until(lambda: len(counts) > 5 * BURST, "the states")
        before, began = len(counts), time.monotonic()
        time.sleep(seconds)
        received, took = len(counts) - before, time.monotonic() - began
        stop.set()
        if made:
            thread.join()
        for server in made:
            server.stop_safely()
        lost = counts[-1] - counts[0] + 1 - len(counts)
        return {
            "p50": float(np.percentile(times, 50)) * 1e-6,
            "p99": float(np.percentile(times, 99)) * 1e-6,
            "rate": len(times) / (sum(times) * 1e-9),
            "continuous": received / took,
            "lost": float(lost),
        }


def without_ros(seconds: float) -> dict[str, float]:
    """The same call on the object."""
    from emghand.ports import VirtualBoard, VirtualSettings

    board = VirtualBoard(VirtualSettings(), 0)
    (port,) = (p for p in board.ports if p.name == "out")
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic_ns()
        board.set(port.check(["motor"], [1.0]), began)
        times.append(time.monotonic_ns() - began)
    rate = len(times) / (sum(times) * 1e-9)
    p50, p99 = np.percentile(times, (50, 99)) * 1e-6
    return {"p50": float(p50), "p99": float(p99), "rate": rate, "continuous": rate, "lost": 0.0}


@contextlib.contextmanager
def namespaces() -> Iterator[None]:
    """Two network namespaces with a veth pair between them.

    Raises
    ------
    OSError
        When this process may not make them.
    """

    def ip(*words: str, check: bool = True) -> None:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")

    if shutil.which("ip") is None:
        raise OSError("the program ip is not here")
    made: list[str] = []
    try:
        for name in HOSTS:
            ip("netns", "add", name)
            made.append(name)
        ip("link", "add", "emg_a", "netns", HOSTS[0], "type", "veth", "peer", "name", "emg_b",
           "netns", HOSTS[1])  # fmt: skip
        for name, link, address in zip(HOSTS, ("emg_a", "emg_b"), ("1", "2"), strict=True):
            ip("-n", name, "address", "add", f"10.77.0.{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "route", "add", "224.0.0.0/4", "dev", link)
        yield
    finally:
        for name in made:
            ip("netns", "del", name, check=False)


def across(
    environment: dict[str, str], seconds: float, prefixes: tuple[list[str], list[str]]
) -> dict[str, float]:
    """Server and caller in processes of their own."""
    role = [sys.executable, __file__, "--seconds", str(seconds), "--role"]
    server = subprocess.Popen([*prefixes[0], *role, "serve"], env=environment)
    try:
        done = subprocess.run(
            [*prefixes[1], *role, "ask"],
            env=environment, stdout=subprocess.PIPE, text=True, check=True,
            timeout=60.0 + 3 * seconds,
        )  # fmt: skip
    finally:
        server.terminate()
        server.wait(10.0)
    return json.loads(done.stdout.splitlines()[-1])


def measure_clock(seconds: float, prefix: Sequence[str] = ()) -> str:
    """One real run of the clock node against a skewed clock in another process."""
    from rclpy.parameter import Parameter

    from emghand_ros.testing import Graph
    from host_node.clock_node import ClockNode

    command = [
        *prefix,
        sys.executable,
        str(SKEWED),
        "1.7",
        "80",
        "5",
        "--ros-args",
        "-p",
        "host:=remote",
    ]
    with Graph(isolated=True) as graph:
        host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            origin = int(host.stdout.readline())
            node = graph.add(ClockNode(parameter_overrides=[Parameter("hosts", value=["remote"])]))
            graph.call(node.start)
            time.sleep(seconds)
            estimate = graph.call(lambda: node._remotes["remote"].estimator.estimate())
        finally:
            host.terminate()
            host.wait(10.0)
    true = origin + round((estimate.reference_ns + 1_700_000_000 - origin) / (1.0 - 80e-6))
    error = estimate.reference_ns + estimate.offset_ns - true
    return (
        f"clock after {seconds:g} s, {estimate.pings} pings: offset wrong by "
        f"{error * 1e-6:+.3f} ms (stated ± {estimate.uncertainty_ns * 1e-6:.3f} ms), "
        f"drift {estimate.drift_ppm:.2f} ppm (true 80.01, "
        f"stated ± {estimate.drift_uncertainty_ppm:.1f}), shortest round trip "
        f"{estimate.round_trip_ns * 1e-6:.2f} ms"
    )


def line(name: str, figures: dict[str, float]) -> str:
    """Row of the table."""
    return (
        f"{name:26} {figures['p50']:10.3f} {figures['p99']:8.3f} {figures['rate']:12.0f} "
        f"{figures['continuous']:14.0f} {figures['lost']:6.0f}"
    )


def main() -> None:
    """Print the tables."""
    from emghand.client.domain import claim_domain

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clock", type=float, default=60.0)
    parser.add_argument("--role", choices=("serve", "ask", "clock"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role == "serve":
        serve()
    if args.role == "ask":
        print(json.dumps(ask(args.seconds)))
        return
    if args.role == "clock":
        print(measure_clock(args.clock, ["ip", "netns", "exec", HOSTS[0]]))
        return
    print(
        f"{'':26} {'round trip':>10} {'p99':>8} {'executions':>12} {'continuous':>14} {'lost':>6}"
    )
    print(f"{'':26} {'p50 [ms]':>10} {'[ms]':>8} {'[1/s]':>12} {'[1/s]':>14}")
    print(line("object, without ROS", without_ros(min(args.seconds, 1.0))), flush=True)
    claim_domain()
    print(line("in one process", ask(args.seconds, make_server())), flush=True)
    claim_domain()
    here = dict(os.environ)
    print(line("two processes", across(here, args.seconds, ([], []))), flush=True)
    # A network of their own: nobody else is there, and the profile for this machine does not fit.
    alone = {k: v for k, v in here.items() if k != "FASTDDS_DEFAULT_PROFILES_FILE"} | {
        "ROS_DOMAIN_ID": DOMAIN_ALONE,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
    }
    far = ""
    try:
        with namespaces():
            prefixes = tuple(["ip", "netns", "exec", name] for name in HOSTS)
            print(line("two namespaces", across(alone, args.seconds, prefixes)), flush=True)
            if args.clock > 0:
                role = [sys.executable, __file__, "--role", "clock", "--clock", str(args.clock)]
                far = subprocess.run(
                    [*prefixes[1], *role], env=alone, stdout=subprocess.PIPE, text=True, check=True
                ).stdout.strip()
    except OSError as error:
        print(f"two namespaces: not measured, they cannot be made here ({error})")
    for name, trip, rate, continuous in REFERENCE:
        told = "" if trip is None else f"{trip:.3f}"
        print(f"{name:26} {told:>10} {'':8} {rate:12.0f} {continuous:14.0f}")
    if args.clock > 0:
        claim_domain()
        print(f"two processes: {measure_clock(args.clock)}")
        if far:
            print(f"two namespaces: {far}")


if __name__ == "__main__":
    main()
