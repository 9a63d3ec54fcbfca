"""Collects use and asks a rule now and then: what the worker runs, and tests without a worker."""

from __future__ import annotations

import traceback
from pathlib import Path

import numpy as np

from emghand.adapt.memory import MemorySettings, ReplayMemory, load_memory, save_memory
from emghand.adapt.messages import Failure, Outcome, Setup
from emghand.adapt.proposal import Proposal, Rule
from emghand.adapt.recent import Block, RecentUse
from emghand.adapt.rules import RelabelRule
from emghand.control.decoder_pipeline import DecoderPipeline
from emghand.errors import UserError
from emghand.storage.models import EXTENSION, Model, load_model, save_model


class Learner:
    """Keeps the latest use, and asks the rule after every `update_s` of good ticks.

    The outcome depends on the ticks alone, not on how they are cut into blocks.

    Raises
    ------
    UserError
        When the rule cannot be made.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._rule = _made(setup)
        self._use: RecentUse | None = None
        self._since = 0

    def change(self, setup: Setup) -> None:
        """Go on with another setup; the use that was collected stays, unless there is a memory.

        Raises
        ------
        UserError
            When the rule cannot be made; the old setup stays.
        """
        self._rule = _made(setup)
        if setup.memory is not None:
            # What is in the memory shall not be learned from the window once more.
            self._use = None
        if setup.window_s != self._setup.window_s and self._use is not None:
            window = self._use.window()
            self._use = _recent(setup, window.Z.shape[1], window.x_hat.shape[1])
            self._use.push(Block(window.Z, window.x_hat, window.ticks, window.good, window.x_d))
        self._setup = setup

    def push(self, block: Block) -> list[Outcome]:
        """Take the next ticks; what the rule proposed meanwhile.

        Raises whatever the rule raises. The ticks are kept all the same, and the rule is asked
        again after the next `update_s`.
        """
        if self._use is None:
            self._use = _recent(self._setup, block.Z.shape[1], block.x_hat.shape[1])
        every = max(1, round(self._setup.update_s * self._setup.tick_rate))
        counts = self._since + np.cumsum(block.good)
        due = np.flatnonzero(block.good & (counts % every == 0)) + 1
        self._since = int(counts[-1]) % every
        begin = 0
        outcomes: list[Outcome] = []
        try:
            for end in due.tolist():
                self._use.push(block[begin:end])
                begin = end
                outcomes.append(self._ask())
        finally:
            self._use.push(block[begin:])
        return outcomes

    def _ask(self) -> Outcome:
        assert self._use is not None
        proposal = self._rule.propose(self._use.window())
        folder = Path(self._setup.folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be made: {error.strerror or error}") from error
        rule = self._rule
        # What was refused is not in the memory either.
        if proposal.model is not None and isinstance(rule, RelabelRule) and rule.memory is not None:
            save_memory(rule.memory, rule.model.model_id, self._setup.memory_file, replace=True)
        return self._written(proposal)

    def _written(self, proposal: Proposal) -> Outcome:
        model, uri = proposal.model, ""
        if model is not None:
            path = Path(self._setup.folder) / f"{self._setup.stem}.{model.model_id[:12]}{EXTENSION}"
            if not path.exists():
                save_model(model, path)
            uri = str(path.absolute())
        return Outcome(
            proposal.cause,
            proposal.rule,
            proposal.chosen,
            proposal.scores,
            proposal.changes,
            uri,
            "" if model is None else model.model_id,
        )


def _recent(setup: Setup, n_features: int, n_dofs: int) -> RecentUse:
    capacity = round(setup.window_s * setup.tick_rate)
    return RecentUse(n_features, n_dofs, capacity, setup.tick_rate)


def _made(setup: Setup) -> Rule:
    try:
        rule = setup.make_rule()
    except np.linalg.LinAlgError as error:
        raise UserError(f"the calibration does not determine the rule ({error})") from error
    if setup.memory is not None and isinstance(rule, RelabelRule):
        rule.memory = _opened(rule.model, setup.memory_file, setup.memory)
    return rule


def _opened(model: Model, path: Path, settings: MemorySettings) -> ReplayMemory:
    if not path.exists():
        return ReplayMemory(settings, model.n_features, len(model.dofs))
    try:
        return load_memory(path, model.model_id, settings)
    except UserError as error:
        raise UserError(f"{error}; move the file away, or clear the replay memory") from error


def failure_of(error: Exception) -> Failure:
    """What is said of whatever a rule raised: the next window may be better."""
    if isinstance(error, UserError):
        return Failure(str(error))
    if isinstance(error, MemoryError):
        return Failure("out of memory; nothing was proposed")
    traceback.print_exception(error)
    return Failure(f"the rule failed: {type(error).__name__}: {error}")


def read_proposed(outcome: Outcome) -> Model | None:
    """The model of an outcome, read from its file and tried out for a tick.

    Raises
    ------
    UserError
        When it cannot be read, is another one, or says nothing finite.
    """
    if not outcome.uri:
        return None
    model = load_model(outcome.uri)
    if model.model_id != outcome.model_id:
        raise UserError(f"{outcome.uri}: is another model than the one that was proposed")
    if DecoderPipeline(model).step(np.zeros(model.n_features), 0).out_x_hat is None:
        raise UserError(f"{outcome.uri}: its estimates are not finite")
    return model
