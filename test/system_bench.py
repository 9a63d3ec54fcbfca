"""Whole graphs as a person runs them, in a ROS domain of their own, and an ear in that domain."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from emghand_interfaces.msg import EmgFrame, FeatureFrame, FeatureInfo, HandStatus
from emghand_interfaces.srv import StartRecording
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from emghand.client.domain import claim_domain
from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand_ros import qos
from emghand_ros.conversions import dofs_to_ros, ns_to_time
from emghand_ros.testing import wait_until

ROOT = Path(__file__).resolve().parent.parent
DOFS = dof_names(DEFAULT_DOFS)
REST = dict.fromkeys(DOFS, 0.0)
START_S = 30.0
"""Patience with the start of a graph: a busy machine imports slowly."""


def own_domain() -> dict[str, str]:
    """Environment with a ROS domain of its own on this machine."""
    claim_domain()
    return dict(os.environ)


def run_emghand(
    *arguments: object,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    timeout: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Run one `emghand` command to its end."""
    command = [sys.executable, "-m", "emghand.cli.main", *map(str, arguments)]
    return subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


class Up:
    """`emghand up` as a child.

    Parameters
    ----------
    log : Path
        Gets its output.
    arguments : sequence
        Of ``emghand up``.
    """

    def __init__(self, log: Path, env: Mapping[str, str], *arguments: object) -> None:
        self.log = log
        command = [sys.executable, "-m", "emghand.cli.main", "up", *map(str, arguments)]
        with log.open("w") as out:
            self.process = subprocess.Popen(
                command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._seen: dict[int, psutil.Process] = {}

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Everything this launch has started that still runs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self._seen[child.pid] = child
        return [p for p in self._seen.values() if _runs(p)]

    def find(self, node: str) -> psutil.Process | None:
        """Process of a node."""
        found = [p for p in self.processes() if f"__node:={node}" in _command_line(p)]
        return found[0] if found else None

    def kill(self, node: str, number: signal.Signals = signal.SIGKILL) -> float:
        """Signal a node; returns when [s, steady]."""
        process = self.find(node)
        assert process is not None, f"{node} does not run: {self.output}"
        now = time.monotonic()
        process.send_signal(number)
        return now

    def stop(self, patience: float = 10.0) -> tuple[int, float]:
        """Ctrl-C; exit status, and after how many seconds every process had ended."""
        self.processes()
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(patience)
        wait_until(lambda: not self.processes(), "end of every process", patience)
        return code, time.monotonic() - started

    def end(self) -> None:
        """Kill whatever is left."""
        left = self.processes()
        if self.process.poll() is None:
            self.process.kill()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


class Ear:
    """Hears one domain in a thread of its own, prompts the synthetic person, talks to the hand.

    Attributes
    ----------
    intention : dict or None
        Published on /task/x_d at 60 Hz; None: nothing is.
    hand : list of (float, ndarray)
        When and where the hand was, all DOFs.
    """

    def __init__(self, env: Mapping[str, str], bridge: str = "mujoco_bridge") -> None:
        self.intention: dict[str, float] | None = None
        self.hand: list[tuple[float, NDArray[np.float64]]] = []
        self.statuses: list[tuple[float, HandStatus]] = []
        self.out: list[tuple[float, dict[str, float]]] = []
        self.frames: list[EmgFrame] = []
        self.features: list[FeatureFrame] = []
        self.streams: list[str] = []
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.context = rclpy.Context()
        rclpy.init(
            context=self.context,
            domain_id=int(env["ROS_DOMAIN_ID"]),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self.node = node = rclpy.create_node("ear", context=self.context)
        self.prompts = node.create_publisher(JointState, "/task/x_d", qos.TICK)
        self.estops = node.create_publisher(Bool, "/estop", 1)
        for kind, topic, callback, profile in (
            (JointState, "/hand/state", self._on_hand, qos.TICK),
            (HandStatus, "/hand/status", self._on_status, qos.LATCHED),
            (JointState, "/decoder/out_x_hat", self._on_out, qos.TICK),
            (EmgFrame, "/emg/raw", self._on_raw, qos.EMG),
            (FeatureFrame, "/features", self._on_features, qos.TICK),
            (FeatureInfo, "/features/info", self._on_info, qos.LATCHED),
            (DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.SLOW),
        ):
            node.create_subscription(kind, topic, callback, profile)
        self._arm = node.create_client(SetBool, f"/{bridge}/arm")
        self._reset = node.create_client(Trigger, f"/{bridge}/reset_estop")
        node.create_timer(1 / 60.0, self._prompt)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self.node.destroy_node()
        self.context.shutdown()

    def _prompt(self) -> None:
        if self.intention is not None:
            self.prompts.publish(self.joints(self.intention))

    def joints(self, values: Mapping[str, float], age: float = 0.0) -> JointState:
        """Message with these DOFs, the others at rest, stamped `age` seconds ago."""
        now = self.node.get_clock().now().nanoseconds - round(age * 1e9)
        position = np.array([values.get(n, 0.0) for n in DOFS])
        return dofs_to_ros(DOFS, position, ns_to_time(now))

    def _on_hand(self, message: JointState) -> None:
        if len(message.position) == len(DOFS):
            self.hand.append((time.monotonic(), np.array(message.position)))

    def _on_status(self, message: HandStatus) -> None:
        self.statuses.append((time.monotonic(), message))

    def _on_out(self, message: JointState) -> None:
        # The tests themselves send messages that are too short.
        values = dict(zip(message.name, message.position, strict=False))
        self.out.append((time.monotonic(), values))

    def _on_raw(self, message: EmgFrame) -> None:
        self.frames.append(message)

    def _on_features(self, message: FeatureFrame) -> None:
        self.features.append(message)

    def _on_info(self, message: FeatureInfo) -> None:
        self.streams.append(message.stream)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {v.key: v.value for v in status.values}
            self.diagnostics[status.name] = values | {"": status.message}

    def wait(self, condition: Callable[[], object], what: str, timeout: float = 10.0) -> None:
        def met() -> object:
            assert self._thread.is_alive(), "the ear has died, see the warnings"
            return condition()

        try:
            wait_until(met, what, timeout)
        except AssertionError as error:
            where = self.hand[-1][1].round(2) if self.hand else None
            raise AssertionError(f"{error}; hand {where}, {self.status}") from error

    @property
    def nodes(self) -> set[str]:
        return set(self.node.get_node_names())

    # The hand

    @property
    def status(self) -> HandStatus | None:
        return self.statuses[-1][1] if self.statuses else None

    @property
    def state(self) -> int:
        return -1 if self.status is None else self.status.state

    @property
    def refusals(self) -> dict[str, int]:
        return json.loads(self.status.refusals) if self.status else {}

    def at(self, dof: str) -> float:
        return float(self.hand[-1][1][DOFS.index(dof)])

    @property
    def at_rest(self) -> bool:
        return bool(self.hand) and bool((np.abs(self.hand[-1][1]) < 0.02).all())

    def path(self, since: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times, shape (n,), and positions, shape (n, n_dofs), of the hand from `since` on."""
        rows = [row for row in self.hand if row[0] >= since]
        return np.array([t for t, _ in rows]), np.array([p for _, p in rows])

    def fastest(self, since: float, window: float = 0.1) -> float:
        """Largest speed of any DOF from `since` on, over windows that hide the jitter [1/s]."""
        times, positions = self.path(since)
        speeds = [0.0]
        for i, start in enumerate(times):
            j = int(np.searchsorted(times, start + window))
            if j < len(times):
                moved = np.abs(positions[j] - positions[i]).max()
                speeds.append(float(moved / (times[j] - start)))
        return max(speeds)

    def call(self, client: Any, request: Any, timeout: float = START_S) -> Any:
        wait_until(client.service_is_ready, client.srv_name, timeout)
        future = client.call_async(request)
        wait_until(future.done, f"an answer of {client.srv_name}", timeout)
        return future.result()

    def arm(self, on: bool = True) -> Any:
        return self.call(self._arm, SetBool.Request(data=on))

    def reset_estop(self) -> Any:
        return self.call(self._reset, Trigger.Request())

    def record(self, bag: Path) -> None:
        """Let the recorder start."""
        client = self.node.create_client(StartRecording, "/bag_recorder/start")
        answer = self.call(client, StartRecording.Request(uri=str(bag)))
        assert answer.success, answer.message

    def estop(self, value: bool = True) -> None:
        self.wait(lambda: self.estops.get_subscription_count() > 0, "a bridge on /estop")
        self.estops.publish(Bool(data=value))


def largest_step(values: Sequence[Mapping[str, float]]) -> float:
    """Largest change of any DOF between two messages."""
    table = np.array([[row[n] for n in DOFS] for row in values])
    return float(np.abs(np.diff(table, axis=0)).max()) if len(table) > 1 else 0.0
