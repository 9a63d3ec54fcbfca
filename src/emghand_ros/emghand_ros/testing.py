"""What tests with real nodes share: an isolated graph that spins in a thread, and waiting."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from emghand_ros.node import make_executor, spin

NodeT = TypeVar("NodeT", bound=Node)
TIMEOUT_S = 10.0


def isolate() -> int:
    """Choose a random ROS domain on this machine, for this process and its children."""
    domain = random.SystemRandom().randint(1, 101)
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    return domain


def wait_until(condition: Callable[[], object], what: str, timeout: float = TIMEOUT_S) -> None:
    """Wait for a condition; `AssertionError` that names `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(0.005)


class Graph:
    """Nodes in a domain of their own, spun by one thread as `emghand_ros.node.run` would.

    Parameters
    ----------
    isolated : bool
        The process is in a domain of its own already, see `isolate`.

    Examples
    --------
    >>> with Graph() as graph:  # doctest: +SKIP
    ...     node = graph.add(FeatureNode())
    """

    def __init__(self, *, isolated: bool = False) -> None:
        self._isolated = isolated

    def __enter__(self) -> Graph:
        if not self._isolated:
            isolate()
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.executor = make_executor()
        self._stop = threading.Event()
        self._nodes: list[Node] = []
        self._thread = threading.Thread(target=spin, args=(self.executor, self._stop), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(TIMEOUT_S)
        try:
            for node in self._nodes:
                if hasattr(node, "stop_safely"):
                    node.stop_safely()
                node.destroy_node()
        finally:
            rclpy.shutdown()

    def add(self, node: NodeT) -> NodeT:
        """Add a node to the executor."""
        self._nodes.append(node)
        self.executor.add_node(node)
        return node

    def call(self, function: Callable[[], object], timeout: float = TIMEOUT_S) -> object:
        """Run `function` in the executor's thread, between two callbacks; its result."""
        return self.result(self.executor.create_task(function), "a call", timeout)

    def result(self, future: Future, what: str, timeout: float = TIMEOUT_S) -> object:
        """Wait for a future; its result."""
        wait_until(future.done, what, timeout)
        return future.result()
