"""What tests with real nodes share: an isolated graph that spins in a thread, and waiting."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import rclpy
from rclpy.action import ActionClient, ActionServer
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from emghand.client.domain import claim_domain
from emghand_ros.node import make_executor, spin

NodeT = TypeVar("NodeT", bound=Node)
TIMEOUT_S = 10.0


def wait_until(condition: Callable[[], object], what: str, timeout: float = TIMEOUT_S) -> None:
    """Wait for a condition; `AssertionError` that names `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(0.005)


@contextlib.contextmanager
def process(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process with all that it starts; nothing of it is left when the block is, however that is.

    Parameters
    ----------
    command : sequence
    **options
        Of `subprocess.Popen`.
    """
    with subprocess.Popen(command, start_new_session=True, **options) as started:
        try:
            yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)


class Graph:
    """Nodes in a domain of their own, spun by one thread as `emghand_ros.node.run` would.

    Parameters
    ----------
    isolated : bool
        The process is in a domain of its own already: it has called
        `emghand.client.domain.claim_domain`.

    Examples
    --------
    >>> with Graph() as graph:  # doctest: +SKIP
    ...     node = graph.add(FeatureNode())
    """

    def __init__(self, *, isolated: bool = False) -> None:
        self._isolated = isolated

    def __enter__(self) -> Graph:
        if not self._isolated:
            claim_domain()
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.executor = make_executor()
        self._stop = threading.Event()
        self._nodes: list[Node] = []
        self._thread = threading.Thread(target=spin, args=(self.executor, self._stop), daemon=True)
        self._thread.start()
        self._apart: list[threading.Thread] = []
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in (self._thread, *self._apart):
            thread.join(TIMEOUT_S)
        try:
            for node in self._nodes:
                if hasattr(node, "stop_safely"):
                    node.stop_safely()
        finally:
            self._release()
            rclpy.shutdown()

    def _release(self) -> None:
        # A participant lives as long as anything of its nodes, and the garbage collector does not
        # see what an EventsExecutor holds: what is left here would be met by the tests that follow.
        for node in self._nodes:
            self.executor.remove_node(node)
            for waitable in list(node.waitables):
                if isinstance(waitable, (ActionClient, ActionServer)):
                    waitable.destroy()
            node.destroy_node()
            if isinstance(node, LifecycleNode):  # rclpy leaves it to the garbage collector
                node._state_machine.destroy_when_not_in_use()
        self._nodes.clear()
        self.executor.shutdown()
        del self.executor

    def add(self, node: NodeT) -> NodeT:
        """Add a node to the executor."""
        self._nodes.append(node)
        if threading.current_thread() is self._thread:
            self.executor.add_node(node)
        else:  # between two callbacks: the EventsExecutor must not see its nodes change
            self.call(lambda: self.executor.add_node(node))
        return node

    def add_apart(self, node: NodeT) -> NodeT:
        """Add a node that asks who sent a message: with an executor of its own, which tells."""
        self._nodes.append(node)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        self._apart.append(threading.Thread(target=spin, args=(executor, self._stop), daemon=True))
        self._apart[-1].start()
        return node

    def call(self, function: Callable[[], object], timeout: float = TIMEOUT_S) -> object:
        """Run `function` in the executor's thread, between two callbacks; its result."""
        return self.result(self.executor.create_task(function), "a call", timeout)

    def action_client(self, node: Node, kind: type, name: str) -> ActionClient:
        """A client of an action, made where no other thread sees it half made."""
        made: Any = self.call(lambda: ActionClient(node, kind, name))
        return made

    def send_goal(
        self, client: Any, goal: object, feedback: Callable[[Any], None] | None = None
    ) -> Any:
        """Send a goal; its handle.

        In the executor's thread: rclpy of Kilted makes a second future for the goal, and an answer
        that is heard in another thread before that is lost with the first one.
        """
        sent: Any = self.call(lambda: client.send_goal_async(goal, feedback_callback=feedback))
        return self.result(sent, "the goal")

    def result(self, future: Future, what: str, timeout: float = TIMEOUT_S) -> object:
        """Wait for a future; its result."""
        wait_until(future.done, what, timeout)
        return future.result()
