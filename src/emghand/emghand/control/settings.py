"""Settings of the output filters, flat enough to be ROS parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from emghand.settings import SettingsError, check, setting

T = TypeVar("T")

STEPS = ("gain", "latch", "dead_zone", "mode", "relax", "speed_limit", "clip")


@dataclass(frozen=True)
class OutputSettings:
    """How `x_hat` becomes `out_x_hat`.

    A tuple holds one value per DOF, or a single one for all of them.

    The defaults pass on what the decoder says with as little delay as is safe, by measurement on
    synthetic subjects with the default decoder. The latch is off: the leaky one costs 0.09 of the
    uncompensated R² and the plain one 0.17, because at 60 Hz the changes from tick to tick are
    small; the decoder smooths already. The rescaled dead zone costs nothing, cuts unintended
    movement to less than a half, keeps a resting hand entirely still and, unlike a hard one, does
    not jump at its edge. The speed limit lies above the peak speed of prompted movements, so that
    it acts on jumps only.
    """

    order: tuple[str, ...] = setting(
        STEPS,
        "Order of the steps; each one once, clip last. gain includes tie and lock.",
        choices=STEPS,
    )
    gain_positive: tuple[float, ...] = setting(
        (1.0,),
        "Gain of positive estimates (flexion); 0 disables the direction.",
        low=0.0,
        high=10.0,
    )
    gain_negative: tuple[float, ...] = setting(
        (1.0,),
        "Gain of negative estimates (extension); 0 disables the direction.",
        low=0.0,
        high=10.0,
    )
    tie: tuple[str, ...] = setting(
        ("",), "DOF that this DOF copies, after the gain of that DOF; empty: none."
    )
    lock: tuple[bool, ...] = setting((False,), "Hold the DOF at lock_value.")
    lock_value: tuple[float, ...] = setting(
        (0.0,), "Where a locked DOF is held, before relax_pos.", low=-1.0, high=1.0
    )
    latch: tuple[str, ...] = setting(
        ("off",), "Latching filter (Nieveen et al. 2020).", choices=("off", "plain", "leaky")
    )
    latch_c: tuple[float, ...] = setting(
        (1.0,),
        "C of the plain latch, given at 30 Hz; 0 freezes, large passes.",
        low=0.0,
        high=1e12,
    )
    leaky_c: tuple[float, ...] = setting(
        (4.0,), "C of the leaky latch, given at 30 Hz.", low=0.0, high=1e12
    )
    leaky_a: tuple[float, ...] = setting(
        (0.02,), "Leak of the leaky latch per tick, given at 30 Hz.", low=0.0, high=1.0
    )
    latch_feedback: str = setting(
        "own",
        "State of the latch: its own, or the final output (for comparison only: small inputs "
        "then never move the hand).",
        choices=("own", "output"),
    )
    dead_zone: tuple[str, ...] = setting(
        ("rescale",),
        "Dead zone about rest: hard keeps the value outside, rescale starts from 0 at the edge.",
        choices=("off", "hard", "rescale"),
    )
    dead_zone_positive: tuple[float, ...] = setting(
        (0.1,), "Edge of the dead zone above rest.", low=0.0, high=0.9
    )
    dead_zone_negative: tuple[float, ...] = setting(
        (0.1,), "Edge of the dead zone below rest, as a positive number.", low=0.0, high=0.9
    )
    dead_zone_hysteresis: bool = setting(
        False,
        "After a movement (and after a reset) the edge is at least dead_zone_raised until the DOF "
        "was quiet for dead_zone_quiet_s.",
    )
    dead_zone_raised: float = setting(0.2, "Raised edge of the dead zone.", low=0.0, high=0.9)
    dead_zone_quiet_s: float = setting(
        0.5, "Quiet time that lowers a raised edge.", unit="s", low=0.0, high=10.0
    )
    mode: tuple[str, ...] = setting(
        ("position",),
        "What a value means: the position; the velocity; the velocity weighted by the latch rule, "
        "so that weak input holds; the velocity of a position that leaks back to rest.",
        choices=("position", "velocity", "latching_integrate", "leaky"),
    )
    mode_speed: tuple[float, ...] = setting(
        (1.0,),
        "Speed at full input of the modes that integrate.",
        unit="1/s",
        low=0.0,
        high=20.0,
    )
    mode_c: tuple[float, ...] = setting(
        (4.0,),
        "C of latching_integrate: input above 1/sqrt(C) counts in full.",
        low=0.0,
        high=1e12,
    )
    mode_leak_s: tuple[float, ...] = setting(
        (1.0,), "Time constant of the way back to rest in mode leaky.", unit="s", low=0.01, high=1e3
    )
    relax_pos: tuple[float, ...] = setting(
        (0.0,), "Where the DOF is at rest; added to the output.", low=-1.0, high=1.0
    )
    speed_limit: tuple[float, ...] = setting(
        (5.0,), "Largest speed of the output; 0: none.", unit="1/s", low=0.0, high=1e3
    )
    restart_s: float = setting(
        0.5,
        "After this time without an accepted tick, decoder and filters start anew from rest: the "
        "hand has gone there meanwhile. 0: never.",
        unit="s",
        low=0.0,
        high=3600.0,
    )

    def __post_init__(self) -> None:
        check(self)
        edges = (*self.dead_zone_positive, *self.dead_zone_negative)
        if self.dead_zone_hysteresis and 0.0 in edges:
            raise SettingsError(
                "dead_zone_hysteresis: needs dead_zone_positive and dead_zone_negative above 0: "
                "only what lies inside of them is quiet"
            )
        if sorted(self.order) != sorted(STEPS):
            raise SettingsError(f"order: name each step once: {', '.join(STEPS)}")
        if self.order[-1] != "clip":
            raise SettingsError(
                "order: clip must be the last step, or the hand may leave its range"
            )


def per_dof(name: str, values: tuple[T, ...], n_dofs: int) -> tuple[T, ...]:
    """One value per DOF; a single value counts for all.

    Raises
    ------
    SettingsError
        When the number of values is neither 1 nor `n_dofs`.
    """
    if len(values) == n_dofs:
        return values
    if len(values) == 1:
        return values * n_dofs
    raise SettingsError(f"{name}: has {len(values)} values, give 1 or {n_dofs} (one per DOF)")
