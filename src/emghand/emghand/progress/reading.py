"""Goes through the runs of a session and reads of each what counts, its bag at most once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emghand.errors import UserError
from emghand.progress import timeline
from emghand.progress.bag import BagContent, bag_span, read_bag
from emghand.progress.prompted import TestScores, score_test
from emghand.progress.rows import NOWHERE, TrialRow
from emghand.progress.runs import TASK, TEST, Run, check_bag, find_runs
from emghand.progress.timeline import Span
from emghand.progress.trials import trials_of_bag, trials_of_table
from emghand.storage.sessions import Session

RAISE, WARN = "raise", "warn"
UNREADABLE = (RAISE, WARN)
"""What becomes of trials that cannot be read: an error, or a sentence in `SessionRow.problems`."""


@dataclass(frozen=True)
class Protocol:
    """A run that counts: its table or bag, what had the hand, and what was measured."""

    name: str
    place: str
    start_ns: int
    trials: tuple[TrialRow, ...] = ()
    test: TestScores | None = None


@dataclass
class Reading:
    """What was read of a session.

    Parameters
    ----------
    session : Session
    force : bool
        Compute trials anew from bags where tables cannot be read.
    unreadable : str
        One of `UNREADABLE`.
    """

    session: Session
    force: bool
    unreadable: str
    protocols: list[Protocol] = field(default_factory=list)
    contents: list[BagContent] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    pending: bool = False

    def read(self) -> None:
        """Go through the runs.

        Raises
        ------
        UserError
            When trials cannot be read and that is to be an error.
        """
        for run in find_runs(self.session):
            if not run.recorded:
                if run.activity in ("", TASK):
                    self._unread(run)
                else:
                    self.problems.append(run.problem)
            elif run.activity:
                self._read(run, run.activity, None)
            else:
                # Nothing but the bag says what it is of.
                content = self._content(run, trials=self.force, prompted=True)
                if content is None:
                    self._unread(run, self.problems.pop())
                else:
                    self._read(run, content.activity, content)
        self.protocols.sort(key=lambda p: p.start_ns)

    def _read(self, run: Run, activity: str, content: BagContent | None) -> None:
        if activity == TASK:
            self._task(run, content)
        elif activity == TEST:
            self._test(run, content)
        elif content is None and run.bag:
            self._passive(run)

    def _task(self, run: Run, content: BagContent | None) -> None:
        """Trials of the table, else of the bag; and what else the bag tells."""
        trials, why = None, run.problem
        if run.document is not None:
            self.problems += filter(None, [run.problem])
            try:
                trials = trials_of_table(run.document, self._id, run.table)
            except UserError as error:
                why = f"{run.table}: {error}"
        again = trials is None and self.force
        content = content or self._content(run, trials=again)
        if again and content is not None:
            try:
                if content.trials is None:
                    raise UserError(f"{run.bag}: announces no trial")
                trials = trials_of_bag(content.trials.trials(), self._id, run.bag)
            except UserError as error:
                why = f"{why}; {error}"
            else:
                self.problems.append(f"{why}; its trials are computed anew from {run.bag}")
        if trials is None:
            self._unread(run, why)
        elif trials:
            place = NOWHERE if content is None else content.place
            if place == NOWHERE:
                self.problems.append(f"{run.table or run.bag}: nothing says what drove the hand")
            start_ns = min(t.start_ns for t in trials)
            if content is None:
                end_ns = max(t.end_ns for t in trials)
                self.spans.append(Span(start_ns, end_ns, self._added(run.table)))
            self.protocols.append(Protocol(trials[0].protocol, place, start_ns, trials))

    def _test(self, run: Run, content: BagContent | None) -> None:
        if run.table and run.document is None:
            self.problems.append(run.problem)
        if not run.bag:
            self.problems.append(f"{run.table}: was not recorded, so its errors are not known")
            return
        content = content or self._content(run, prompted=True)
        if content is None:
            return
        try:
            scores = score_test(content, _ranges(run.document))
        except UserError as error:
            self.problems.append(f"{run.bag}: {error}")
            return
        name = run.table or run.bag
        self.protocols.append(Protocol(name, content.place, content.start_ns, test=scores))

    def _passive(self, run: Run) -> None:
        try:
            check_bag(self.session, run.bag)
            self._span(run.bag, *bag_span(self.session.path / run.bag))
        except UserError as error:
            self.problems.append(str(error))

    def _content(
        self, run: Run, *, trials: bool = False, prompted: bool = False
    ) -> BagContent | None:
        """What a bag holds; None: there is none, or `problems` says why it cannot be read."""
        if not run.bag:
            return None
        try:
            check_bag(self.session, run.bag)
            content = read_bag(self.session.path / run.bag, trials=trials, prompted=prompted)
        except UserError as error:
            self.problems.append(str(error))
            return None
        if run.activity in (TASK, TEST) or content.activity in (TASK, TEST):
            self.contents.append(content)
        self._span(run.bag, content.start_ns, content.end_ns)
        return content

    def _span(self, bag: str, start_ns: int, end_ns: int) -> None:
        if 0 < end_ns < 2**63:
            names = [n for n in self.session.manifest["files"] if n.startswith(f"{bag}/")]
            added = max((self._added(n) for n in names), default=0)
            self.spans.append(Span(start_ns, end_ns, added))

    def _added(self, name: str) -> int:
        entry = self.session.manifest["files"].get(name, {})
        return timeline.time_ns(entry.get("added")) or 0

    def _unread(self, run: Run, why: str = "") -> None:
        why = why or run.problem
        if self.unreadable == RAISE:
            hint = "" if self.force or not run.bag else " (--force computes it anew from the bag)"
            raise UserError(f"session {self.session.path}: {why}{hint}")
        self.pending = True
        self.problems.append(why)

    @property
    def _id(self) -> str:
        return str(self.session.manifest["id"])


def _ranges(document: Mapping[str, Any] | None) -> dict[str, tuple[float, float]]:
    """Ranges of the DOFs of the movement set of a table, as far as it names them."""
    found = {}
    movements = (document or {}).get("movement_set")
    dofs = movements.get("dofs") if isinstance(movements, dict) else None
    for dof in dofs if isinstance(dofs, list) else ():
        try:
            low, high = float(dof["low"]), float(dof["high"])
        except (KeyError, TypeError, ValueError):
            continue
        if -1.0 <= low <= 0.0 <= high <= 1.0:
            found[str(dof.get("name"))] = (low, high)
    return found
