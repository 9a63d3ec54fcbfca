"""Compares a replay with what was published live, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.replay.decoder import ReplayedOutput, replay_decoder
from emghand.replay.features import Break, ReplayedTick, replay_features
from emghand.replay.journal import Published, Tape, read_tape
from emghand.storage.models import ADAPTED, EXTENSION, Model, load_model


@dataclass
class Comparison:
    """How one recorded topic compares.

    Parameters
    ----------
    recorded, compared, identical : int
        Samples in the bag; those that could be computed again; those that are equal to the bit.
    not_comparable : dict of str to int
        Reason to number of samples.
    first_difference : dict or None
        Tick, stamp [ns], element, and both values.
    """

    recorded: int = 0
    compared: int = 0
    identical: int = 0
    not_comparable: dict[str, int] = field(default_factory=dict)
    first_difference: dict[str, Any] | None = None

    @property
    def passed(self) -> bool:
        """Something was compared, and all of it is identical."""
        return 0 < self.compared == self.identical

    def add(
        self,
        tick: int,
        stamp_ns: int,
        names: Iterable[str],
        recorded: NDArray[np.float64],
        computed: NDArray[np.float64] | None,
    ) -> None:
        """Compare one sample; `computed` None: it was refused."""
        self.recorded += 1
        self.compared += 1
        if computed is not None and _same_bits(recorded, computed):
            self.identical += 1
        elif self.first_difference is None:
            self.first_difference = {"tick": tick, "stamp_ns": stamp_ns} | _difference(
                list(names), recorded, computed
            )

    def leave_out(self, reason: str) -> None:
        """Count a sample that cannot be compared."""
        self.recorded += 1
        self.not_comparable[reason] = self.not_comparable.get(reason, 0) + 1


def _same_bits(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _difference(
    names: list[str], recorded: NDArray[np.float64], computed: NDArray[np.float64] | None
) -> dict[str, Any]:
    if computed is None or computed.shape != recorded.shape:
        return {
            "element": "",
            "recorded": f"{recorded.size} values",
            "computed": "refused" if computed is None else f"{computed.size} values",
        }
    unequal = recorded.view(np.int64) != computed.view(np.int64)
    i = int(np.flatnonzero(unequal)[0])
    return {
        "element": names[i] if i < len(names) else str(i),
        "recorded": float(recorded[i]),
        "computed": float(computed[i]),
    }


@dataclass
class ReplayReport:
    """What `check_bag` found.

    Parameters
    ----------
    features, x_hat, out_x_hat : Comparison
    unrecorded : int
        Outputs that were computed but are not in the bag, for example while the decoder was
        inactive.
    models : dict of str to str
        model_id to the file it was read from.
    breaks : list of str
        Why the replay had to pause, in order.
    """

    bag: str
    features: Comparison = field(default_factory=Comparison)
    x_hat: Comparison = field(default_factory=Comparison)
    out_x_hat: Comparison = field(default_factory=Comparison)
    unrecorded: int = 0
    models: dict[str, str] = field(default_factory=dict)
    breaks: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Both estimates were compared, and every compared sample of all three is identical."""
        features_agree = self.features.identical == self.features.compared
        return features_agree and self.x_hat.passed and self.out_x_hat.passed

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {"passed": self.passed} | asdict(self)


class ModelFinder:
    """Finds the models that a bag names.

    Looks at the file given, at the file the decoder had loaded, in the session's ``models/`` and
    ``models/adapted/``, and beside the bag.

    Parameters
    ----------
    bag : Path
    files : mapping of str to str
        model_id to the file named in the bag.
    given : Path, optional
        Looked at first.
    """

    def __init__(self, bag: Path, files: Mapping[str, str], given: Path | None = None) -> None:
        self._bag = bag.absolute()
        self._files = files
        self._given = given
        self._models: dict[str, Model] = {}
        self.used: dict[str, str] = {}

    def __call__(self, model_id: str) -> Model:
        """The model.

        Raises
        ------
        UserError
            When no file holds it: names those that were looked at.
        """
        if model_id in self._models:
            return self._models[model_id]
        looked = []
        for path in self._candidates(model_id):
            try:
                model = load_model(path)
            except UserError:
                if path == self._given:
                    raise
                continue
            looked.append(f"{path} ({model.model_id[:12]})")
            if model.model_id == model_id:
                self._models[model_id] = model
                self.used[model_id] = str(path)
                return model
        found = f"; found only {', '.join(looked)}" if looked else ""
        raise UserError(
            f"model {model_id[:12]}, loaded from {self._files.get(model_id) or 'an unknown file'}, "
            f"is not there{found}; give it with --model"
        )

    def _candidates(self, model_id: str) -> list[Path]:
        named = self._files.get(model_id, "")
        folders = [self._bag.parent]
        # A bag of a session lies in SESSION/bags/LABEL.
        if self._bag.parent.name == "bags":
            models = self._bag.parent.parent / "models"
            folders = [models, models / ADAPTED, *folders]
        candidates = [Path(named)] if named else []
        for folder in folders:
            candidates += sorted(folder.glob(f"*{EXTENSION}"))
        return ([self._given] if self._given else []) + [p for p in candidates if p.is_file()]


def check_bag(path: str | Path, model: str | Path | None = None) -> ReplayReport:
    """Compute features, `x_hat` and `out_x_hat` of a bag again and compare them.

    Parameters
    ----------
    path : str or Path
        Bag with raw EMG, events and snapshots of both nodes.
    model : str or Path, optional
        File of the model, where the one the bag names has moved.

    Raises
    ------
    UserError
        When the bag cannot be repeated at all, or a model is missing.
    """
    tape = read_tape(path)
    report = ReplayReport(str(path))
    ticks = replay_features(tape)
    report.breaks = [t.reason for t in ticks if isinstance(t, Break)]
    _compare_features(tape, ticks, report.features)
    finder = ModelFinder(Path(path), tape.model_files, Path(model) if model else None)
    outputs = replay_decoder(tape.decoder, ticks, finder)
    report.models = finder.used
    by_stamp = {o.stamp_ns: o for o in outputs}
    unknown = _Reasons(ticks, outputs)
    for recorded, comparison, name in (
        (tape.x_hat, report.x_hat, "x_hat"),
        (tape.out_x_hat, report.out_x_hat, "out_x_hat"),
    ):
        _compare_outputs(recorded, by_stamp, name, comparison, unknown)
    published = {p.stamp_ns for p in tape.x_hat}
    report.unrecorded = sum(
        o.decoded.x_hat is not None and o.stamp_ns not in published for o in outputs
    )
    return report


def _compare_features(
    tape: Tape, ticks: list[ReplayedTick | Break], comparison: Comparison
) -> None:
    computed = {t.stamp_ns: t.features for t in ticks if isinstance(t, ReplayedTick)}
    reasons = _Reasons(ticks, [])
    for frame in tape.published_features:
        tick = computed.get(frame.stamp_ns)
        if tick is None:
            comparison.leave_out(reasons.of_features(frame.stamp_ns))
            continue
        same = (frame.tick, frame.quality, frame.reset) == (tick.tick, tick.quality, tick.reset)
        z = tick.z if same else None
        comparison.add(frame.tick, frame.stamp_ns, (), frame.z, z)


def _compare_outputs(
    recorded: list[Published],
    computed: Mapping[int, ReplayedOutput],
    name: str,
    comparison: Comparison,
    reasons: _Reasons,
) -> None:
    for sample in recorded:
        output = computed.get(sample.stamp_ns)
        if output is None:
            comparison.leave_out(reasons.of_outputs(sample.stamp_ns))
            continue
        values = getattr(output.decoded, name) if sample.names == output.dofs else None
        comparison.add(output.tick, sample.stamp_ns, sample.names, sample.values, values)


class _Reasons:
    """Says why a recorded sample could not be computed again."""

    def __init__(self, ticks: list[ReplayedTick | Break], outputs: list[ReplayedOutput]) -> None:
        self._ticks = {t.stamp_ns for t in ticks if isinstance(t, ReplayedTick)}
        self._first_tick = min(self._ticks, default=2**63 - 1)
        self._first_output = min((o.stamp_ns for o in outputs), default=2**63 - 1)

    def of_features(self, stamp_ns: int) -> str:
        if stamp_ns < self._first_tick:
            return "before the first snapshot of the features"
        return "raw EMG is missing in the bag, up to the next snapshot of the features"

    def of_outputs(self, stamp_ns: int) -> str:
        if stamp_ns not in self._ticks:
            return self.of_features(stamp_ns)
        if stamp_ns < self._first_output:
            return "before the first snapshot of the decoder"
        return "after a break, up to the next snapshot of the decoder"
