"""What is asked of the subject at one moment, as it is written over the hands."""

from __future__ import annotations

from dataclasses import dataclass

from emghand.storage.recording import PeriodKind

COLORS = {
    PeriodKind.PROMPT: (0.93, 0.62, 0.05),
    PeriodKind.MOVE: (0.05, 0.45, 0.85),
    PeriodKind.HOLD: (0.10, 0.60, 0.25),
    PeriodKind.REST: (0.45, 0.47, 0.50),
}
"""Of the bar below the hands; the word is always there too, for those who do not see colours."""

MAX_CHARACTERS = 40


@dataclass(frozen=True)
class Cue:
    """What is asked of the subject.

    Parameters
    ----------
    period : PeriodKind
        IDLE: nothing is asked, and nothing written.
    movement : str
        Empty outside of trials.
    trial : int
        Starting at 0.
    n_trials : int
    """

    period: PeriodKind = PeriodKind.IDLE
    movement: str = ""
    trial: int = 0
    n_trials: int = 0

    @property
    def title(self) -> str:
        """Period, and the movement unless the subject rests; empty: nothing."""
        if self.period is PeriodKind.IDLE:
            return ""
        if self.period is PeriodKind.REST:
            return self.period.name
        return printable(f"{self.period.name} {self.movement}")

    @property
    def detail(self) -> str:
        """How far it is."""
        if not self.title or not self.movement:
            return ""
        return f"trial {self.trial + 1} of {self.n_trials}"


def printable(text: str, characters: int = MAX_CHARACTERS) -> str:
    """Text without what the fonts of MuJoCo lack, cut to so many characters."""
    shown = "".join(c if " " <= c <= "~" else "?" for c in text.strip())
    return shown if len(shown) <= characters else f"{shown[: max(characters - 2, 1)]}.."
