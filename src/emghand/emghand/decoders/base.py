"""What every decoder shares: parameters, delayed copies of the features, streaming, arrays."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emghand.control.filters import Velocity
from emghand.decoders.delays import DelayLine, same_segment, stack_delays
from emghand.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Arrays = dict[str, NDArray[np.generic]]

LARGEST = 1e30
"""Bound of every learned number and every feature: with it no estimate overflows."""


class Carrier(Protocol):
    """What is carried from tick to tick: a delay line, an integrator, the state of a filter."""

    def reset(self) -> None:
        """Forget the past."""
        ...

    def state(self) -> Arrays:
        """Copies of everything carried; the names are unique within a decoder."""
        ...

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned."""
        ...


@runtime_checkable
class Placeable(Protocol):
    """A carrier whose state is the estimate itself."""

    def place(self, x: Floats) -> None:
        """Stand at an estimate, shape (n_dofs,), within the range."""
        ...


class Decoder(ABC):
    """A decoder follows scikit-learn, and adds streaming: `reset` and `step`.

    A decoder is one module of `emghand.decoders` with the name of its kind and with a constant
    ``DECODER`` that holds the class. The class keeps its constructor arguments under their own
    names, lists the arrays it learns in `learned`, and implements `_fit` and `_estimate`. What it
    carries from tick to tick beside the delayed features it appends to `_carried` in `_prepare`.
    Where the arrays depend on the parameters it overrides `_shapes`; where shape and finiteness are
    not enough for an array to be safe (indices, say) it extends `_check_learned`.

    Parameters
    ----------
    delays : sequence of int
        Features of so many ticks ago are added to those of now; ascending, positive.
    """

    kind: ClassVar[str]
    learned: ClassVar[dict[str, str]]
    """Learned arrays and their shape, one letter per axis.

    ``d`` DOFs, ``f`` features with delayed copies, ``1`` one; any other letter a size of the
    decoder's own, at least 1: axes of the same letter are equally long. At least one array must
    have an axis ``d``, and one an axis ``f``. At most 2 axes: the model file holds no more.
    """
    differential: bool = False
    """Whether it estimates velocities and integrates them itself.

    A decoder that can do both has constructor arguments `differential`, `low`, `high` and
    `tick_rate`; learning velocities and the bounded integration are done here.
    """
    low: tuple[float, ...] = (-1.0,)
    high: tuple[float, ...] = (1.0,)
    """Range of the DOFs; one value, or one per DOF."""
    tick_rate: float = 0.0
    """Ticks per second [Hz]."""
    sequential: ClassVar[bool] = False
    """Whether `_fit` also gets the rows that are not to be learned from, with NaN as target: they
    are the past of the others."""

    def __init__(self, delays: tuple[int, ...] = ()) -> None:
        self.delays = delays
        self.n_features_ = 0
        self.n_dofs_ = 0
        self._line = DelayLine(0, ())
        self._integrator: Velocity | None = None
        self._carried: list[Carrier] = [self._line]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments by name; `deep` is there for scikit-learn."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Decoder:
        """Change constructor arguments by name; the decoder must be fitted again.

        Raises
        ------
        UserError
            For an unknown name.
        """
        known = inspect.signature(type(self)).parameters
        for name, value in params.items():
            if name not in known:
                raise UserError(
                    f"{self.kind} decoder: unknown parameter {name}, known: {', '.join(known)}"
                )
            setattr(self, name, value)
        return self

    def fit(
        self,
        Z: Floats,
        X: Floats,
        groups: Ints | None = None,
        *,
        segments: Ints | None = None,
        use: Bools | None = None,
    ) -> Decoder:
        """Learn from examples.

        Parameters
        ----------
        Z : ndarray, shape (m, n_features)
            Normalised features, one row per tick.
        X : ndarray, shape (m, n_dofs)
            Desired DOFs.
        groups : ndarray of int, shape (m,), optional
            Repetition of each row, for choices made by leaving one repetition out. Without it, five
            pieces of consecutive rows.
        segments : ndarray of int, shape (m,), optional
            Rows that follow one another in time share a number; delays never reach across.
        use : ndarray of bool, shape (m,), optional
            Rows to learn from; the others only serve as past of these.

        Raises
        ------
        UserError
            When shapes disagree, a value is not finite, or the data do not determine a decoder.
        """
        Z, X = np.asarray(Z, dtype=np.float64), np.asarray(X, dtype=np.float64)
        if Z.ndim != 2 or X.ndim != 2 or len(Z) != len(X) or not Z.size or not X.size:
            raise UserError(
                f"{self.kind} decoder: needs features (m, n) and targets (m, d), got {Z.shape} "
                f"and {X.shape}"
            )
        m = len(Z)
        kept = np.ones(m, dtype=np.bool_) if use is None else np.asarray(use, dtype=np.bool_)
        runs = np.zeros(m, dtype=np.int64) if segments is None else np.asarray(segments)
        folds = np.arange(m) * 5 // m if groups is None else np.asarray(groups)
        for name, labels in (("use", kept), ("segments", runs), ("groups", folds)):
            if labels.shape != (m,):
                raise UserError(f"{self.kind} decoder: {name} must have {m} entries")
        if not (np.abs(Z) < LARGEST).all() or not np.isfinite(X[kept]).all():
            raise UserError(f"{self.kind} decoder: training data hold values that are not finite")
        if self.differential:
            # Of a row without a predecessor nobody knows the velocity.
            rate = self._number("tick_rate", low=1e-3)
            X = np.diff(X, axis=0, prepend=X[:1]) * rate
            kept = kept & np.concatenate([[False], kept[:-1] & same_segment(runs)])
        if kept.sum() < 2:
            raise UserError(f"{self.kind} decoder: needs at least 2 examples")
        self.n_features_, self.n_dofs_ = Z.shape[1], X.shape[1]
        stacked = stack_delays(Z, self.delays, runs)
        rows = np.ones_like(kept) if self.sequential else kept
        follows = np.concatenate([[False], rows[1:] & rows[:-1] & same_segment(runs)])
        targets = np.where(kept[:, None], X, np.nan)
        self._fit(stacked[rows], targets[rows], folds[rows].astype(np.int64), follows[rows])
        self._check_learned()
        self._prepare()
        self.reset()
        return self

    def predict(self, Z: Floats, segments: Ints | None = None) -> Floats:
        """Estimates for a run of ticks, bit for bit those of `step` one after the other.

        Parameters
        ----------
        Z : ndarray, shape (m, n_features)
        segments : ndarray of int, shape (m,), optional
            The decoder starts anew wherever the number changes.

        Returns
        -------
        ndarray, shape (m, n_dofs)
            The state of the decoder itself is as before.
        """
        before = self.state()
        Z = np.ascontiguousarray(Z, dtype=np.float64)
        if Z.ndim != 2 or Z.shape[1] != self.n_features_:
            raise UserError(
                f"{self.kind} decoder: expects {self.n_features_} features, got {Z.shape}"
            )
        X = np.empty((len(Z), self.n_dofs_))
        self.reset()
        for i in range(len(Z)):
            if segments is not None and i and segments[i] != segments[i - 1]:
                self.reset()
            X[i] = self.step(Z[i])
        self.set_state(before)
        return X

    def reset(self) -> None:
        """Forget the past: the next tick is taken as if it had always been so."""
        for part in self._carried:
            part.reset()

    def start_from(self, x_hat: Floats) -> None:
        """Forget the past, but stand at an estimate: that of the decoder it takes over from.

        Integrators and filters of the DOFs start there; networks settle by themselves.

        Parameters
        ----------
        x_hat : ndarray, shape (n_dofs,)
        """
        self.reset()
        low, high = self._ranges()
        x = np.minimum(np.maximum(x_hat, low), high)
        if self._integrator is not None:
            self._integrator.y = x
            return
        for part in self._carried:
            if isinstance(part, Placeable):
                part.place(x)

    def step(self, z: Floats) -> Floats:
        """Estimate of one tick.

        Parameters
        ----------
        z : ndarray, shape (n_features,)
            Normalised features; finite, below 1e30.

        Returns
        -------
        ndarray, shape (n_dofs,)
            `x_hat`.
        """
        x = self._estimate(self._line.push(z))
        return x if self._integrator is None else self._integrator.step(x).copy()

    def state(self) -> Arrays:
        """Everything carried from tick to tick, as copies."""
        return {key: value for part in self._carried for key, value in part.state().items()}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned.

        Raises
        ------
        UserError
            When the state is that of another decoder.
        """
        own = self.state()
        for key, value in own.items():
            if key not in state or np.shape(state[key]) != value.shape:
                raise UserError(f"state of the {self.kind} decoder: {key} is missing or of no fit")
        for part in self._carried:
            part.set_state(state)

    def to_arrays(self) -> Arrays:
        """Learned arrays by name."""
        return {name: getattr(self, name) for name in self._shapes()}

    @classmethod
    def from_arrays(
        cls, params: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Decoder:
        """Fitted decoder from its parameters (`get_params`) and arrays (`to_arrays`).

        Raises
        ------
        UserError
            For an unknown parameter, or an array that is missing, of a wrong shape or not finite.
        """
        known = inspect.signature(cls).parameters
        for name in params:
            if name not in known:
                raise UserError(f"{cls.kind} decoder: unknown parameter {name}")
        decoder = cls(
            **{k: tuple(v) if isinstance(v, list | tuple) else v for k, v in params.items()}
        )
        expected = decoder._shapes()
        if set(arrays) != set(expected):
            raise UserError(
                f"{cls.kind} decoder: expects the arrays {', '.join(sorted(expected))}, got "
                f"{', '.join(sorted(arrays)) or 'none'}"
            )
        copies = decoder._check_delays() + 1
        sizes = {"1": 1}
        for name, letters in expected.items():
            value = np.array(arrays[name], dtype=np.float64)
            if value.ndim != len(letters) or not value.size:
                raise UserError(f"{cls.kind} decoder: array {name} has shape {value.shape}")
            for letter, size in zip(letters, value.shape, strict=True):
                if size != sizes.setdefault(letter, size):
                    raise UserError(f"{cls.kind} decoder: array {name} has shape {value.shape}")
            setattr(decoder, name, value)
        if sizes["f"] % copies:
            raise UserError(f"{cls.kind} decoder: the arrays do not fit {copies - 1} delays")
        decoder.n_features_, decoder.n_dofs_ = sizes["f"] // copies, sizes["d"]
        decoder._check_learned()
        decoder._prepare()
        decoder.reset()
        return decoder

    @abstractmethod
    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        """Set the learned arrays.

        `Z` holds the delayed copies as well; `follows` marks rows whose predecessor in time is the
        row before.
        """

    @abstractmethod
    def _estimate(self, z: Floats) -> Floats:
        """Estimate from the features with their delayed copies, shape (f,)."""

    def _shapes(self) -> Mapping[str, str]:
        """`learned`, or what it is with the parameters given."""
        return self.learned

    def _prepare(self) -> None:
        """Get ready to step; called when the learned arrays are complete.

        A decoder appends to `_carried` what it carries from tick to tick.
        """
        self._line = DelayLine(self.n_features_, self.delays)
        self._integrator = None
        self._carried = [self._line]
        if self.differential:
            rate = self._number("tick_rate", low=1e-3)
            low, high = self._ranges()
            self._integrator = Velocity(np.ones(self.n_dofs_), low, high, rate)
            self._carried.append(self._integrator)

    def _ranges(self) -> tuple[Floats, Floats]:
        """`low` and `high` of every DOF, each shape (n_dofs,)."""
        shape = (self.n_dofs_,)
        try:
            low = np.broadcast_to(np.array(self.low, dtype=np.float64), shape)
            high = np.broadcast_to(np.array(self.high, dtype=np.float64), shape)
        except (ValueError, TypeError):
            raise UserError(
                f"{self.kind} decoder: low and high must hold 1 or {self.n_dofs_} numbers"
            ) from None
        if not (np.isfinite(low) & np.isfinite(high) & (low <= 0.0) & (high >= 0.0)).all():
            raise UserError(f"{self.kind} decoder: low must not be above 0, high not below")
        return low, high

    def _number(
        self, name: str, *, low: float, high: float = LARGEST, whole: bool = False
    ) -> float:
        """Constructor argument `name`, which must be a number from `low` to `high`."""
        value = getattr(self, name)
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            bound = f"from {low:g}" if high == LARGEST else f"between {low:g} and {high:g}"
            kind = "whole number" if whole else "number"
            raise UserError(f"{self.kind} decoder: {name} must be a {kind} {bound}, got {value!r}")
        return value

    def _positive(self, name: str) -> Floats:
        """Constructor argument `name`, which must be a list of positive numbers."""
        value = getattr(self, name)
        try:
            found = np.array(value, dtype=np.float64)
        except (ValueError, TypeError):
            found = np.zeros(0)
        if found.ndim != 1 or not found.size or not ((found > 0.0) & (found < LARGEST)).all():
            raise UserError(
                f"{self.kind} decoder: {name} must be a list of positive numbers, got {value!r}"
            )
        return found

    def _choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Constructor argument `name`, which must be one of `choices`."""
        value = getattr(self, name)
        if value not in choices:
            raise UserError(
                f"{self.kind} decoder: {name} must be one of {', '.join(choices)}, got {value!r}"
            )
        return str(value)

    def _check_delays(self) -> int:
        DelayLine(1, self.delays)
        return len(self.delays)

    def _check_learned(self) -> None:
        """Refuse learned arrays that would do harm; called before `_prepare`."""
        for name, value in self.to_arrays().items():
            if not (np.abs(value) < LARGEST).all():
                raise UserError(f"{self.kind} decoder: array {name} holds values that are no use")
