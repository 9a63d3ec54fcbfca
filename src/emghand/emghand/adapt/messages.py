"""What the decoder's process and its worker tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emghand.adapt.memory import EXTENSION, MemorySettings
from emghand.adapt.proposal import CandidateScore, Changes, MakeRule


@dataclass(frozen=True)
class Limits:
    """Bounds of the worker process."""

    memory_mb: float


@dataclass(frozen=True)
class Setup:
    """What a learner needs to know.

    Parameters
    ----------
    make_rule : callable
    tick_rate : float
        [Hz]
    update_s, window_s : float
        See `emghand.adapt.settings.AdaptationSettings`.
    folder : str
        Where adapted models are written; made when it is not there.
    stem : str
        Start of their names.
    memory : MemorySettings, optional
        Of the replay memory, which is kept in a file of the folder; None: there is none.
    """

    make_rule: MakeRule
    tick_rate: float
    update_s: float
    window_s: float
    folder: str
    stem: str
    memory: MemorySettings | None = None

    @property
    def memory_file(self) -> Path:
        """Where the replay memory is."""
        return Path(self.folder) / f"{self.stem}{EXTENSION}"


@dataclass(frozen=True)
class Outcome:
    """A `Proposal` without the model itself, and where its model was written.

    Parameters
    ----------
    uri, model_id : str
        Of the model proposed; empty: refused.
    """

    cause: str
    rule: str
    chosen: str
    scores: tuple[CandidateScore, ...]
    changes: Changes
    uri: str = ""
    model_id: str = ""

    @property
    def score_before(self) -> float:
        """Plausibility of the first candidate, the calibration; NaN when there is none."""
        return self.scores[0].plausibility if self.scores else np.nan

    @property
    def score_after(self) -> float:
        """Plausibility of the chosen candidate; when all were refused, of the best of them.

        NaN when there is none.
        """
        if not self.chosen:
            others = [s.plausibility for s in self.scores[1:] if not np.isnan(s.plausibility)]
            return max(others, default=np.nan)
        found = [s.plausibility for s in self.scores if s.name == self.chosen]
        return found[-1] if found else np.nan


@dataclass(frozen=True)
class Failure:
    """Why there is no outcome."""

    cause: str


@dataclass(frozen=True)
class Answer:
    """What came of a message to the worker."""

    outcomes: tuple[Outcome, ...] = ()
    failure: Failure | None = None
