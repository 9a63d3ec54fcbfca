"""Runs on every host: tells its time, and creates the nodes that its allow-list knows."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.srv import CreateStage, EchoClock, RemoveStage

from emghand.errors import UserError
from emghand.settings import check, setting
from emghand_ros.background import run_in_thread
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters
from host_node.allow_list import Kind, check_name, load_allow_list
from host_node.children import Child, end

POLL_S = 0.02


@dataclass(frozen=True)
class HostSettings:
    """Parameters of a host."""

    host: str = setting("", "Name of this host; empty: that of the machine", live=False)
    allow: str = setting("", "YAML file of the kinds that may be created; empty: none", live=False)
    most: int = setting(16, "Most nodes at a time", low=1, high=256, live=False)
    start_s: float = setting(
        10.0, "A node that is not in the graph by then has failed", unit="s", low=0.1, high=120.0,
        live=False,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)
        if self.host:
            check_name(self.host)


def machine_name() -> str:
    """Name of this machine as part of a topic name."""
    name = re.sub(r"[^a-z0-9]+", "_", socket.gethostname().lower()).strip("_")[:40]
    return name if name[:1].isalpha() else f"host_{name}"[:40].rstrip("_")


class HostNode(EmghandNode):
    """Services ``/hosts/HOST/echo_clock``, ``create_stage`` and ``remove_stage``.

    Parameters
    ----------
    clock : callable, optional
        Time of this host [ns]; default: ROS time.
    """

    def __init__(self, clock: Callable[[], int] | None = None, **kwargs: object) -> None:
        super().__init__("host_node", **kwargs)
        settings = SettingsParameters(self, HostSettings).value
        self._settings = settings
        self.host = settings.host or machine_name()
        self._time = clock or (lambda: self.get_clock().now().nanoseconds)
        self._kinds: dict[str, Kind] = {}
        self._children: dict[str, Child] = {}
        self._busy: set[str] = set()
        self._ended: set[str] = set()  # names that the graph may show for a while after their end
        self._pings = 0
        self.create_service(EchoClock, f"/hosts/{self.host}/echo_clock", self._on_echo)
        self.create_service(CreateStage, f"/hosts/{self.host}/create_stage", self._on_create)
        self.create_service(RemoveStage, f"/hosts/{self.host}/remove_stage", self._on_remove)

    def configure(self) -> None:
        """Read the allow-list."""
        path = self._settings.allow
        self._kinds = load_allow_list(path) if path else {}

    def deactivate(self) -> None:
        """End every node that was created."""
        end(list(self._children.values()))
        self._children.clear()

    def _on_echo(
        self, request: EchoClock.Request, response: EchoClock.Response
    ) -> EchoClock.Response:
        response.t_receive = self._time()
        response.t_send = request.t_send
        self._pings += 1
        response.t_reply = self._time()
        return response

    async def _on_create(
        self, request: CreateStage.Request, response: CreateStage.Response
    ) -> CreateStage.Response:
        try:
            child = self._start(request)
        except UserError as error:
            response.message = str(error)
            return response
        self._busy.add(child.name)
        try:
            failure = await run_in_thread(self, lambda: self._watch_start(child))
        finally:
            self._busy.discard(child.name)
        if failure:
            self._forget(child.name)
            self.get_logger().error(failure)
        response.success = not failure
        response.message = failure or f"{child.name}: runs as process {child.pid}"
        return response

    def _start(self, request: CreateStage.Request) -> Child:
        if not self.active:
            raise UserError(f"host {self.host} is not active")
        kind = self._kinds.get(request.kind)
        if kind is None:
            known = ", ".join(sorted(self._kinds)) or "none"
            raise UserError(f"{request.kind!r} may not be created on {self.host}, only: {known}")
        name = check_name(request.name)
        old = self._children.get(name)
        if old is not None and old.exit_status is not None and name not in self._busy:
            old.discard()
            self._forget(name)
        in_graph = name in self.get_node_names() and name not in self._ended
        if name in self._children or in_graph:
            raise UserError(f"{name}: is there already, choose another name or remove it first")
        if len(self._children) >= self._settings.most:
            raise UserError(f"{self.host} has {self._settings.most} nodes, remove one first")
        # Here and not in a thread: a process ends with the thread that has started it.
        child = self._children[name] = Child(name, kind, request.arguments)
        self.get_logger().info(f"{name}: {request.kind} starts as process {child.pid}")
        return child

    def _forget(self, name: str) -> None:
        self._children.pop(name, None)
        self._ended.add(name)

    def _watch_start(self, child: Child) -> str:
        """Wait until the node is in the graph; why it is not, otherwise."""
        deadline = time.monotonic() + self._settings.start_s
        # One that was killed stays in the graph until it is missed: a second one must come.
        others = self.get_node_names().count(child.name) if child.name in self._ended else 0
        while time.monotonic() < deadline and self.context.ok():
            if child.exit_status is not None:
                break
            count = self.get_node_names().count(child.name)
            if count > others:
                return ""
            others = min(others, count)
            time.sleep(POLL_S)
        status = child.exit_status
        end([child])
        if status is None:
            return f"{child.name}: did not start within {self._settings.start_s:g} s, ended"
        return f"{child.name}: ended at its start with status {status}, see the log of its host"

    async def _on_remove(
        self, request: RemoveStage.Request, response: RemoveStage.Response
    ) -> RemoveStage.Response:
        name = request.name
        child = self._children.get(name)
        if child is None or name in self._busy:
            known = ", ".join(sorted(self._children.keys() - self._busy)) or "none"
            response.message = f"{name!r} was not created here, only: {known}"
            return response
        self._busy.add(name)
        try:
            await run_in_thread(self, lambda: end([child]))
        finally:
            self._busy.discard(name)
        self._forget(name)
        response.success = True
        response.message = f"{name}: ended with status {child.exit_status}"
        self.get_logger().info(response.message)
        return response

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What runs here, and what has died."""
        if not self.active:
            return DiagnosticStatus.WARN, "inactive", {}
        dead = [n for n, c in self._children.items() if c.exit_status is not None]
        values: dict[str, object] = {"host": self.host, "pings": self._pings}
        for name, child in self._children.items():
            status = child.exit_status
            values[name] = f"process {child.pid}" if status is None else f"ended: {status}"
        if dead:
            return DiagnosticStatus.ERROR, f"ended unasked: {', '.join(dead)}", values
        return DiagnosticStatus.OK, f"{len(self._children)} nodes", values


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return run([HostNode], args)


if __name__ == "__main__":
    sys.exit(main())
