"""Bridges as real processes, and a person's view of them over ROS."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

NAMES = [f"{n}_flex" for n in ("thumb", "index", "middle", "ring", "little", "wrist")]

COMMANDER = """
import sys, time, rclpy
from sensor_msgs.msg import JointState
from emghand_ros import qos
rclpy.init()
node = rclpy.create_node("commander")
publisher = node.create_publisher(JointState, "/decoder/out_x_hat", qos.TICK)
values = [float(v) for v in sys.argv[1:]]
names = [n + "_flex" for n in ("thumb", "index", "middle", "ring", "little", "wrist")]
while rclpy.ok():
    message = JointState(name=names, position=values)
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    time.sleep(0.016)
"""


def wait_until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.005)


class Process:
    """A child in its own session, ended by its id."""

    def __init__(self, code: str, *args: str, **options: object) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", code, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )

    def send(self, number: int) -> None:
        self.child.send_signal(number)

    def wait(self, timeout: float = 10.0) -> tuple[int, str]:
        output, _ = self.child.communicate(timeout=timeout)
        return self.child.returncode, output

    def end(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.communicate()


class Emulator:
    """Emulated servos in a process of their own; `port` is a link that stays the same."""

    def __init__(self, folder: Path, ids: tuple[int, ...] = (1, 2, 3)) -> None:
        self.port = folder / "servos"
        code = str(Path(__file__).parent / "dynamixel_emulator.py")
        self.child = subprocess.Popen(
            [sys.executable, code, ",".join(map(str, ids))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port.unlink(missing_ok=True)
        self.port.symlink_to(self.child.stdout.readline().strip())

    def tell(self, *words: object) -> dict[int, dict[str, int]]:
        """Give an order and wait until it is done; the state of all servos."""
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        return {int(k): v for k, v in json.loads(self.child.stdout.readline()).items()}

    def state(self) -> dict[int, dict[str, int]]:
        return self.tell("state")

    def all(self, register: str) -> list[int]:
        return [s[register] for s in self.state().values()]

    def end(self) -> None:
        self.child.kill()
        self.child.communicate()


CALIBRATION = """
protocol: dynamixel2
port: {port}
baudrate: 1000000
current_unit: 2.69
servos:
  thumb: {{id: 1, dofs: {{thumb_flex: 1.0}}, min: 1048, rest: 2048, max: 3048,
          current_limit: 300, speed: 60}}
  index: {{id: 2, dofs: {{index_flex: 1.0}}, min: 1548, rest: 2048, max: 3048,
          current_limit: 300, speed: 60}}
  rest: {{id: 3, dofs: {{middle_flex: 1.0}}, min: 1048, rest: 2048, max: 2548, direction: -1,
         current_limit: 400, speed: 60}}
"""


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """Three servos and their calibration file."""
    made = Emulator(tmp_path)
    (tmp_path / "calibration.yaml").write_text(CALIBRATION.format(port=made.port))
    yield made
    made.end()


class Bench:
    """Publishes to a bridge, listens to it and calls its services; spins while it waits."""

    def __init__(self, bridge: str, names: list[str]) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from emghand_interfaces.msg import HandStatus, PipelineEvent
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import JointState
        from std_msgs.msg import Bool
        from std_srvs.srv import SetBool, Trigger

        from emghand_ros import qos

        self.JointState, self.Bool, self.PipelineEvent = JointState, Bool, PipelineEvent
        self.SetBool, self.Trigger = SetBool, Trigger
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("bench", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.status = None
        self.diagnostics: dict[str, str] = {}
        self.level = b""
        self.states: list[tuple[float, np.ndarray]] = []
        make = self.node.create_publisher
        self.commands = make(JointState, "/decoder/out_x_hat", qos.TICK)
        self.estop = make(Bool, "/estop", 1)
        self.events = make(PipelineEvent, "/decoder/event", qos.EVENT)
        listen = self.node.create_subscription
        listen(HandStatus, "/hand/status", self._on_status, qos.LATCHED)
        listen(JointState, "/hand/state", self._on_state, qos.TICK)
        listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.SLOW)
        self.arm_client = self.node.create_client(SetBool, f"/{bridge}/arm")
        self.reset_client = self.node.create_client(Trigger, f"/{bridge}/reset_estop")
        self.bridge = bridge
        self.names = names

    def _on_status(self, message: object) -> None:
        self.status = message

    def _on_state(self, message: object) -> None:
        self.states.append((time.monotonic(), np.array(message.position)))

    def _on_diagnostics(self, message: object) -> None:
        for status in message.status:
            if status.name == self.bridge:
                self.diagnostics = {v.key: v.value for v in status.values}
                self.level = status.level

    def wait(self, condition: Callable[[], object], timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"timed out; status {self.status}"
            self.executor.spin_once(timeout_sec=0.02)

    def ready(self) -> None:
        self.wait(lambda: self.arm_client.service_is_ready() and self.states, 20.0)
        self.wait(lambda: self.reset_client.service_is_ready() and self.status is not None)
        self.wait(lambda: self.commands.get_subscription_count() > 0)

    def call(self, client: object, request: object) -> object:
        future = client.call_async(request)
        self.wait(future.done)
        return future.result()

    def arm(self, on: bool = True) -> object:
        return self.call(self.arm_client, self.SetBool.Request(data=on))

    def reset(self) -> object:
        return self.call(self.reset_client, self.Trigger.Request())

    def send(
        self,
        values: object,
        names: list[str] | None = None,
        age: float = 0.0,
        publisher: object = None,
    ) -> None:
        message = self.JointState(name=names or self.names, position=[float(v) for v in values])
        stamp = self.node.get_clock().now().nanoseconds - int(age * 1e9)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        (publisher or self.commands).publish(message)

    def stream(
        self, values: object, condition: Callable[[], object], timeout: float = 10.0
    ) -> None:
        """Send commands at 62.5 Hz until something holds."""
        deadline = time.monotonic() + timeout
        due = time.monotonic()
        while not condition():
            assert time.monotonic() < deadline, f"timed out; status {self.status}"
            if time.monotonic() >= due:
                self.send(values)
                due = max(due + 0.016, time.monotonic())
            while (left := due - time.monotonic()) > 0:
                self.executor.spin_once(timeout_sec=left)

    def at(self, values: object, tolerance: float = 0.05) -> bool:
        return bool(self.states) and bool(
            (np.abs(self.states[-1][1] - np.asarray(values, float)) < tolerance).all()
        )

    @property
    def state(self) -> int:
        return -1 if self.status is None else self.status.state

    @property
    def refusals(self) -> dict[str, int]:
        return json.loads(self.status.refusals)

    def close(self) -> None:
        self.node.destroy_node()
        self.context.shutdown()


@pytest.fixture(scope="module", autouse=True)
def own_domain() -> Iterator[None]:
    before = os.environ.get("ROS_DOMAIN_ID")
    os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 101))
    yield
    os.environ.pop("ROS_DOMAIN_ID")
    if before is not None:
        os.environ["ROS_DOMAIN_ID"] = before


def start_bridge(kind: str, **parameters: object) -> Process:
    code = f"import sys; from hand_bridge.{kind} import main; sys.exit(main())"
    args = ["--ros-args"]
    for name, value in parameters.items():
        args += ["-p", f"{name.replace('__', '.')}:={value}"]
    return Process(code, *args)


@pytest.fixture(scope="module")
def bridges() -> Iterator[Callable[..., tuple[Process, Bench]]]:
    """Start a bridge and wait until it answers."""
    with contextlib.ExitStack() as stack:

        def start(kind: str, **parameters: object) -> tuple[Process, Bench]:
            process = start_bridge(kind, **parameters)
            stack.callback(process.end)
            bench = Bench(kind, NAMES)
            stack.callback(bench.close)
            bench.ready()
            return process, bench

        yield start


@pytest.fixture
def processes() -> Iterator[Callable[..., Process]]:
    """Start a Python child that ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(code: str, *args: str, **options: object) -> Process:
            process = Process(code, *args, **options)
            stack.callback(process.end)
            return process

        yield start


@pytest.fixture
def commander(processes: Callable[..., Process]) -> Callable[..., Process]:
    """A decoder in a process of its own that sends one posture at 62.5 Hz."""
    return lambda *values: processes(COMMANDER, *(str(v) for v in values))


FLEXED = [0.8] * 3


class ServoSetup:
    """A servo bridge, its emulated servos and a bench."""

    wait_until = staticmethod(wait_until)

    def __init__(
        self, emulator: Emulator, start: Callable[[Emulator], Process], stack: contextlib.ExitStack
    ) -> None:
        self.emulator = emulator
        self._start = start
        self._stack = stack
        self.respawn()

    def respawn(self) -> None:
        """Start a bridge, and a bench that has never heard of an earlier one."""
        self.process = self._start(self.emulator)
        self.bench = Bench("servo_bridge", NAMES[:3])
        self._stack.callback(self.bench.close)
        self.bench.ready()

    def replace_servos(self) -> Emulator:
        """Plug in other servos at the same port."""
        self.emulator.end()
        self.emulator = Emulator(self.emulator.port.parent)
        self._stack.callback(self.emulator.end)
        return self.emulator

    def flex(self) -> None:
        assert self.bench.arm().success
        self.bench.stream([0.0] * 3, lambda: self.bench.at([0.0] * 3))
        self.bench.stream(FLEXED, lambda: self.bench.at(FLEXED))


@pytest.fixture
def start_servo_bridge() -> Iterator[Callable[[Emulator], Process]]:
    """Start a servo bridge to emulated servos."""
    with contextlib.ExitStack() as stack:

        def start(emulator: Emulator) -> Process:
            names = "[" + ", ".join(NAMES[:3]) + "]"
            path = emulator.port.parent / "calibration.yaml"
            process = start_bridge(
                "servo_bridge", dofs=names, calibration=path, safety__hold_time=0.5
            )
            stack.callback(process.end)
            return process

        yield start


@pytest.fixture
def setup(
    emulator: Emulator, start_servo_bridge: Callable[[Emulator], Process]
) -> Iterator[ServoSetup]:
    """A servo bridge that runs, disarmed."""
    with contextlib.ExitStack() as stack:
        yield ServoSetup(emulator, start_servo_bridge, stack)
