"""What a person's own use looks like before anything drifts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.companion import Calibration, companion_path, load_companion
from emghand.adapt.holds import find_holds
from emghand.adapt.window import Window
from emghand.errors import UserError
from emghand.storage.models import Model, load_model

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_RINGS = 16
LEAST_S = 240.0
"""Shortest use to learn a reference from [s]."""
ACTIVE = 0.25
"""A DOF held farther from rest than this is meant to be active."""
LEAST_HOLDS = 20
REST_SHARE = 0.2
UPPER = (0.8, 0.9, 0.95)
LEAST_SPREAD = 0.1
FREQUENT = 0.02


@dataclass(frozen=True)
class Reference:
    """Statistics of at least 4 minutes of own use with the calibration decoder.

    A reference of other people, or of another kind of use, is dangerous: a change of use then looks
    like a drift.

    Parameters
    ----------
    rest : ndarray, shape (n,)
        Amplitude of each channel at rest.
    upper : ndarray, shape (n,)
        Mean of its quantiles 0.8, 0.9 and 0.95.
    high : ndarray, shape (n,)
        Its quantile 0.95.
    correlation : ndarray, shape (n,)
        Mean of its three largest correlations with other channels.
    amplitude : ndarray, shape (2,)
        Mean and standard deviation of |x_hat| of active DOFs in holds.
    active_share : ndarray, shape (1,)
        Share of active DOFs in holds.
    rest_spread : ndarray, shape (1,)
        Standard deviation of the DOFs that are not active.
    patterns : ndarray, shape (k, 2 n_dofs)
        Postures of three and more DOFs that occur often: 1 for each half-direction.
    use : ndarray, shape (2 n_dofs,)
        Share of the holds in which each half-direction is active.
    rings : ndarray, shape (1,)
        Rings of evenly spaced electrodes, channel after channel around the arm; 0: not known.
    """

    rest: Floats
    upper: Floats
    high: Floats
    correlation: Floats
    amplitude: Floats
    active_share: Floats
    rest_spread: Floats
    patterns: Floats
    use: Floats
    rings: Floats

    def to_arrays(self) -> dict[str, Floats]:
        """Plain arrays by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], n_features: int, n_dofs: int
    ) -> Reference:
        """From what `to_arrays` returned.

        Raises
        ------
        UserError
            When an array is missing, of a wrong shape, or holds what no reference can.
        """
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(
            ("rest", "upper", "high", "correlation"), (n_features,)
        )
        shapes |= {"amplitude": (2,), "active_share": (1,), "rest_spread": (1,), "rings": (1,)}
        shapes["use"] = (2 * n_dofs,)
        if set(arrays) != {*shapes, "patterns"}:
            raise UserError("reference: damaged, its arrays are not those of a reference")
        found = {k: np.array(v, dtype=np.float64) for k, v in arrays.items()}
        patterns = found["patterns"]
        for name, shape in shapes.items():
            if found[name].shape != shape:
                raise UserError(f"reference: {name} has shape {found[name].shape}, not {shape}")
        if patterns.ndim != 2 or patterns.shape[1] != 2 * n_dofs or len(patterns) > 4 * n_dofs:
            raise UserError(f"reference: patterns has shape {patterns.shape}")
        if not all((np.abs(v) < 1e30).all() for v in found.values()):
            raise UserError("reference: damaged, it holds values that are no use")
        own = cls(**found)
        positive = (own.rest, own.upper - own.rest, own.amplitude, own.rest_spread)
        if any((v <= 0.0).any() for v in positive) or not 0.0 < own.active_share[0] < 1.0:
            raise UserError("reference: damaged, it holds values that no use has")
        if ((own.use < 0.0) | (own.use > 1.0)).any() or not own.use.any():
            raise UserError("reference: damaged, use must hold shares")
        if own.rings[0] not in range(MOST_RINGS + 1):
            raise UserError("reference: damaged, it states no number of rings")
        if not np.isin(patterns, (0.0, 1.0)).all():
            raise UserError("reference: damaged, patterns must hold 0 and 1")
        _check_rings(int(own.rings[0]), n_features)
        return own


def learn_reference(window: Window, amplitudes: Floats, rings: int = 0) -> Reference:
    """Reference of a window of use without drift.

    Parameters
    ----------
    window : Window
        Usable ticks only.
    amplitudes : ndarray, shape (m, n)
        Of the channels at these ticks.
    rings : int
        See `Reference`.

    Raises
    ------
    UserError
        When the channels form no such rings, or the use was too short or too little moved.
    """
    n = amplitudes.shape[1]
    _check_rings(rings, n)
    if window.seconds < LEAST_S:
        raise UserError(
            f"reference: needs {LEAST_S / 60:.0f} minutes of own use, got "
            f"{window.seconds / 60:.1f}; use the hand for longer"
        )
    follows = np.diff(window.ticks, prepend=window.ticks[:1] - 1) == 1
    held = find_holds(window.x_hat, window.tick_rate, follows)
    x = held.means(window.x_hat)
    active = np.abs(x) > ACTIVE
    if active.any(axis=1).sum() < LEAST_HOLDS or active.all():
        raise UserError(
            f"reference: needs at least {LEAST_HOLDS} holds and some rest, got "
            f"{int(active.any(axis=1).sum())} holds; use the hand for longer"
        )
    strong = np.abs(x)[active]
    rest = rest_level(amplitudes)
    upper = np.quantile(amplitudes, UPPER, axis=0).mean(axis=0)
    return Reference(
        rest=rest,
        upper=np.maximum(upper, rest * (1.0 + 1e-6)),
        high=np.quantile(amplitudes, UPPER[-1], axis=0),
        correlation=shared_signal(amplitudes),
        amplitude=np.array([strong.mean(), max(float(strong.std()), LEAST_SPREAD)]),
        active_share=np.array([active.mean()]),
        rest_spread=np.array([max(float(x[~active].std()), 1e-3)]),
        patterns=_patterns(x, active),
        use=np.hstack([active & (x > 0.0), active & (x < 0.0)]).mean(axis=0),
        rings=np.array([float(rings)]),
    )


def _check_rings(rings: int, n: int) -> None:
    if not 0 <= rings <= MOST_RINGS or (rings and (n % rings or n // rings < 4)):
        raise UserError(f"rings: {n} channels do not form {rings} rings of four and more")


def rest_level(amplitudes: Floats) -> Floats:
    """Median over the fifth of the ticks with the lowest mean rank; shapes (m, n) -> (n,)."""
    rank = np.argsort(np.argsort(amplitudes, axis=0), axis=0).mean(axis=1)
    low = rank <= np.quantile(rank, REST_SHARE)
    level: Floats = np.median(amplitudes[low], axis=0)
    return np.maximum(level, 1e-12)


def shared_signal(amplitudes: Floats) -> Floats:
    """Mean of the three largest |correlations| of each channel with others, shape (n,)."""
    spread = amplitudes.std(axis=0)
    moving = spread > 0.0
    scaled = np.divide(
        amplitudes - amplitudes.mean(axis=0), spread, out=np.zeros_like(amplitudes), where=moving
    )
    found = np.abs(scaled.T @ scaled) / len(amplitudes)
    np.fill_diagonal(found, 0.0)
    return np.sort(found, axis=1)[:, -3:].mean(axis=1)


def _patterns(x: Floats, active: NDArray[np.bool_]) -> Floats:
    many = active.sum(axis=1) >= 3
    halves = np.hstack([active & (x > 0.0), active & (x < 0.0)])[many]
    counted = Counter(map(bytes, halves.astype(np.uint8)))
    enough = max(3, FREQUENT * len(x))
    often = sorted(p for p, n in counted.items() if n >= enough)[: 2 * x.shape[1]]
    rows = [np.frombuffer(p, dtype=np.uint8).astype(np.float64) for p in often]
    return np.array(rows).reshape(-1, 2 * x.shape[1])


def load_calibrated(uri: str) -> tuple[Model, Calibration, Reference]:
    """What adaptation starts from: a model file, and what its companion holds.

    Raises
    ------
    UserError
        When one of the files cannot be read, or something is missing in the companion.
    """
    model = load_model(uri)
    path = companion_path(uri)
    companion = load_companion(path, model)
    if companion.calibration is None or companion.reference is None:
        raise UserError(f"companion {path}: has {companion.missing[0]}")
    reference = Reference.from_arrays(companion.reference, model.n_features, len(model.dofs))
    return model, companion.calibration, reference
