"""What an evaluation is scored on, tick by tick, and its file."""

from __future__ import annotations

import functools
import hashlib
import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.dofs import Dof, dof_names
from emghand.errors import UserError
from emghand.evaluate.metrics import Case, make_case, measure, plain
from emghand.storage.arrays import DAMAGED
from emghand.storage.files import write_file

SIGNALS = ("x_hat", "x_hat_compensated", "out_x_hat", "out_x_hat_compensated")
"""What is scored: the estimate, and what the hand gets. Compensated: against `x_d` of the lag
before, else against `x_d` at the same moment."""

MATRICES = ("x_d", "x_d_before", "x_hat", "out_x_hat")
INDICES = ("stamps_ns", "movement", "repetition", "trial", "recording", "fold")
_DATE = (1980, 1, 1, 0, 0, 0)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scored = dict[str, dict[str, dict[str, "float | None"]]]
"""Numbers by signal, metric and DOF; None where not defined."""


@dataclass(frozen=True)
class Ticks:
    """Desired and decoded DOFs of every tick that is scored, in order of fold, recording, time.

    Parameters
    ----------
    dofs : tuple of Dof, length n_dofs
    tick_rate : float
        Ticks per second [Hz].
    relax_pos : tuple of float, length n_dofs
        Posture of the relaxed hand: `out_x_hat` is scored against ``x_d + relax_pos``, clipped.
    movements : tuple of str
        Names that `movement` counts in; empty: no trial, or none named.
    x_d, x_d_before : ndarray, shape (m, n_dofs)
        `x_d` at the tick, and the lag of the training part before it; rows of NaN: no label.
    x_hat, out_x_hat : ndarray, shape (m, n_dofs)
    stamps_ns : ndarray of int, shape (m,)
        Acquisition time of the last sample [ns].
    movement : ndarray of int, shape (m,)
        Index into `movements`.
    repetition, trial : ndarray of int, shape (m,)
        -1 where the recording was not prompted.
    recording : ndarray of int, shape (m,)
        Index into the sources of the result.
    fold : ndarray of int, shape (m,)
        Index into the folds of the result; 0 without folds.
    """

    dofs: tuple[Dof, ...]
    tick_rate: float
    relax_pos: tuple[float, ...]
    movements: tuple[str, ...]
    x_d: Floats
    x_d_before: Floats
    x_hat: Floats
    out_x_hat: Floats
    stamps_ns: Ints
    movement: Ints
    repetition: Ints
    trial: Ints
    recording: Ints
    fold: Ints

    def __post_init__(self) -> None:
        m, n = len(self.stamps_ns), len(self.dofs)
        shapes = [getattr(self, k).shape == (m, n) for k in MATRICES]
        shapes += [getattr(self, k).shape == (m,) for k in INDICES]
        if not all(shapes) or len(self.relax_pos) != n:
            raise UserError("ticks of a result: the arrays do not fit each other")

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the DOFs."""
        return dof_names(self.dofs)

    @functools.cached_property
    def run(self) -> Ints:
        """Changes wherever a tick does not follow on the one before, shape (m,)."""
        step = np.diff(self.stamps_ns) * 1e-9 * self.tick_rate
        breaks = np.abs(step - 1.0) > 0.5
        for index in (self.recording, self.fold):
            breaks |= np.diff(index) != 0
        return np.concatenate([np.zeros(min(len(self), 1), np.int64), np.cumsum(breaks)])

    @functools.cached_property
    def _wholes(self) -> dict[str, Case]:
        return {}

    def rows(self, keep: Bools) -> Ticks:
        """The ticks for which `keep`, shape (m,), is true."""
        return replace(self, **{k: getattr(self, k)[keep] for k in (*MATRICES, *INDICES)})

    def case(self, signal: str, keep: Bools | None = None) -> Case:
        """What the measures of a signal, one of `SIGNALS`, are computed from.

        Parameters
        ----------
        signal : str
        keep : ndarray of bool, shape (m,), optional
            Only these ticks; ranges are still those of all.

        Raises
        ------
        UserError
            When none of the ticks has a label, or the signal is unknown.
        """
        whole = self._whole(signal)
        if keep is None:
            return whole
        known = self.labelled(signal)
        part = keep[known]
        return make_case(
            whole.x_d[part],
            whole.estimate[part],
            whole.rest,
            whole.reference,
            whole.span,
            whole.run[part],
            self.tick_rate,
        )

    def _whole(self, signal: str) -> Case:
        """The case of all ticks that have a label, made once: a result has many parts."""
        if signal in self._wholes:
            return self._wholes[signal]
        if signal not in SIGNALS:
            raise UserError(f"signal {signal!r}: unknown, choose from: {', '.join(SIGNALS)}")
        target = self._target(signal)
        estimate, rest = self.x_hat, np.zeros(len(self.dofs))
        if signal.startswith("out_x_hat"):
            low, high = (np.array([getattr(d, k) for d in self.dofs]) for k in ("low", "high"))
            relax = np.array(self.relax_pos)
            estimate, rest = self.out_x_hat, np.clip(relax, low, high)
            target = np.clip(target + relax, low, high)
        known = self.labelled(signal)
        self._wholes[signal] = make_case(
            target[known], estimate[known], rest, run=self.run[known], tick_rate=self.tick_rate
        )
        return self._wholes[signal]

    def labelled(self, signal: str) -> Bools:
        """Whether there is something to score the signal against, shape (m,)."""
        return self._labelled[signal.endswith("_compensated")]

    @functools.cached_property
    def _labelled(self) -> tuple[Bools, Bools]:
        here, before = (np.isfinite(x).all(axis=1) for x in (self.x_d, self.x_d_before))
        return np.asarray(here), np.asarray(before)

    def scores(self, metrics: Sequence[str], keep: Bools | None = None) -> Scored:
        """Measures of every signal, over all ticks or those of `keep`, shape (m,)."""
        return {
            signal: {
                name: plain(self.names, values)
                for name, values in measure(self.case(signal, keep), metrics).items()
            }
            for signal in SIGNALS
        }

    def header(self) -> dict[str, Any]:
        """Everything but the arrays, as plain values."""
        return {
            "dofs": [{"name": d.name, "low": d.low, "high": d.high} for d in self.dofs],
            "tick_rate": self.tick_rate,
            "relax_pos": list(self.relax_pos),
            "movements": list(self.movements),
        }

    def to_bytes(self) -> bytes:
        """The arrays as npz: float64 and int64, not packed, the same bytes for the same arrays."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name in (*MATRICES, *INDICES):
                member = io.BytesIO()
                kind = "<f8" if name in MATRICES else "<i8"
                values = np.ascontiguousarray(getattr(self, name), dtype=kind)
                np.lib.format.write_array(member, values, (1, 0), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", _DATE), member.getvalue())
        return buffer.getvalue()

    def _target(self, signal: str) -> Floats:
        return self.x_d_before if signal.endswith("_compensated") else self.x_d

    @classmethod
    def from_bytes(cls, header: Mapping[str, Any], data: bytes) -> Ticks:
        """From what `header` and `to_bytes` returned.

        Raises
        ------
        UserError
            When an array is missing, of another kind or length, or packed.
        """
        dofs = tuple(Dof(str(d["name"]), float(d["low"]), float(d["high"])) for d in header["dofs"])
        arrays: dict[str, NDArray[Any]] = {}
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in (*MATRICES, *INDICES):
                    info = archive.getinfo(f"{name}.npy")
                    if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(data):
                        raise UserError(f"{name} is packed or longer than the file")
                    ndim, kind = (2, "<f8") if name in MATRICES else (1, "<i8")
                    arrays[name] = _read_array(name, archive.read(info), ndim, kind)
        except (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
            raise UserError(f"damaged, or no ticks of a result ({error})") from error
        return cls(
            dofs=dofs,
            tick_rate=float(header["tick_rate"]),
            relax_pos=tuple(float(v) for v in header["relax_pos"]),
            movements=tuple(str(name) for name in header["movements"]),
            **arrays,
        )


def read_ticks(path: Path, header: Mapping[str, Any], expected: str) -> Ticks:
    """Ticks from the file beside a result, whose SHA-256 must be `expected`.

    Raises
    ------
    UserError
        When the file is missing, damaged, or that of another result.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise UserError(f"{path}: is not the one that was written with the result, or damaged")
    try:
        return Ticks.from_bytes(header, data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def write_ticks(path: Path, ticks: Ticks) -> None:
    """Write the arrays; never replaces a file."""
    write_file(path, ticks.to_bytes())


def _read_array(name: str, data: bytes, ndim: int, kind: str) -> NDArray[Any]:
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("another version of npy")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except DAMAGED as error:
        raise UserError(f"{name}: {error}") from error
    start = stream.tell()
    if fortran or dtype != np.dtype(kind) or len(shape) != ndim:
        raise UserError(f"{name}: must be plain {kind} with {ndim} dimensions")
    if math.prod(shape) * 8 != len(data) - start:
        raise UserError(f"{name}: its length does not match its shape")
    return np.frombuffer(data, dtype=kind, offset=start).reshape(shape)
