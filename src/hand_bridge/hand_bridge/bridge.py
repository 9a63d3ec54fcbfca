"""The node around every hand: messages and services in, safety core, status out."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import HandStatus, PipelineEvent, SessionState
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from emghand.dofs import DEFAULT_DOFS, dof_names, parse_dofs
from emghand.progress.rows import NOWHERE
from emghand.settings import check, setting
from emghand.storage.recording import PeriodKind
from emghand_ros import qos
from emghand_ros.clock import RosSteadyMap, steady_ns
from emghand_ros.conversions import MessageError, dofs_from_ros, dofs_to_ros, time_to_ns
from emghand_ros.node import STOP_SIGNALS, EmghandNode, run
from emghand_ros.parameters import SettingsParameters
from emghand_ros.senders import has_left, sender_of
from hand_bridge.cue import Cue
from hand_bridge.device import Hand
from hand_bridge.local_stop import LocalStop, make_stop
from hand_bridge.loop import HandLoop
from hand_bridge.safety import Command, SafetyCore, SafetySettings, State

COMMAND_TOPIC = "decoder/out_x_hat"
ESTOP_TOPIC = "/estop"
STATUS_PERIOD_S = 0.5
REFUSAL_PERIOD_S = 0.1
MAX_DETAIL = 160
AT_REST = 0.05

MakeHand = Callable[[Any, Sequence[str], Callable[[str], None]], Hand]


@dataclass(frozen=True)
class BridgeSettings:
    """Settings every bridge has."""

    dofs: tuple[str, ...] = setting(
        dof_names(DEFAULT_DOFS), "DOFs of the hand, NAME or NAME:LOW:HIGH", live=False
    )
    state_rate: float = setting(
        62.5, "Rate of hand/state", unit="Hz", low=1.0, high=500.0, live=False
    )
    local_stop: tuple[str, ...] = setting(
        ("signal", "key"),
        "Emergency stops beside the topic: signal (SIGUSR1), key (S or space in the terminal),"
        " serial:PORT:PIN (stops when the pin cts, dsr, cd or ri is not active)",
        live=False,
    )

    def __post_init__(self) -> None:
        check(self)


class HandBridge(EmghandNode):
    """Drives one hand with the commands of one publisher, as far as that is safe.

    Parameters
    ----------
    name : str
        Name of the node.
    settings : type
        Settings dataclass of the device; needs a field `rate`.
    make_hand : callable
        Makes the device from its settings, the names of the DOFs, and the local stop.
    safety : SafetySettings
        Defaults for this kind of device.
    place : str
        What it drives, `HAND` or `SIMULATOR`, for whoever reads a recording.
    """

    def __init__(
        self,
        name: str,
        settings: type,
        make_hand: MakeHand,
        safety: SafetySettings,
        place: str = NOWHERE,
    ) -> None:
        super().__init__(name)
        self._place = place
        self._settings = SettingsParameters(self, BridgeSettings).value
        self._device = SettingsParameters(self, settings).value
        self._safety = SettingsParameters(
            self, SafetySettings, "safety", self._change_safety, defaults=safety
        )
        self._make_hand = make_hand
        dofs = parse_dofs(self._settings.dofs)
        self._names = dof_names(dofs)
        self.core = SafetyCore(dofs, self._safety.value)
        self._loop: HandLoop | None = None
        self._hand: Hand | None = None
        self._cue = Cue()
        self._map = RosSteadyMap(self.get_clock())
        self._shown_revision = -1
        self._last_status = 0
        self._refused_before = 0
        self._refusals_to_show = False
        self._stops: list[LocalStop] = [make_stop(text) for text in self._settings.local_stop]
        self._state = self.create_publisher(JointState, "hand/state", qos.TICK)
        self._status = self.create_publisher(HandStatus, "hand/status", qos.LATCHED)
        self._subscribe()
        self.create_service(SetBool, "~/arm", self._on_arm)
        self.create_service(Trigger, "~/reset_estop", self._on_reset)
        self.create_timer(1.0 / self._settings.state_rate, self._publish)
        self.create_timer(1.0, self._look_for_commander)
        for stop in self._stops:
            stop.start(self.local_stop)

    def _subscribe(self) -> None:
        self.create_subscription(JointState, COMMAND_TOPIC, self._on_command, qos.COMMAND)
        self.create_subscription(JointState, "task/x_d", self._on_x_d, qos.COMMAND)
        self.create_subscription(SessionState, "session/state", self._on_session, qos.STATE)
        self.create_subscription(PipelineEvent, "decoder/event", self._on_event, qos.EVENT)
        # One subscription hears every writer, one misses nothing of reliable ones, and one gets a
        # stop that was published before this node was there.
        for profile in (qos.ANY_WRITER, qos.EVENT, qos.LATCHED):
            self.create_subscription(Bool, ESTOP_TOPIC, self._on_estop, profile)

    def _change_safety(self, settings: SafetySettings) -> None:
        self.core.set_settings(settings)

    # Lifecycle

    def configure(self) -> None:
        """Open the device; nothing moves."""
        self._hand = self._make_hand(self._device, self._names, self.local_stop)
        self._hand.open()
        self._hand.cue(self._cue)
        self._loop = HandLoop(self._hand, self.core, self._device.rate)

    def activate(self) -> None:
        """Start to step, disarmed."""
        if self._hand is not None and self._loop is not None:
            self._hand.open()
            self._loop.start()

    def deactivate(self) -> None:
        """Take the hand to rest and switch it off."""
        if self._loop is not None:
            self._loop.stop()
            self.get_logger().info(f"switched off {self._where()}")

    def _where(self) -> str:
        reading = self.core.reading()
        if reading is None:
            return "without knowing where the hand is"
        away = [
            f"{name} at {x:.2f}"
            for name, x in zip(self._names, reading.position, strict=True)
            if abs(x) > AT_REST
        ]
        return f"with {', '.join(away)}" if away else "with the hand at rest"

    def cleanup(self) -> None:
        """Close the device."""
        if self._hand is not None:
            self._hand.close()
            self._hand = None

    def stop_safely(self) -> None:
        """Take the hand to rest, undisturbed by further signals, and end."""
        with _undisturbed():
            super().stop_safely()
            for stop in self._stops:
                stop.close()

    # Messages

    def _on_command(self, message: JointState, info: dict[str, Any]) -> None:
        now = steady_ns()
        if self._map.update():
            self.core.clock_stepped()
        stamp = time_to_ns(message.header.stamp)
        age = self._map.to_ros(now) - stamp
        sender = sender_of(self, COMMAND_TOPIC, info)
        command = Command(sender, message.name, message.position, stamp, age)
        if self.core.command(command, now) is not None:
            self._refusals_to_show = True

    def _on_x_d(self, message: JointState) -> None:
        try:
            x_d = dofs_from_ros(message, self._names)
        except MessageError:
            return
        if self._hand is not None:
            self._hand.show(x_d)

    def _on_session(self, message: SessionState) -> None:
        known = message.period in set(PeriodKind)
        period = PeriodKind(message.period) if known else PeriodKind.IDLE
        self._cue = Cue(period, message.movement, message.trial, message.n_trials)
        if self._hand is not None:
            self._hand.cue(self._cue)

    def _on_event(self, message: PipelineEvent) -> None:
        if message.kind == PipelineEvent.FAULT:
            self.core.signal_fault(_readable(message.detail), steady_ns())
        elif message.kind in (PipelineEvent.MODEL, PipelineEvent.OUTPUT, PipelineEvent.RESET):
            self.core.ramp_in(steady_ns())

    def _on_estop(self, message: Bool) -> None:
        if message.data:
            self.core.estop("topic /estop")
            self._publish_status()

    def local_stop(self, reason: str) -> None:
        """Stop at once; may be called from any thread, publishes nothing itself."""
        self.core.estop(reason)

    # Services

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            response.message = self.core.arm(steady_ns())
            response.success = not response.message
            response.message = response.message or f"armed, {self.core.status().reason}"
        else:
            self.core.disarm()
            response.success = True
            response.message = self.core.status().reason
        asked = "arm" if request.data else "disarm"
        if response.success:
            self.get_logger().info(f"{asked}: {response.message}")
        else:
            self.get_logger().warning(f"{asked} refused: {response.message}")
        self._publish_status()
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if any(stop.pressed() for stop in self._stops):
            response.message = "a local stop is still pressed"
        elif self.core.reset_estop():
            response.success = True
            response.message = "reset; the hand is disarmed"
        else:
            response.message = "no emergency stop is latched"
        self._publish_status()
        return response

    # What it shows

    def _publish(self) -> None:
        reading = self.core.reading()
        if self.active and reading is not None:
            stamp = self.get_clock().now().to_msg()
            self._state.publish(dofs_to_ros(self._names, reading.position, stamp))
        since = (steady_ns() - self._last_status) / 1e9
        period = REFUSAL_PERIOD_S if self._refusals_to_show else STATUS_PERIOD_S
        if self.core.revision != self._shown_revision or since > period:
            self._publish_status()

    def _publish_status(self) -> None:
        status = self.core.status()
        if status.revision != self._shown_revision:
            log = self.get_logger()
            text = f"{status.state.name}: {status.reason}"
            # Not one call site: rclpy refuses a site whose severity changes.
            if status.state in (State.FAULT, State.ESTOP):
                log.warning(text)
            else:
                log.info(text)
        self._shown_revision = status.revision
        self._last_status = steady_ns()
        self._refusals_to_show = False
        message = HandStatus()
        message.header.stamp = self.get_clock().now().to_msg()
        message.state = int(status.state)
        message.fault = status.fault
        message.fault_action = status.fault_action
        message.reason = status.reason
        message.commander = status.commander
        message.accepted = status.accepted
        message.refused = status.refused
        message.refusals = json.dumps(dict(status.refusals), sort_keys=True)
        self._status.publish(message)

    def _look_for_commander(self) -> None:
        commander = self.core.status().commander
        if commander and has_left(self, COMMAND_TOPIC, commander):
            self.core.commander_left()

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """State, refusals since the last report, counts."""
        status = self.core.status()
        reading = self.core.reading()
        fresh = status.refused - self._refused_before
        self._refused_before = status.refused
        values: dict[str, object] = {
            "place": self._place,
            "state": status.state.name,
            "fault": status.fault,
            "fault_action": status.fault_action,
            "commander": status.commander,
            "accepted": status.accepted,
            "clipped": status.clipped,
            "refused": status.refused,
        }
        values |= {f"refused.{reason}": count for reason, count in status.refusals.items()}
        if self._loop is not None:
            values |= {
                "steps": self._loop.steps,
                "late_steps": self._loop.late,
                "reconnects": self._loop.reconnects,
            }
        level, text = DiagnosticStatus.OK, f"{status.state.name}: {status.reason}"
        if reading is not None and reading.temperature is not None and reading.temperature.size:
            hottest = float(reading.temperature.max())
            values["temperature_max"] = f"{hottest:.0f}"
            if hottest > self._safety.value.temperature_warn:
                level, text = DiagnosticStatus.WARN, f"a motor has {hottest:.0f} deg C"
        if reading is not None and reading.current is not None and reading.current.size:
            values["current_max"] = f"{float(reading.current.max()):.0f}"
        if fresh:
            level, text = DiagnosticStatus.WARN, f"{text}; {fresh} commands refused"
        if status.state in (State.FAULT, State.ESTOP):
            level = DiagnosticStatus.ERROR
        return level, text, values


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Without the signals that end a process, as far as this thread may decide on them."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # else it was not set from Python
                signal.signal(number, handler)


def _readable(detail: str) -> str:
    """Reason in the JSON detail of an event, or the detail itself, cut to a line."""
    try:
        parsed = json.loads(detail)
    except ValueError:
        parsed = detail
    if isinstance(parsed, dict):
        parsed = parsed.get("reason", parsed.get("fault", detail))
    return str(parsed)[:MAX_DETAIL]


def run_bridge(make_node: Callable[[], HandBridge]) -> int:
    """Run one bridge until it is told to stop; returns the exit status."""
    return run([make_node], executor_type=SingleThreadedExecutor)
