"""A refit to use during which a prompt or a glove says what is meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emghand.adapt.rules.base import (
    Batch,
    Bools,
    LinearRule,
    RuleSettings,
    calibration_weight,
    no_state,
)
from emghand.adapt.rules.labels import SOURCES
from emghand.adapt.rules.linear import Moments
from emghand.decoders.base import Decoder
from emghand.settings import setting


@dataclass(frozen=True)
class SupervisedSettings(RuleSettings):
    """Settings of the supervised refit."""

    labels: str = setting("prompts", "As for other rules.", choices=SOURCES)
    calibration_weight: float = calibration_weight(0.0)


class SupervisedRule(LinearRule[SupervisedSettings]):
    """A refit to `x_d`, from the calibration each time: what the other rules are measured by.

    Its windows are `LabelledWindow`.
    """

    name = "supervised"
    chained = False

    def _start(self) -> None:
        """It carries nothing."""

    def _learn(self, batch: Batch, changed: Bools) -> tuple[Decoder, Callable[[], None]]:
        moments = Moments.of(batch.inputs, batch.labelled.X)
        moments += self.linear.calibration.scaled(self.settings.calibration_weight)
        parameters = self.linear.solve(moments, self.linear.start, changed)
        return self.linear.decoder(parameters), no_state
