"""Settings of the synthetic arm."""

from __future__ import annotations

from dataclasses import dataclass

from emghand.settings import SettingsError, check, setting


@dataclass(frozen=True)
class SyntheticSettings:
    """The synthetic arm, its electrodes and its amplifier.

    `seed` makes the person (muscles, electrodes); `run` makes the day (noise, variability). The
    same seed with another run is the same person recorded again.
    """

    seed: int = setting(1, "Makes the muscles and the electrodes: the person", low=0, live=False)
    run: int = setting(0, "Makes the noise and the variability: the day", low=0, live=False)
    dofs: tuple[str, ...] = setting(
        (
            "thumb_flex",
            "index_flex",
            "middle_flex",
            "ring_flex",
            "little_flex",
            "wrist_flex",
        ),
        "DOFs the person can move, two muscles each",
        live=False,
    )
    muscles: int = setting(
        0,
        "Muscles shared by the DOFs, each an action in one direction; 0: two muscles per DOF",
        low=0,
        high=64,
        live=False,
    )
    n_channels: int = setting(
        16,
        "Electrodes: two rings when even and at least 12, otherwise one ring",
        low=1,
        high=256,
        live=False,
    )
    rate: float = setting(
        1000.0, "Samples per second and channel", unit="Hz", low=200.0, high=10000.0, live=False
    )
    amplitude: float = setting(
        200e-6,
        "RMS of a channel of middling place when a DOF is held at 1",
        unit="V",
        low=1e-6,
        high=0.01,
        live=False,
    )
    noise: float = setting(
        4e-6, "RMS of the amplifier's noise", unit="V", low=0.0, high=0.01, live=False
    )
    hum: float = setting(
        5e-6, "Amplitude of the mains hum", unit="V", low=0.0, high=0.1, live=False
    )
    hum_hz: float = setting(50.0, "Mains frequency", unit="Hz", low=10.0, high=100.0, live=False)
    reaction_s: float = setting(
        0.15, "Delay from the prompt to the muscles", unit="s", low=0.0, high=2.0, live=False
    )
    variability: float = setting(
        0.15,
        "Log-normal spread of the effort from trial to trial, per muscle and common",
        low=0.0,
        high=1.0,
        live=False,
    )
    unsteadiness: float = setting(
        0.08, "Relative spread of the effort within a trial", low=0.0, high=1.0, live=False
    )
    drift_start_s: float = setting(
        0.0, "When the drift begins", unit="s", low=0.0, high=1e6, live=False
    )
    drift_ramp_s: float = setting(
        60.0, "Time until the drift is complete", unit="s", low=0.0, high=1e6, live=False
    )
    drift_gain: float = setting(
        0.0, "Log-normal spread of each electrode's final gain", low=0.0, high=2.0, live=False
    )
    drift_shift_deg: float = setting(
        0.0, "Final rotation of the electrodes", unit="deg", low=-180.0, high=180.0, live=False
    )
    drift_level: float = setting(
        1.0, "Final factor of the signal of all electrodes", low=0.01, high=10.0, live=False
    )
    drift_noise: float = setting(
        0.0,
        "RMS of the noise that is added in the end to 70 % of the electrodes",
        unit="V",
        low=0.0,
        high=0.01,
        live=False,
    )
    drift_dead: int = setting(
        -1,
        "Electrode that loses its signal when the drift begins, from 0 on; -1: none",
        low=-1,
        high=255,
        live=False,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.drift_dead >= self.n_channels:
            raise SettingsError(f"drift_dead: there are electrodes 0 to {self.n_channels - 1}")
        if not self.dofs or len(set(self.dofs)) != len(self.dofs):
            raise SettingsError(f"dofs: name each DOF once, got: {', '.join(self.dofs) or 'none'}")

    @property
    def drifts(self) -> bool:
        """Whether mixing or noise change over time."""
        changed = (self.drift_gain, self.drift_shift_deg, self.drift_level - 1.0, self.drift_noise)
        return any(changed) or self.drift_dead >= 0

    @property
    def full_scale(self) -> float:
        """Largest value of the simulated amplifier [V]."""
        return 0.01
