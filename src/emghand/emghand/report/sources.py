"""What figures and reports are made from: sessions, recordings, models, results, told apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emghand.errors import UserError
from emghand.evaluate.results import Result
from emghand.pipeline import Pipeline
from emghand.storage.models import EXTENSION, Model, load_model
from emghand.storage.recording import Recording
from emghand.storage.sessions import MANIFEST, Session


@dataclass(frozen=True)
class LeftOut:
    """Something that could not be drawn, and why."""

    what: str
    why: str


@dataclass
class Material:
    """Everything that was found in the sources.

    Parameters
    ----------
    results : dict of str to Result
        By the name of their series: read from files, or computed from the models and recordings.
    models : dict of str to Model
    recordings : dict of str to Recording
        By their short names.
    paths : dict of str to Path
        Of the recordings, by their short names.
    files : dict of str to str
        Short names of all recordings, by where they were read from; also of those that only a
        result names.
    sessions : list of Session
    left_out : list of LeftOut
    """

    results: dict[str, Result] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    recordings: dict[str, Recording] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def rescore(self, metrics: Sequence[str]) -> None:
        """Score all results by other metrics; those without their ticks keep the ones they have.

        Raises
        ------
        UserError
            When a metric is unknown, or a result has neither it nor its ticks.
        """
        for name, result in self.results.items():
            if result.ticks is not None:
                self.results[name] = result.rescored(metrics)
            elif not set(metrics) <= set(result.metrics):
                raise UserError(f"{name}: holds only {', '.join(result.metrics)}, and no ticks")

    def short_file(self, source: str) -> str:
        """Short name of what was read from `source`."""
        return self.files.get(source, plain(source))

    def leave_out(self, what: str, error: UserError) -> None:
        """Note what could not be drawn."""
        self.left_out.append(LeftOut(what, str(error)))


def gather(sources: Sequence[str | Path], label: str = "test", *, score: bool = True) -> Material:
    """Read the sources and, where there are models and recordings, score each model on them.

    Parameters
    ----------
    sources : sequence of path
        Sessions, recordings of any kind, model files, and results of ``emghand evaluate``. Models
        that are named are used; without any, those of the sessions.
    label : str
        Which bags of a session: ``label``, ``label_2``, ...
    score : bool
        Whether scores are needed.

    Raises
    ------
    UserError
        When a source cannot be read.
    """
    material = Material()
    models: list[Path] = []
    recordings: list[Path] = []
    named: list[Path] = []
    results: list[Path] = []
    for source in map(Path, sources):
        path = source.expanduser()
        if not path.exists():
            raise UserError(f"{path}: does not exist")
        if (path / MANIFEST).exists():
            material.sessions.append(Session.open(path))
        elif path.suffix == EXTENSION:
            models.append(path)
        elif path.suffix == ".json":
            results.append(path)
        else:
            named.append(path)
    for session in material.sessions:
        found = session.bags(label)
        recordings += found
        if not found:
            reason = UserError(f"it has no bag {label}*; choose with --label")
            material.leave_out(f"recordings of session {session.path.name}", reason)
    if not models and not results:
        models = [
            p
            for session in material.sessions
            for p in sorted((session.path / "models").glob(f"*{EXTENSION}"))
        ]
    names = short_names([*map(str, results), *map(str, models)])
    for path in dict.fromkeys(results):
        material.results[names[str(path)]] = Result.load(path)
    for path in dict.fromkeys(models):
        material.models[names[str(path)]] = load_model(path)
    _read_recordings(material, list(dict.fromkeys(named)), list(dict.fromkeys(recordings)))
    if score:
        for name, model in material.models.items():
            _score(material, name, model)
    return material


def _read_recordings(material: Material, named: Sequence[Path], found: Sequence[Path]) -> None:
    """Read recordings; of those `found` in a session one that cannot be read is left out."""
    from emghand.storage.datasets import read_any

    read = {path: read_any(path) for path in named}
    for path in found:
        if path in read:
            continue
        try:
            read[path] = read_any(path)
        except UserError as error:
            material.leave_out(f"recording {path.name} of its session", error)
    for path, recording in read.items():
        if not recording.blocks:
            raise UserError(f"{path}: holds no samples")
    scored = [s.name for result in material.results.values() for s in result.sources]
    material.files = short_names([*(r.source for r in read.values()), *scored])
    for path, recording in read.items():
        name = material.files[recording.source]
        material.recordings[name] = recording
        material.paths[name] = path


def _score(material: Material, name: str, model: Model) -> None:
    from emghand.evaluate.offline import evaluate_model

    fitting = []
    for short, recording in material.recordings.items():
        try:
            check_fit(model, recording)
        except UserError as error:
            material.leave_out(f"scores of {name} on {short}", error)
        else:
            fitting.append(recording)
    if fitting:
        material.results[name] = evaluate_model(model, fitting, name=name)


def check_fit(model: Model, recording: Recording) -> None:
    """Whether a model can be scored on a recording.

    Raises
    ------
    UserError
        When the channels differ or a label is missing.
    """
    Pipeline(model, recording.stream)
    missing = {d.name for d in model.dofs} - set(recording.x_d.names if recording.x_d else ())
    if missing:
        raise UserError(f"{recording.source}: has no x_d of {', '.join(sorted(missing))}")


def short_names(names: Sequence[str]) -> dict[str, str]:
    """As many last parts of each path as tell them apart, without the ending of the last one.

    Parts that say nothing (``bags``, ``models``, ``results``) are left out while that is possible.
    """
    parts = {name: _telling(Path(name)) for name in names}
    short: dict[str, str] = {}
    for name, own in parts.items():
        for count in range(1, len(own) + 1):
            shown = "/".join(own[-count:])
            if shown not in ("/".join(p[-count:]) for n, p in parts.items() if n != name):
                break
        short[name] = plain(shown)
    if len(set(short.values())) < len(short):
        return {name: f"{i}: {plain(name)}" for i, name in enumerate(parts, 1)}
    return short


def plain(text: str, longest: int = 48) -> str:
    """Text of somebody else as it can stand in a figure: one line, printable, not too long."""
    text = "".join(c if c.isprintable() else "·" for c in text).strip()
    text = text if len(text) <= longest else f"…{text[-longest + 1 :]}"
    # matplotlib leaves labels that begin with an underscore out of the legend.
    return f"·{text}" if text.startswith("_") else text or "·"


def slug(text: str) -> str:
    """Text of somebody else as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_").lower() or "figure"


def _telling(path: Path) -> list[str]:
    parts = [p for p in path.parts[:-1] if p not in ("bags", "models", "results", "/", ".")]
    stem = path.name
    for ending in (".emgmodel", ".json", ".npz", ".csv.gz", ".csv", ".mcap"):
        stem = stem.removesuffix(ending)
    return [*parts, stem or path.name]
