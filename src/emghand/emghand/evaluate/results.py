"""The result of an evaluation: scores with everything needed to trust, repeat and rescore them.

On disk it is ``NAME.json`` and, beside it, ``NAME.npz`` with the ticks. The same inputs give the
same bytes: no times, no random names. Nothing in either file is executed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.evaluate.metrics import DEFAULT_METRICS, measure, plain
from emghand.evaluate.ticks import Scored, Ticks, read_ticks, write_ticks
from emghand.storage.files import write_file
from emghand.storage.recording import Source
from emghand.version import code_version

FORMAT = "emghand result"
VERSION = 1
TABLES = ("movement", "repetition", "recording", "fold")
MAX_JSON_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Fold:
    """One training and test of a cross-validation.

    Parameters
    ----------
    name : str
        What was held out.
    lag_s : float
        By how much the features follow `x_d` in the training part [s].
    train_ticks, test_ticks, guard_ticks : int
        Ticks learned from, scored, and left out because they share samples with the test part.
    learned : str
        SHA-256 of all that was learned.
    """

    name: str
    lag_s: float
    train_ticks: int
    test_ticks: int
    guard_ticks: int
    learned: str


@dataclass(frozen=True)
class Row:
    """Scores of a part of the ticks.

    Parameters
    ----------
    name : str
        The movement, repetition, recording or fold.
    ticks : int
    scores : dict
        By signal, metric and DOF; ranges (NRMSE) are those of the whole.
    """

    name: str
    ticks: int
    scores: Scored


@dataclass(frozen=True)
class Result:
    """Scores of a model or of a way to train one, on recordings it has not learned from.

    Parameters
    ----------
    kind : str
        ``model`` or ``crossval``.
    name : str
        Short, for tables: the model file's stem, the kind of decoder.
    model_id : str
        SHA-256 of the model; empty for a cross-validation.
    settings : mapping
        How it was trained, and its output filters, as plain values.
    sources : tuple of Source
    scheme : str
        What was held out: ``given`` (the recordings, by the user), or one of
        `emghand.evaluate.splits.SCHEMES`.
    seed : int
    code_version : str
    lag_s : float
        By how much the features follow `x_d` [s]; of several folds the mean.
    metrics : tuple of str
    scores : dict
        Over all ticks, by signal (`emghand.evaluate.ticks.SIGNALS`), metric and DOF; None where not
        defined.
    tables : dict of str to tuple of Row
        The same by movement, repetition, recording and fold.
    latency_ms : dict
        Lag of `x_hat` and `out_x_hat` behind `x_d` by signal and DOF [ms]; None where not found.
    n_ticks : int
        Ticks with a label.
    folds : tuple of Fold
        Empty for a model.
    faults : mapping of str to int
        Ticks that gave no output, by reason.
    trained_on : tuple of str
        Digests of the recordings the model learned from; of a cross-validation empty.
    ticks : Ticks or None
        What the scores were computed from; None when only the JSON is there.
    """

    kind: str
    name: str
    model_id: str
    settings: Mapping[str, Any]
    sources: tuple[Source, ...]
    scheme: str
    seed: int
    code_version: str
    lag_s: float
    metrics: tuple[str, ...]
    scores: Scored
    tables: dict[str, tuple[Row, ...]]
    latency_ms: dict[str, dict[str, float | None]]
    n_ticks: int
    folds: tuple[Fold, ...] = ()
    faults: Mapping[str, int] = field(default_factory=dict)
    trained_on: tuple[str, ...] = ()
    ticks: Ticks | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the result, arrays included, hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def rescored(self, metrics: Sequence[str]) -> Result:
        """The same ticks under other measures.

        Raises
        ------
        UserError
            When the ticks are not there, or a metric is unknown.
        """
        if self.ticks is None:
            raise UserError("result: its ticks (.npz) are not there, it cannot be scored again")
        return dataclasses.replace(self, **_scored(self.ticks, self.sources, self.folds, metrics))

    def to_json(self) -> str:
        """Everything but the ticks as JSON, with the SHA-256 of these."""
        document: dict[str, Any] = {"format": FORMAT, "version": VERSION}
        for item in dataclasses.fields(self):
            if item.name != "ticks":
                document[item.name] = _plain(getattr(self, item.name))
        if self.ticks is not None:
            sha = hashlib.sha256(self.ticks.to_bytes()).hexdigest()
            document["ticks"] = self.ticks.header() | {"sha256": sha}
        return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, ticks_path: Path | None = None) -> Result:
        """Result from what `to_json` returned.

        Parameters
        ----------
        text : str
        ticks_path : path, optional
            File of the ticks; without it, or where it does not exist, the result has none.

        Raises
        ------
        UserError
            When the text is no result, or of a newer version.
        """
        document = _parse(text)
        try:
            header = document.get("ticks")
            ticks = None
            if header is not None and ticks_path is not None and ticks_path.exists():
                ticks = read_ticks(ticks_path, header, str(header["sha256"]))
            return cls(
                kind=str(document["kind"]),
                name=str(document["name"]),
                model_id=str(document["model_id"]),
                settings=dict(document["settings"]),
                sources=tuple(Source(**s) for s in document["sources"]),
                scheme=str(document["scheme"]),
                seed=int(document["seed"]),
                code_version=str(document["code_version"]),
                lag_s=float(document["lag_s"]),
                metrics=tuple(str(m) for m in document["metrics"]),
                scores=document["scores"],
                tables={k: tuple(Row(**r) for r in v) for k, v in document["tables"].items()},
                latency_ms=document["latency_ms"],
                n_ticks=int(document["n_ticks"]),
                folds=tuple(Fold(**f) for f in document["folds"]),
                faults={str(k): int(n) for k, n in document["faults"].items()},
                trained_on=tuple(str(d) for d in document["trained_on"]),
                ticks=ticks,
            )
        except UserError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise UserError(f"damaged: incomplete or malformed ({error})") from error

    def save(self, path: str | Path) -> list[Path]:
        """Write ``NAME.json`` and, when the ticks are there, ``NAME.npz``.

        Parameters
        ----------
        path : path
            Ends in ``.json``.

        Returns
        -------
        list of Path
            What was written.

        Raises
        ------
        UserError
            When a file exists, cannot be written, or has another ending.
        """
        path = Path(path)
        if path.suffix != ".json":
            raise UserError(f"{path}: the name of a result ends in .json")
        written = [path]
        beside = path.with_suffix(".npz")
        if path.exists():
            raise UserError(f"{path}: exists already; choose another name")
        if self.ticks is not None:
            write_ticks(beside, self.ticks)
            written.append(beside)
        write_file(path, self.to_json().encode())
        return written

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read a result, with its ticks where they are beside it.

        Raises
        ------
        UserError
            When it cannot be read, is no result, or is of a newer version.
        """
        path = Path(path)
        try:
            if path.stat().st_size > MAX_JSON_BYTES:
                raise UserError(f"larger than {MAX_JSON_BYTES >> 20} MiB")
            text = path.read_text(encoding="utf-8")
            return cls.from_json(text, path.with_suffix(".npz"))
        except OSError as error:
            raise UserError(f"result {path}: cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise UserError(f"result {path}: not a result file") from error
        except UserError as error:
            raise UserError(f"result {path}: {error}") from error


def make_result(
    ticks: Ticks,
    sources: Sequence[Source],
    *,
    kind: str,
    name: str,
    scheme: str,
    settings: Mapping[str, Any],
    lag_s: float,
    metrics: Sequence[str] = DEFAULT_METRICS,
    model_id: str = "",
    seed: int = 0,
    folds: Sequence[Fold] = (),
    faults: Mapping[str, int] | None = None,
    trained_on: Sequence[str] = (),
) -> Result:
    """Result of ticks: the scores, tables and latency are computed from them.

    Raises
    ------
    UserError
        When no tick has a label, or a metric is unknown.
    """
    if not sources or ticks.recording.max(initial=0) >= len(sources):
        raise UserError("result: ticks of a recording that is not among the sources")
    return Result(
        kind=kind,
        name=name,
        model_id=model_id,
        settings=_plain(settings),
        sources=tuple(sources),
        scheme=scheme,
        seed=seed,
        code_version=code_version(),
        lag_s=lag_s,
        folds=tuple(folds),
        faults=faults or {},
        trained_on=tuple(trained_on),
        ticks=ticks,
        **_scored(ticks, sources, folds, metrics),
    )


def parts(
    ticks: Ticks, by: str, sources: Sequence[Source], folds: Sequence[Fold]
) -> list[tuple[str, NDArray[np.bool_]]]:
    """Names and ticks, shape (m,), of the parts of a result.

    Parameters
    ----------
    by : str
        One of `TABLES`. Repetitions of several recordings are kept apart.
    """
    if by not in TABLES:
        raise UserError(f"{by!r}: no table, choose from: {', '.join(TABLES)}")
    keys = [ticks.recording, ticks.repetition] if by == "repetition" else [getattr(ticks, by)]
    table = np.stack(keys, axis=1)
    rows = np.unique(table, axis=0)
    several = len(np.unique(ticks.recording)) > 1
    found = []
    for row in rows:
        first, last = int(row[0]), int(row[-1])
        if by == "movement":
            name = ticks.movements[first] or "no trial"
        elif by == "fold":
            name = folds[first].name if folds else "all"
        else:
            name = sources[first].name
            if by == "repetition":
                shown = f"repetition {last}" if last >= 0 else "no repetition"
                name = f"{name}: {shown}" if several else shown
        found.append((name, (table == row).all(axis=1)))
    return found


def _scored(
    ticks: Ticks, sources: Sequence[Source], folds: Sequence[Fold], metrics: Sequence[str]
) -> dict[str, Any]:
    known = ticks.labelled("x_hat")
    both = known & ticks.labelled("x_hat_compensated")
    latency = ("latency",)
    return {
        "metrics": tuple(metrics),
        "n_ticks": int(known.sum()),
        "scores": ticks.scores(metrics),
        "tables": {
            by: tuple(
                Row(name, int((known & keep).sum()), ticks.scores(metrics, keep))
                for name, keep in parts(ticks, by, sources, folds)
                # A part of a few ticks at the edge of a recording may lack labels.
                if (both & keep).any()
            )
            for by in TABLES
        },
        "latency_ms": {
            signal: plain(ticks.names, measure(ticks.case(signal), latency)["latency"])
            for signal in ("x_hat", "out_x_hat")
        },
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _parse(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError("not a result file: no valid JSON") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UserError("not a result file")
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UserError("damaged: it states no version")
    if version > VERSION:
        raise UserError(f"written by a newer emghand (format {version}); update")
    return document
