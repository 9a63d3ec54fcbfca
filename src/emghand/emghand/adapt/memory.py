"""Replay memory: labelled pieces of use that are kept, the same share of every kind of movement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import LARGEST
from emghand.errors import UserError
from emghand.settings import check, setting
from emghand.storage.archive import ArchiveFormat, check_digest, content_digest, pack, read
from emghand.storage.files import write_file

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Cluster = tuple[int, ...]

EXTENSION = ".emgmemory"
FORMAT = ArchiveFormat("memory", version=1, max_bytes=512 * 2**20)
_EXACT = 2**53


@dataclass(frozen=True)
class MemorySettings:
    """How much a replay memory holds: what is reached first counts."""

    max_ticks: int = setting(
        30_000, "Most ticks that are kept.", unit="ticks", low=1, high=10_000_000
    )
    max_megabytes: float = setting(
        64.0, "Most memory for features and labels.", unit="MB", low=0.001, high=500.0
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Piece:
    """Consecutive ticks of one movement, or of a rest.

    Parameters
    ----------
    Z : ndarray, shape (k, n_features)
        Features as published.
    X : ndarray, shape (k, n_dofs)
        Labels, aligned with the features.
    cluster : tuple of int, length n_dofs
        See `cluster_of`.
    first_tick : int
    """

    Z: Floats
    X: Floats
    cluster: Cluster
    first_tick: int = 0

    def __post_init__(self) -> None:
        k = len(self.Z)
        if self.Z.ndim != 2 or self.X.ndim != 2 or len(self.X) != k or not k:
            raise UserError("replay memory: a piece needs features (k, n) and labels (k, d)")
        if not (np.abs(self.Z) < LARGEST).all() or not (np.abs(self.X) < LARGEST).all():
            raise UserError("replay memory: a piece must be finite")
        if len(self.cluster) != self.X.shape[1] or not set(self.cluster) <= {-1, 0, 1}:
            raise UserError("replay memory: a cluster has -1, 0 or 1 for each DOF")


def cluster_of(X: Floats, moving: Bools) -> Cluster:
    """Kind of a movement: for each moving DOF the side of rest that it is on, else 0.

    There and back are of one kind, for the same muscle makes both. Rest is all zeros.

    Parameters
    ----------
    X : ndarray, shape (k, n_dofs)
        Labels.
    moving : ndarray of bool, shape (n_dofs,)
        DOFs that take part; of a posture that is held: those that are away from rest.
    """
    farthest = X[np.abs(X).argmax(axis=0), np.arange(X.shape[1])]
    return tuple(int(s) for s in np.where(moving, np.sign(farthest), 0.0))


class ReplayMemory:
    """Pieces of use, bounded in ticks and bytes.

    When it is full, the oldest piece of the fullest cluster leaves, so that a movement that is made
    all day does not drive out one that is made once an hour. The same pieces in the same order give
    the same memory.

    Parameters
    ----------
    settings : MemorySettings
    n_features, n_dofs : int

    Attributes
    ----------
    capacity : int
        Most ticks, by both bounds.

    Raises
    ------
    UserError
        When not a single tick would fit.
    """

    def __init__(self, settings: MemorySettings, n_features: int, n_dofs: int) -> None:
        self.settings = settings
        self.n_features, self.n_dofs = n_features, n_dofs
        self._row_bytes = 8 * (n_features + n_dofs)
        self.capacity = min(
            settings.max_ticks, int(settings.max_megabytes * 1e6) // max(1, self._row_bytes)
        )
        if n_features < 1 or n_dofs < 1 or self.capacity < 1:
            raise UserError(
                f"replay memory: {settings.max_megabytes:g} MB do not hold one tick of "
                f"{n_features} features and {n_dofs} DOFs"
            )
        # By cluster, in the order of arrival, each piece with its number.
        self._clusters: dict[Cluster, list[tuple[int, Piece]]] = {}
        self._ticks: dict[Cluster, int] = {}
        self._next = 0

    def __len__(self) -> int:
        """Ticks it holds."""
        return sum(self._ticks.values())

    @property
    def n_bytes(self) -> int:
        """Of features and labels."""
        return len(self) * self._row_bytes

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What it holds, in the order of arrival."""
        held = [entry for cluster in self._clusters.values() for entry in cluster]
        return tuple(piece for _, piece in sorted(held, key=lambda entry: entry[0]))

    @property
    def ticks_by_cluster(self) -> dict[Cluster, int]:
        """Ticks of every cluster that it holds, sorted."""
        return dict(sorted(self._ticks.items()))

    def add(self, piece: Piece) -> bool:
        """Keep a piece, and let others leave for it; False when it is longer than the memory.

        Raises
        ------
        UserError
            When it is of other features or DOFs.
        """
        if (piece.Z.shape[1], piece.X.shape[1]) != (self.n_features, self.n_dofs):
            raise UserError(
                f"replay memory: holds {self.n_features} features and {self.n_dofs} DOFs, got "
                f"{piece.Z.shape[1]} and {piece.X.shape[1]}"
            )
        if len(piece.Z) > self.capacity:
            return False
        # Room first: the newcomer is never the one that leaves.
        while len(self) + len(piece.Z) > self.capacity:
            self._drop(piece)
        self._clusters.setdefault(piece.cluster, []).append((self._next, piece))
        self._ticks[piece.cluster] = self._ticks.get(piece.cluster, 0) + len(piece.Z)
        self._next += 1
        return True

    def clear(self) -> None:
        """Erase everything."""
        self._clusters, self._ticks, self._next = {}, {}, 0

    def examples(self) -> tuple[Floats, Floats, Ints]:
        """Features (m, n_features), labels (m, n_dofs) and the number of each row's piece (m,)."""
        pieces = self.pieces
        lengths = [len(p.Z) for p in pieces]
        Z = np.concatenate([np.empty((0, self.n_features)), *(p.Z for p in pieces)])
        X = np.concatenate([np.empty((0, self.n_dofs)), *(p.X for p in pieces)])
        return Z, X, np.repeat(np.arange(len(pieces)), lengths)

    def to_arrays(self) -> dict[str, Floats]:
        """Everything it holds: features, labels, and a row for each piece.

        Of a piece: first tick, length, cluster.
        """
        Z, X, _ = self.examples()
        rows = [(p.first_tick, len(p.Z), *p.cluster) for p in self.pieces]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 2 + self.n_dofs)
        return {"features": Z, "labels": X, "pieces": table}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats], settings: MemorySettings) -> ReplayMemory:
        """The memory of which `to_arrays` made these; what is too much for the settings leaves.

        Raises
        ------
        UserError
            When an array is missing, of a wrong shape, or holds what no memory can hold.
        """
        if set(arrays) != {"features", "labels", "pieces"}:
            raise UserError("replay memory: expects the arrays features, labels and pieces")
        Z, X, table = arrays["features"], arrays["labels"], arrays["pieces"]
        if Z.ndim != 2 or X.ndim != 2 or table.ndim != 2 or len(Z) != len(X):
            raise UserError(f"replay memory: its arrays {Z.shape} and {X.shape} do not fit")
        memory = cls(settings, Z.shape[1], X.shape[1])
        if table.shape[1] != 2 + X.shape[1] or not (np.abs(table) <= _EXACT).all():
            raise UserError(f"replay memory: its pieces have shape {table.shape}, or no numbers")
        whole = table.astype(np.int64)
        lengths = whole[:, 1]
        # No sum of lengths in between can overflow: there are at most len(Z) of them.
        if (whole != table).any() or ((lengths < 1) | (lengths > len(Z))).any():
            raise UserError("replay memory: its pieces must be whole numbers of ticks")
        if int(lengths.sum()) != len(Z):
            raise UserError("replay memory: its pieces are not all its ticks")
        ends = np.cumsum(lengths)
        for row, end in zip(whole.tolist(), ends.tolist(), strict=True):
            rows = slice(end - row[1], end)
            memory.add(Piece(Z[rows], X[rows], tuple(row[2:]), row[0]))
        return memory

    def _drop(self, newcomer: Piece) -> None:
        """Let the oldest piece of the fullest cluster leave, the newcomer counted; of equals the
        cluster with the oldest.
        """

        def fullness(cluster: Cluster) -> tuple[int, int]:
            more = len(newcomer.Z) if cluster == newcomer.cluster else 0
            return self._ticks[cluster] + more, -self._clusters[cluster][0][0]

        fullest = max(self._clusters, key=fullness)
        _, piece = self._clusters[fullest].pop(0)
        self._ticks[fullest] -= len(piece.Z)
        if not self._clusters[fullest]:
            del self._clusters[fullest], self._ticks[fullest]


def save_memory(
    memory: ReplayMemory, model_id: str, path: str | Path, *, replace: bool = False
) -> None:
    """Write a memory to a file of its own, bound to the model that was calibrated.

    It changes while the hand is used, and may be erased alone: it is no part of the companion.

    Raises
    ------
    UserError
        When the file exists (and may not be replaced), or cannot be written.
    """
    arrays = memory.to_arrays()
    document: dict[str, Any] = {"model_id": model_id}
    document["digest"] = content_digest(document, arrays)
    try:
        content = pack(FORMAT, document, arrays)
    except UserError as error:
        raise UserError(f"memory {path}: {error}") from error
    write_file(path, content, replace=replace)


def load_memory(
    path: str | Path, model_id: str, settings: MemorySettings | None = None
) -> ReplayMemory:
    """Read a memory.

    Raises
    ------
    UserError
        When the file cannot be read, is damaged, of a newer version, or of another model.
    """

    def build(document: dict[str, Any], arrays: dict[str, Floats]) -> ReplayMemory:
        check_digest(document, arrays)
        if document["model_id"] != model_id:
            raise UserError(
                f"belongs to the model {str(document['model_id'])[:12]}, not to {model_id[:12]}"
            )
        return ReplayMemory.from_arrays(arrays, settings or MemorySettings())

    return read(FORMAT, path, build)
