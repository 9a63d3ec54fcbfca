"""What the driver nodes share: choosing a device, running it, reporting on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.publisher import Publisher

from emghand.devices import Acquisition, DeviceKind, State
from emghand.settings import check, setting
from emghand_ros.clock import RosSteadyMap
from emghand_ros.node import EmghandNode
from emghand_ros.parameters import SettingsParameters


@dataclass(frozen=True)
class DriverSettings:
    """What every driver has in common; a driver's own settings add the choice of its device."""

    first_pause_s: float = setting(
        0.25, "Pause before the first attempt to reconnect", unit="s", low=0.01, high=60, live=False
    )
    longest_pause_s: float = setting(
        5.0, "Longest pause between attempts to reconnect", unit="s", low=0.01, high=60, live=False
    )

    def __post_init__(self) -> None:
        check(self)


class DeviceRunner:
    """One device of several kinds, chosen by parameter, run in a thread for a node.

    Declares the parameters of the driver and, as ``<device>.<setting>``, those of every device.

    Parameters
    ----------
    node : EmghandNode
    kinds : mapping of name to DeviceKind
    settings : type
        `DriverSettings` with a field ``device``, and perhaps more.
    on_open, on_reading : callable
        See `emghand.devices.Acquisition`; called in its thread.
    """

    def __init__(
        self,
        node: EmghandNode,
        kinds: Mapping[str, DeviceKind],
        settings: type,
        on_open: Callable[[Any], None],
        on_reading: Callable[[Any], None],
    ) -> None:
        self._node = node
        self._kinds = kinds
        self._common: SettingsParameters[Any] = SettingsParameters(node, settings)
        self._specific: dict[str, SettingsParameters[Any]] = {
            name: SettingsParameters(node, kind.settings, prefix=name)
            for name, kind in kinds.items()
        }
        self._callbacks = (on_open, on_reading)
        self._acquisition: Acquisition[Any, Any] | None = None
        self.device: Any = None
        """The configured device; None when there is none."""
        self.clock_map = RosSteadyMap(node.get_clock())
        node.create_timer(1.0, self._follow_clock)

    @property
    def settings(self) -> Any:
        """The driver's settings as they are now."""
        return self._common.value

    def configure(self, block_size: int = 0) -> None:
        """Make the device: checks its settings and reads files.

        Raises
        ------
        UserError
            For a mistake that trying again does not mend.
        """
        common = self._common.value
        name = common.device
        self.device = self._kinds[name].make(self._specific[name].value, block_size)
        self._acquisition = Acquisition(
            self.device,
            *self._callbacks,
            self._on_state,
            common.first_pause_s,
            common.longest_pause_s,
        )

    def start(self) -> None:
        """Connect and stream in the acquisition thread."""
        if self._acquisition is not None:
            self._acquisition.start()

    def stop(self) -> None:
        """Stop the thread and disconnect."""
        if self._acquisition is not None and not self._acquisition.stop():
            self._node.get_logger().error("the device does not let go, its thread is left behind")

    def cleanup(self) -> None:
        """Forget the device."""
        self.device = self._acquisition = None

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """Level, state with its reason, and counts for `EmghandNode.diagnose`."""
        acquisition, device = self._acquisition, self.device
        if acquisition is None or device is None:
            return DiagnosticStatus.OK, "not configured", {}
        state, reason = acquisition.status
        healthy = state is State.STREAMING or not self._node.active
        values = {
            "device": self._common.value.device,
            "state": state.value,
            "opened": acquisition.opened,
            **device.counters(),
        }
        level = DiagnosticStatus.OK if healthy else DiagnosticStatus.WARN
        return level, f"{state.value}: {reason}" if reason else state.value, values

    def publish(self, publisher: Publisher, message: object) -> None:
        """Publish from the acquisition thread, under which the context may end at any time."""
        try:
            publisher.publish(message)
        except RuntimeError:
            if self._node.context.ok():
                raise

    def _on_state(self, state: State, reason: str) -> None:
        if not self._node.context.ok():
            return
        log = self._node.get_logger()
        if state is State.RECONNECTING:
            log.warning(f"reconnecting: {reason}")
        else:
            log.info(f"{state.value}: {reason}" if reason else state.value)

    def _follow_clock(self) -> None:
        if self.clock_map.update():
            self._node.get_logger().warning("the clock of this machine stepped, stamps follow it")
