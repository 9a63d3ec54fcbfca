"""The frame of every emghand node: lifecycle with autostart, diagnostics, spinning."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from emghand.errors import UserError
from emghand_ros import qos

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a node in an orderly way; SIGHUP comes when its terminal is closed."""

WAIT_S = 0.2
"""Longest wait of the executor: a signal is noticed that much later at most."""

RETRY_S = 2.0
"""Time between two attempts to start a node whose device is not there yet."""

SWITCH_INTERVAL_S = 0.0005
"""How long a busy thread may keep the interpreter while a callback waits for it; Python's own 5 ms
would make every tick late that meets the loading of a model."""


def ear_of(recorder: str) -> str:
    """Name of the node that a recorder listens with, in the namespace of its own."""
    namespace, slash, name = recorder.rpartition("/")
    return f"{namespace}{slash}_{name}_ear"


class EmghandNode(LifecycleNode):
    """Lifecycle node that starts itself, logs failed transitions and reports on /diagnostics.

    Subclasses implement `configure`, `activate`, `deactivate` and `cleanup`, which raise
    `emghand.errors.UserError` with a sentence that says what to do, and `diagnose`.

    Attributes
    ----------
    active : bool
        Whether the node streams.
    failure : str
        Why the last transition failed; empty when it did not. Shown on /diagnostics.
    """

    def __init__(self, name: str, **kwargs: object) -> None:
        super().__init__(name, **kwargs)
        self.failure = ""
        self._configured = False
        self.declare_parameter(
            "autostart",
            True,
            ParameterDescriptor(
                description="Configure and activate at start, without a lifecycle manager",
                read_only=True,
            ),
        )
        self.declare_parameter(
            "diagnostics_period",
            1.0,
            ParameterDescriptor(
                description="Period of the messages on /diagnostics [s]",
                floating_point_range=[FloatingPointRange(from_value=0.1, to_value=3600.0)],
                read_only=True,
            ),
        )
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
        if self.active:
            return DiagnosticStatus.OK, "active", {}
        return DiagnosticStatus.WARN, "inactive", {}

    def stop_safely(self) -> None:
        """Deactivate and clean up: the last call before the process ends.

        Publishing still works after SIGINT and SIGTERM, but not when somebody else shut the
        context down: what has to reach a device goes straight to the device.
        """
        if self.active:
            self.active = False
            self._transition(self.deactivate)
        self._transition(self.cleanup)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `configure`."""
        result = self._transition(self.configure)
        self._configured = result is SUCCESS
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `activate`."""
        super().on_activate(state)
        result = self._transition(self.activate)
        self.active = result is SUCCESS
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `deactivate`."""
        self.active = False
        result = self._transition(self.deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `cleanup`."""
        self._configured = False
        return self._transition(self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate and clean up."""
        if self.active:
            self.on_deactivate(state)
        return self._transition(self.cleanup)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Fall back to unconfigured after an error."""
        self._configured = False
        return self._transition(self.cleanup)

    def _transition(self, step: Callable[[], None]) -> TransitionCallbackReturn:
        # rclpy swallows what a transition callback raises, without a line in the log.
        before = self.failure
        try:
            step()
        except UserError as error:
            self.failure = str(error)
        except Exception as error:
            self.failure = f"{step.__name__} failed: {error!r}"
            print(traceback.format_exc(), file=sys.stderr)
        else:
            self.failure = ""
            return SUCCESS
        if rclpy.ok() and self.failure != before:
            self.get_logger().error(self.failure)
        return FAILURE

    def start(self) -> bool:
        """Configure and activate, as far as that is not done; False when one of them failed."""
        if not self._configured and self.trigger_configure() is not SUCCESS:
            return False
        return self.active or self.trigger_activate() is SUCCESS

    def autostart(self) -> None:
        """Start; where that fails, for example because a device is not there yet, try again."""
        if not self.start():
            self._retry = self.create_timer(RETRY_S, self._start_again)

    def _start_again(self) -> None:
        if self.active or self.start():
            self.destroy_timer(self._retry)

    def publish_diagnostics(self) -> None:
        """Publish `diagnose` on /diagnostics now."""
        level, message, values = self.diagnose()
        if self.failure:
            level, message = DiagnosticStatus.ERROR, self.failure
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

    Waits are bounded: an unbounded wait of the EventsExecutor overflows in some releases and then
    never returns, and a signal is only handled between two waits.
    """
    while rclpy.ok() and not (stop is not None and stop.is_set()):
        executor.spin_until_future_complete(Future(), timeout_sec=WAIT_S)


def _stop_on_signals() -> threading.Event:
    # rclpy's own handlers invalidate the context at once, so that nothing can be published any
    # more, and leave Python's KeyboardInterrupt to strike in the middle of any callback.
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: stop.set())
    return stop


def run(
    makers: Sequence[Callable[[], EmghandNode]],
    args: Sequence[str] | None = None,
    executor_type: Callable[[], rclpy.executors.Executor] = make_executor,
) -> int:
    """Run one or several nodes in this process until `STOP_SIGNALS` or the end of the context.

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
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    stop = _stop_on_signals()
    try:
        context = rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except rclpy_implementation.RCLError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with context:
        try:
            executor = executor_type()
            for make in makers:
                nodes.append(make())
                executor.add_node(nodes[-1])
            for node in nodes:
                if node.get_parameter("autostart").value:
                    node.autostart()
            # What exists now stays: without this a full collection walks through all of
            # numpy and scipy in the middle of a tick.
            gc.collect()
            gc.freeze()
            spin(executor, stop)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except ExternalShutdownException:
            pass
        finally:
            for node in nodes:
                node.stop_safely()
    return 0
