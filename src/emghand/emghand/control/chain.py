"""The chain of output filters: from `x_hat` to `out_x_hat`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.control import filters
from emghand.control.filters import Floats, OutputFilter, State
from emghand.control.settings import OutputSettings, per_dof
from emghand.dofs import Dof, dof_names
from emghand.errors import UserError
from emghand.settings import SettingsError

LARGEST = 1e100
"""An estimate beyond it counts as not finite: its square would overflow."""

Columns = slice | NDArray[np.int64]
_ALL = slice(None)


@dataclass(frozen=True)
class _Stage:
    """One filter, the DOFs it works on, and its name in snapshots."""

    name: str
    filter: OutputFilter
    columns: Columns


class OutputChain:
    """Output filters of all DOFs, each with its own state.

    Parameters
    ----------
    settings : OutputSettings
    dofs : sequence of Dof, length n
    tick_rate : float
        Ticks per second [Hz].

    Raises
    ------
    SettingsError
        When the settings do not fit the DOFs.
    """

    def __init__(self, settings: OutputSettings, dofs: Sequence[Dof], tick_rate: float) -> None:
        self.settings = settings
        self.dofs = tuple(dofs)
        self.tick_rate = tick_rate
        self._relax_pos = np.array(per_dof("relax_pos", settings.relax_pos, len(self.dofs)))
        builder = _Builder(settings, self.dofs, tick_rate)
        self._stages = builder.stages()
        self.rest = builder.rest()
        """Output of a hand at rest, shape (n,)."""
        self.slope = builder.slope()
        """Bound of what gain and dead zone make of a small change, as a factor."""
        self.saturation = builder.saturation()
        """Estimates beyond +- this have the output at the end of its range."""
        self._fed_back = [
            s
            for s in self._stages
            if settings.latch_feedback == "output" and s.name.startswith("latch")
        ]

    def step(self, x_hat: Floats) -> Floats | None:
        """Filter the estimate of one tick.

        Parameters
        ----------
        x_hat : ndarray, shape (n,)

        Returns
        -------
        ndarray, shape (n,), or None
            `out_x_hat`; None, with every state unchanged, when `x_hat` has the wrong shape or is
            not finite.
        """
        x = np.asarray(x_hat, dtype=np.float64)
        if x.shape != (len(self.dofs),) or not (np.abs(x) < LARGEST).all():
            return None
        for stage in self._stages:
            if stage.columns is _ALL:
                x = stage.filter.step(x)
            else:
                y = x.copy()
                y[stage.columns] = stage.filter.step(x[stage.columns])
                x = y
        for stage in self._fed_back:
            assert isinstance(stage.filter, filters.Holding)
            stage.filter.y = (x - self._relax_pos)[stage.columns]
        return x

    def reset(self) -> None:
        """Every filter back to rest."""
        for stage in self._stages:
            stage.filter.reset()

    def adopt(self, other: OutputChain) -> None:
        """Take over the state of the filters that `other` has too, so that the output goes on.

        The speed limiter is always among them when the DOFs are the same: in the default order,
        where only the clip comes after it, a change of settings or of the model moves the hand no
        faster than the speed limit.
        """
        if self.dofs != other.dofs:
            return
        before = {s.name: s for s in other._stages}
        for stage in self._stages:
            old = before.get(stage.name)
            if old is not None and np.array_equal(self._index(stage), self._index(old)):
                stage.filter.set_state(old.filter.state())

    def snapshot(self) -> State:
        """Every state as plain arrays, by name of filter."""
        return {
            f"{stage.name}.{key}": value
            for stage in self._stages
            for key, value in stage.filter.state().items()
        }

    def restore(self, snapshot: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a snapshot, bit for bit.

        Raises
        ------
        UserError
            When the snapshot is that of a chain with other settings or DOFs.
        """
        own = self.snapshot()
        if set(own) != set(snapshot):
            different = ", ".join(sorted(set(own) ^ set(snapshot)))
            raise UserError(f"snapshot of the output filters: other settings ({different})")
        for key, value in own.items():
            if np.shape(snapshot[key]) != value.shape:
                raise UserError(f"snapshot of the output filters: {key} has another shape")
        for stage in self._stages:
            prefix = f"{stage.name}."
            state = {k.removeprefix(prefix): v for k, v in snapshot.items() if k.startswith(prefix)}
            stage.filter.set_state(state)

    def _index(self, stage: _Stage) -> NDArray[np.int64]:
        return np.arange(len(self.dofs))[stage.columns]


class _Builder:
    """Makes the filters that the settings call for; those that would do nothing are left out."""

    def __init__(self, settings: OutputSettings, dofs: tuple[Dof, ...], tick_rate: float) -> None:
        if not dofs or not tick_rate > 0.0:
            raise SettingsError("output filters: need at least one DOF and a positive tick rate")
        self.settings = settings
        self.tick_rate = tick_rate
        self.names = dof_names(dofs)
        self.n = len(dofs)
        self.low = np.array([d.low for d in dofs])
        self.high = np.array([d.high for d in dofs])
        own = np.array(self._values("lock"), dtype=np.bool_)
        self.source = self._sources(own)
        # A DOF that is tied to a locked one is held with it.
        self.locked = own[self.source]

    def stages(self) -> list[_Stage]:
        """Filters in the configured order."""
        makers = {
            "gain": self._gain,
            "latch": self._latch,
            "dead_zone": self._dead_zone,
            "mode": self._mode,
            "relax": self._relax,
            "speed_limit": self._speed_limit,
            "clip": self._clip,
        }
        return [stage for step in self.settings.order for stage in makers[step]()]

    def rest(self) -> Floats:
        """What comes of estimates that are 0; locked DOFs stay where they are held."""
        own = np.array(self._values("lock"), dtype=np.bool_)
        held = np.where(own, self._array("lock_value"), 0.0)[self.source]
        return np.minimum(np.maximum(held + self._array("relax_pos"), self.low), self.high)

    def slope(self) -> float:
        """Largest gain, times the largest factor of a rescaling dead zone."""
        settings = self.settings
        edge = 0.0
        if "rescale" in settings.dead_zone:
            edge = max(*settings.dead_zone_positive, *settings.dead_zone_negative)
            if settings.dead_zone_hysteresis:
                edge = max(edge, settings.dead_zone_raised)
        return max(*settings.gain_positive, *settings.gain_negative) / (1.0 - edge)

    def saturation(self) -> float:
        """Where the smallest gain reaches the end of the range; those of no effect do not count."""
        settings = self.settings
        gains = [g for g in (*settings.gain_positive, *settings.gain_negative) if g > 0.0]
        reach = 1.0 + max(abs(p) for p in settings.relax_pos)
        return max(reach, reach / min(gains, default=1.0))

    def _values(self, name: str) -> tuple:
        return per_dof(name, getattr(self.settings, name), self.n)

    def _array(self, name: str) -> Floats:
        return np.array(self._values(name), dtype=np.float64)

    def _kinds(self, name: str, neutral: str) -> Iterator[tuple[str, Columns, Floats]]:
        """Kinds in use, with the columns and the DOF numbers of each; locked DOFs are neutral."""
        values = self._values(name)
        kinds = [neutral if self.locked[i] else values[i] for i in range(self.n)]
        for kind in sorted(set(kinds) - {neutral}):
            index = np.array([i for i in range(self.n) if kinds[i] == kind])
            yield kind, _ALL if len(index) == self.n else index, index

    def _sources(self, locked: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Number of the DOF whose value each DOF takes."""
        tie = self._values("tie")
        source = np.arange(self.n)
        for i, name in enumerate(tie):
            if not name:
                continue
            if name not in self.names:
                raise SettingsError(f"tie: unknown DOF {name}, known: {', '.join(self.names)}")
            source[i] = self.names.index(name)
            if source[i] == i or tie[source[i]]:
                raise SettingsError(
                    f"tie: {self.names[i]} must copy a DOF that is not tied itself, not {name}"
                )
            if locked[i]:
                raise SettingsError(f"tie: {self.names[i]} is locked, it cannot copy {name} too")
        return source

    def _gain(self) -> Iterator[_Stage]:
        gain = filters.Gain(
            self._array("gain_positive"),
            self._array("gain_negative"),
            self.locked,
            self._array("lock_value"),
            self.source,
        )
        yield _Stage("gain", gain, _ALL)

    def _latch(self) -> Iterator[_Stage]:
        for kind, columns, i in self._kinds("latch", "off"):
            made: OutputFilter
            if kind == "plain":
                made = filters.Latch(self._array("latch_c")[i], self.tick_rate)
            else:
                made = filters.LeakyLatch(
                    self._array("leaky_c")[i], self._array("leaky_a")[i], self.tick_rate
                )
            yield _Stage(f"latch.{kind}", made, columns)

    def _dead_zone(self) -> Iterator[_Stage]:
        settings = self.settings
        for kind, columns, i in self._kinds("dead_zone", "off"):
            edges = (self._array("dead_zone_positive")[i], self._array("dead_zone_negative")[i])
            rescale = kind == "rescale"
            made: OutputFilter
            if settings.dead_zone_hysteresis:
                ticks = max(1, math.ceil(settings.dead_zone_quiet_s * self.tick_rate))
                made = filters.DeadZoneHysteresis(*edges, rescale, settings.dead_zone_raised, ticks)
            else:
                made = filters.DeadZone(*edges, rescale)
            yield _Stage(f"dead_zone.{kind}", made, columns)

    def _mode(self) -> Iterator[_Stage]:
        for kind, columns, i in self._kinds("mode", "position"):
            speed = self._array("mode_speed")[i]
            low, high = self.low[i], self.high[i]
            made: OutputFilter
            if kind == "velocity":
                made = filters.Velocity(speed, low, high, self.tick_rate)
            elif kind == "latching_integrate":
                c = self._array("mode_c")[i]
                made = filters.LatchingIntegrate(speed, c, low, high, self.tick_rate)
            else:
                leak = self._array("mode_leak_s")[i]
                made = filters.LeakyIntegrate(speed, leak, low, high, self.tick_rate)
            yield _Stage(f"mode.{kind}", made, columns)

    def _relax(self) -> Iterator[_Stage]:
        relax_pos = self._array("relax_pos")
        if relax_pos.any():
            yield _Stage("relax", filters.Relax(relax_pos), _ALL)

    def _speed_limit(self) -> Iterator[_Stage]:
        order = self.settings.order
        rested = order.index("relax") < order.index("speed_limit")
        rest = self._array("relax_pos") if rested else np.zeros(self.n)
        limit = filters.SpeedLimit(self._array("speed_limit"), self.tick_rate, rest)
        yield _Stage("speed_limit", limit, _ALL)

    def _clip(self) -> Iterator[_Stage]:
        yield _Stage("clip", filters.Clip(self.low, self.high), _ALL)
