"""Settings of the safety core."""

from __future__ import annotations

from dataclasses import dataclass

from emghand.settings import SettingsError, check, setting

ACTIONS = ("rest", "hold", "open", "limp")


@dataclass(frozen=True)
class SafetySettings:
    """Limits, time-outs and fault actions of one bridge. The defaults are the simulator's."""

    command_rate: float = setting(
        62.5, "Rate at which commands are expected", unit="Hz", low=1.0, high=1000.0
    )
    watchdog_periods: int = setting(
        6, "Periods without a fresh command after which the watchdog acts", low=2, high=100
    )
    resume_commands: int = setting(
        6,
        "Commands in a row, none later than the watchdog allows, that end a watchdog or signal"
        " fault",
        low=1,
        high=100,
    )
    max_age: float = setting(
        0.150, "Commands with an older stamp are refused", unit="s", low=0.01, high=10.0
    )
    max_ahead: float = setting(
        0.020, "Commands with a stamp further ahead are refused", unit="s", low=0.0, high=10.0
    )
    speed_limit: tuple[float, ...] = setting(
        (6.0,), "Largest speed, one for all DOFs or one each", unit="1/s", low=0.01, high=100.0
    )
    ramp_speed: float = setting(
        1.0, "Speed of ramps: to rest, and at the start of a ramp-in", unit="1/s", low=0.05, high=10
    )
    ramp_in: float = setting(
        1.0,
        "Time in which the speed limit grows from ramp_speed to speed_limit after arming, a fault,"
        " or another model",
        unit="s",
        low=0.0,
        high=10.0,
    )
    on_watchdog: str = setting(
        "rest", "Fault action when the commands stop", choices=ACTIONS, live=False
    )
    on_signal: str = setting(
        "rest", "Fault action when the decoder refuses its signal", choices=ACTIONS, live=False
    )
    on_limit: str = setting(
        "rest", "Fault action when a current, temperature or device limit is exceeded",
        choices=ACTIONS, live=False,
    )  # fmt: skip
    on_estop: str = setting(
        "hold", "What an emergency stop does; it never moves the hand", choices=("hold", "limp")
    )
    hold_time: float = setting(
        2.0, "How long the action hold holds before it goes to rest", unit="s", low=0.0, high=600.0
    )
    hold_current: float = setting(
        0.4, "Fraction of the current limit used while holding", low=0.05, high=1.0
    )
    open_posture: tuple[float, ...] = setting(
        (),
        "Posture of the action open, one value per DOF; empty: every DOF at its extension limit,"
        " a wrist at rest",
        low=-1.0,
        high=1.0,
    )
    temperature_warn: float = setting(
        60.0, "Motor temperature that is shown as a warning", unit="deg C", low=20.0, high=120.0
    )
    temperature_max: float = setting(
        70.0, "Motor temperature that is a fault", unit="deg C", low=20.0, high=120.0
    )
    current_max: float = setting(
        0.0, "Motor current that is a fault when it lasts; 0: none", unit="mA", low=0.0, high=1e5
    )
    current_time: float = setting(
        0.5, "How long current_max may be exceeded", unit="s", low=0.0, high=60.0
    )
    feedback_timeout: float = setting(
        0.2, "Time without an answer of the hand that is a fault", unit="s", low=0.02, high=10.0
    )
    rebind: bool = setting(
        False,
        "Let another publisher take over, ramped, once the first has left the graph and the"
        " watchdog has acted; else the hand must be armed again",
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.speed_limit:
            raise SettingsError("speed_limit: give one value, or one per DOF")
        if self.ramp_speed > min(self.speed_limit):
            raise SettingsError(
                f"ramp_speed: {self.ramp_speed} must not exceed speed_limit {min(self.speed_limit)}"
            )
        if self.temperature_warn > self.temperature_max:
            raise SettingsError("temperature_warn: must not be above temperature_max")

    @property
    def watchdog_ns(self) -> int:
        """Time without a fresh command after which the watchdog acts [ns]."""
        return int(1e9 * self.watchdog_periods / self.command_rate)
