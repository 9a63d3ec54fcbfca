"""The frame of every emghand node: lifecycle with autostart, diagnostics, spinning."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.task import Future

from emghand.errors import UserError
from emghand_ros import qos

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE


class EmghandNode(LifecycleNode):
    """Lifecycle node that starts itself, logs failed transitions and reports on /diagnostics.

    Subclasses implement `configure`, `activate`, `deactivate` and `cleanup`, which raise
    `emghand.errors.UserError` with a sentence that says what to do, and `diagnose`.
    """

    def __init__(self, name: str, **kwargs: object) -> None:
        super().__init__(name, **kwargs)
        self.declare_parameter("autostart", True)
        self.declare_parameter("diagnostics_period", 1.0)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.SLOW)
        period = self.get_parameter("diagnostics_period").value
        self.create_timer(period, self.publish_diagnostics)
        self.active = False

    def configure(self) -> None:
        """Check every setting and open what has to be opened."""

    def activate(self) -> None:
        """Start to stream."""

    def deactivate(self) -> None:
        """Stop streaming."""

    def cleanup(self) -> None:
        """Close what `configure` opened."""

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """Level (`DiagnosticStatus.OK` ...), one sentence, and values by name."""
        return DiagnosticStatus.OK, "active" if self.active else "inactive", {}

    def stop_safely(self) -> None:
        """Last call before the process ends. Publishing no longer works here."""
        self._run(self.deactivate, quiet=True) if self.active else None
        self._run(self.cleanup, quiet=True)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `configure`."""
        return self._run(self.configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `activate`."""
        super().on_activate(state)
        result = self._run(self.activate)
        self.active = result is SUCCESS
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `deactivate`."""
        self.active = False
        result = self._run(self.deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `cleanup`."""
        return self._run(self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate and clean up."""
        if self.active:
            self.on_deactivate(state)
        return self._run(self.cleanup)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Fall back to unconfigured after an error."""
        return self._run(self.cleanup)

    def _run(self, step: Callable[[], None], *, quiet: bool = False) -> TransitionCallbackReturn:
        # rclpy swallows what a transition callback raises, without a line in the log.
        try:
            step()
        except UserError as error:
            if not quiet:
                self.get_logger().error(str(error))
            return FAILURE
        except Exception as error:
            if not quiet:
                self.get_logger().error(f"{step.__name__} failed: {error!r}")
            return FAILURE
        return SUCCESS

    def start(self) -> bool:
        """Configure and activate; False when one of them failed."""
        return self.trigger_configure() is SUCCESS and self.trigger_activate() is SUCCESS

    def publish_diagnostics(self) -> None:
        """Publish `diagnose` on /diagnostics now."""
        level, message, values = self.diagnose()
        status = DiagnosticStatus(
            level=level,
            name=self.get_fully_qualified_name().lstrip("/"),
            message=message,
            hardware_id="",
            values=[KeyValue(key=k, value=str(v)) for k, v in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def make_executor() -> rclpy.executors.Executor:
    """The fastest executor this distribution has that loses nothing.

    `EventsExecutor` where it exists (Kilted and later), else `SingleThreadedExecutor`. Not
    `MultiThreadedExecutor`: it was measured to drop messages at 1 kHz.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def spin(executor: rclpy.executors.Executor, stop: threading.Event | None = None) -> None:
    """Spin until the context is shut down or `stop` is set.

    Waits are bounded, because an unbounded wait of the EventsExecutor overflows in some releases
    and then never returns.
    """
    never = Future()
    while rclpy.ok() and not (stop is not None and stop.is_set()):
        executor.spin_until_future_complete(never, timeout_sec=1.0 if stop is None else 0.1)


def run(
    makers: Sequence[Callable[[], EmghandNode]],
    args: Sequence[str] | None = None,
    executor_type: Callable[[], rclpy.executors.Executor] = make_executor,
) -> int:
    """Run one or several nodes in this process until it is told to stop.

    Parameters
    ----------
    makers : sequence of callable
        Each makes one node.
    args : sequence of str, optional
        ROS arguments; default: those of the command line.
    executor_type : callable
        Makes the executor. Nodes whose callbacks ask for the message info need
        `SingleThreadedExecutor`: the EventsExecutor of Kilted ends with a SystemError there.

    Returns
    -------
    int
        Exit status: 0, or 1 when a node could not be made.
    """
    nodes: list[EmghandNode] = []
    try:
        with rclpy.init(args=args):
            executor = executor_type()
            for make in makers:
                nodes.append(make())
                executor.add_node(nodes[-1])
            for node in nodes:
                if node.get_parameter("autostart").value:
                    node.start()
            spin(executor)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        for node in nodes:
            node.stop_safely()
    return 0
