"""Selection of actions as a sweep: every term is a task, and so is every test of a choice."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emghand.actions.action_map import ActionMap, drive_dofs
from emghand.actions.candidates import ACTIONS, screening_set, simulated_person, unseen_set
from emghand.actions.selection import METHODS, Choice, Terms, choose
from emghand.actions.terms import first_order, second_order, strength, unseen_scores
from emghand.decoders.registry import decoder_class
from emghand.errors import UserError
from emghand.settings import from_mapping
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings
from emghand.sweep.sources import (
    feature_settings,
    recorded_dataset,
    recordings_of,
    simulated_dataset,
)
from emghand.sweep.sweep import Row, check_keys
from emghand.sweep.task import Data, Task, code_digest
from emghand.training import Dataset, TrainSettings

Results = Mapping[str, dict[str, Any]]


def run(settings: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Task: one term of the objective, or the test of a choice."""
    train = from_mapping(TrainSettings, settings["train"])
    term, actions = settings["term"], settings["actions"]
    n_screening = len(paths) - settings.get("unseen", 0)
    screening = _dataset(settings, paths[:n_screening], run=0)
    found: dict[str, Any]
    if term == "strength":
        found = {a: strength(screening, a) for a in actions}
    elif term == "first":
        found = {"error": first_order(screening, actions[0], train)}
    elif term == "second":
        found = {"confusion": second_order(screening, actions[0], actions[1], train)}
    else:
        unseen = _dataset(settings, paths[n_screening:], run=1)
        found = unseen_scores(screening, unseen, actions, train)
        found["recordings"] = [*screening.digests, *unseen.digests]
    return found


def _dataset(settings: Mapping[str, Any], paths: Sequence[str], run: int) -> Dataset:
    person = settings.get("person")
    if person is None:
        return recorded_dataset(paths, settings["features"])
    actions = person["dofs"]
    movements = unseen_set(actions) if run else screening_set(actions)
    return simulated_dataset(
        movements, from_mapping(SyntheticSettings, {**person, "run": run}), settings["features"]
    )


@dataclass(frozen=True)
class Subject:
    """Whose actions are chosen.

    Parameters
    ----------
    name : str
    features : FeatureSettings
    actions : tuple of str
        The candidates.
    person : mapping
        Settings of the synthetic person; empty for a real one.
    screening, unseen : tuple of Data
        Recordings of a real person.
    """

    name: str
    features: FeatureSettings
    actions: tuple[str, ...]
    person: Mapping[str, Any]
    screening: tuple[Data, ...] = ()
    unseen: tuple[Data, ...] = ()

    @property
    def is_tested(self) -> bool:
        """Whether there is a recording to test a choice on."""
        return bool(self.person or self.unseen)


@dataclass(frozen=True)
class ActionSweep:
    """Choice of actions for each of several subjects; made by `from_document` or directly.

    Parameters
    ----------
    subjects : tuple of Subject
    m : int
        How many actions to choose.
    train : TrainSettings
        Decoder of the terms and of the test.
    """

    subjects: tuple[Subject, ...]
    m: int = 5
    train: TrainSettings = dataclasses.field(default_factory=lambda: TrainSettings("ridge"))
    kind = "actions"

    def __post_init__(self) -> None:
        decoder_class(self.train.decoder)
        if not self.subjects:
            raise UserError("name sessions, or the seeds of subjects to simulate")
        for subject in self.subjects:
            n = len(subject.actions)
            if not 1 <= self.m <= n:
                raise UserError(f"{subject.name}: cannot choose {self.m} of {n} actions")

    @classmethod
    def from_document(cls, document: Mapping[str, Any], folder: Path) -> ActionSweep:
        """Sweep from the content of its file.

        Raises
        ------
        UserError
            When a session is of no use, or a setting is unknown or out of range.
        """
        check_keys(
            document,
            {
                "subjects": list,
                "sessions": list,
                "choose": int,
                "actions": list,
                "train": dict,
                "features": dict,
                "simulate": dict,
            },
        )
        actions = tuple(str(a) for a in document.get("actions", ACTIONS))
        features = document.get("features", {})
        subjects = [
            simulated_subject(seed, actions, features, document.get("simulate", {}))
            for seed in document.get("subjects", ())
        ]
        subjects += [
            recorded_subject(folder / Path(str(path)).expanduser(), actions, features)
            for path in document.get("sessions", ())
        ]
        train = from_mapping(TrainSettings, {"decoder": "ridge"} | document.get("train", {}))
        return cls(tuple(subjects), document.get("choose", 5), train)

    def plain(self) -> dict[str, Any]:
        """All settings as plain values."""
        return {
            "choose": self.m,
            "train": dataclasses.asdict(self.train),
            "subjects": [
                {
                    "name": s.name,
                    "actions": list(s.actions),
                    "features": dataclasses.asdict(s.features),
                    "person": dict(s.person),
                    "screening": [d.digest for d in s.screening],
                    "unseen": [d.digest for d in s.unseen],
                }
                for s in self.subjects
            ],
        }

    def tasks(self, results: Results) -> list[Task]:
        """Terms of all subjects, then the tests of what was chosen from them."""
        tasks = [t for s in self.subjects for t in self._term_tasks(s)]
        for subject in self.subjects:
            terms = self.terms(subject, results)
            if terms is not None and subject.is_tested:
                tasks += [self._test_task(subject, c.actions) for c in self.choices(terms)]
        return tasks

    def table(self, results: Results, errors: Mapping[str, str]) -> list[Row]:
        """One row per subject and method; scores are those on the unseen levels."""
        rows: list[Row] = []
        for subject in self.subjects:
            terms = self.terms(subject, results)
            if terms is None:
                failed = [t for t in self._term_tasks(subject) if t.key not in results]
                why = errors.get(failed[0].key, "did not run")
                where = (
                    f"{failed[0].settings['term']} {' '.join(failed[0].settings['actions'][:2])}"
                )
                rows.append(
                    {"subject": subject.name, "error": f"{len(failed)} terms, as {where}: {why}"}
                )
                continue
            for choice in self.choices(terms):
                row = {
                    "subject": subject.name,
                    "method": choice.method,
                    "actions": " ".join(choice.actions),
                    "objective": choice.objective,
                    "nodes": choice.nodes,
                }
                if subject.is_tested:
                    key = self._test_task(subject, choice.actions).key
                    found = results.get(key)
                    if found is None:
                        row["error"] = errors.get(key, "did not run")
                    else:
                        for name in ("r2", "intended", "unintended"):
                            row[name] = found[name]
                rows.append(row)
        return rows

    def choices(self, terms: Terms) -> list[Choice]:
        """What every method chooses."""
        return [choose(terms, self.m, method) for method in METHODS]

    def terms(self, subject: Subject, results: Results) -> Terms | None:
        """What was measured of a subject's actions; None while a term is missing."""
        tasks = self._term_tasks(subject)
        if any(t.key not in results for t in tasks):
            return None
        n = len(subject.actions)
        found = [results[t.key] for t in tasks]
        second = np.zeros((n, n))
        upper = np.triu_indices(n, 1)
        second[upper] = [f["confusion"] for f in found[1 + n :]]
        return Terms(
            actions=subject.actions,
            strength=np.array([found[0][a] for a in subject.actions]),
            first=np.array([f["error"] for f in found[1 : 1 + n]]),
            second=second + second.T,
        )

    def action_map(
        self, subject: Subject, results: Results, method: str, dofs: Sequence[str] = ()
    ) -> ActionMap:
        """Map of what a method chose for a subject, with all that led to it.

        Parameters
        ----------
        subject : Subject
        results : mapping
            Of all tasks.
        method : str
            One of `METHODS`.
        dofs : sequence of str
            See `drive_dofs`.

        Raises
        ------
        UserError
            When terms are missing.
        """
        terms = self.terms(subject, results)
        if terms is None:
            raise UserError(f"{subject.name}: not every term could be measured, no choice is made")
        choice = choose(terms, self.m, method)
        index = [terms.actions.index(a) for a in choice.actions]
        provenance: dict[str, Any] = {
            "method": method,
            "objective": choice.objective,
            "errors": {
                a: float(terms.first[i]) for a, i in zip(choice.actions, index, strict=True)
            },
            "confusions": {
                f"{terms.actions[i]} {terms.actions[j]}": float(terms.second[i, j])
                for i, j in itertools.combinations(index, 2)
            },
            "candidates": list(terms.actions),
            "subject": subject.name,
            "person": _plain(subject.person),
            "recordings": [d.digest for d in (*subject.screening, *subject.unseen)],
            "features": _plain(dataclasses.asdict(subject.features)),
            "train": _plain(dataclasses.asdict(self.train)),
            "code": code_digest(),
        }
        if subject.is_tested:
            found = results.get(self._test_task(subject, choice.actions).key, {})
            provenance["unseen"] = {
                k: found.get(k) for k in ("r2", "rmse", "intended", "unintended")
            }
        return ActionMap(drive_dofs(choice.actions, dofs), provenance)

    def _term_tasks(self, subject: Subject) -> list[Task]:
        """Strength of all, error of each, confusion of each pair; in this order."""
        wanted: list[tuple[str, tuple[str, ...]]] = [("strength", subject.actions)]
        wanted += [("first", (a,)) for a in subject.actions]
        wanted += [("second", pair) for pair in itertools.combinations(subject.actions, 2)]
        return [self._task(subject, term, actions) for term, actions in wanted]

    def _test_task(self, subject: Subject, actions: Sequence[str]) -> Task:
        return self._task(subject, "test", actions)

    def _task(self, subject: Subject, term: str, actions: Sequence[str]) -> Task:
        settings: dict[str, Any] = {
            "term": term,
            "actions": list(actions),
            "features": dataclasses.asdict(subject.features),
            "train": dataclasses.asdict(self.train),
        }
        if subject.person:
            settings["person"] = dict(subject.person)
        data = subject.screening
        if term == "test":
            settings["unseen"] = len(subject.unseen)
            data += subject.unseen
        return Task(f"{__name__}:run", settings, data, code_digest())


def simulated_subject(
    seed: int,
    actions: Sequence[str] = ACTIONS,
    features: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Subject:
    """A synthetic person, screened on one day and tested on the next.

    `changes` are settings of `SyntheticSettings`.
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise UserError(f"subjects: {seed!r} is no seed")
    person = dict(changes or {}) | {"seed": seed}
    for name in ("run", "dofs"):
        if name in person:
            raise UserError(f"simulate: {name} is set by the screening itself")
    settings = simulated_person(actions=actions, **person)
    return Subject(
        name=f"person {seed}",
        features=from_mapping(FeatureSettings, features or {}),
        actions=tuple(actions),
        person=dataclasses.asdict(settings),
    )


def recorded_subject(
    path: str | Path, actions: Sequence[str] = (), features: Mapping[str, Any] | None = None
) -> Subject:
    """A session: screened in its bags ``collect*``, tested in its bags ``test*`` if there are any.

    Candidates are the given actions that are DOFs of the recordings; by default all of these.
    """
    from emghand.storage.datasets import read_any

    screening = recordings_of(path, "collect")
    if not screening:
        raise UserError(f"session {path}: has no bag collect* with a screening")
    unseen = recordings_of(path, "test") if (Path(path) / "bags").is_dir() else ()
    x_d = read_any(screening[0].path).x_d
    found = x_d.names if x_d is not None else ()
    candidates = tuple(a for a in (actions or found) if a in found)
    if not candidates:
        raise UserError(f"{path}: no action was recorded, only: {', '.join(found) or 'nothing'}")
    return Subject(
        name=str(path),
        features=feature_settings(screening, features or {}),
        actions=candidates,
        person={},
        screening=screening,
        unseen=unseen,
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
