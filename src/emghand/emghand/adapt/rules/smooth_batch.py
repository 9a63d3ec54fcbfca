"""SmoothBatch: a slow average of the parameters of consecutive batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emghand.adapt.rules.base import Batch, Bools, LinearRule, RuleSettings, calibration_weight
from emghand.adapt.rules.linear import Moments, Parameters
from emghand.decoders.base import Decoder
from emghand.settings import setting


@dataclass(frozen=True)
class SmoothBatchSettings(RuleSettings):
    """Settings of SmoothBatch."""

    beta: float = setting(
        0.5, "Share of the old parameters that stays; 0: those of the batch.", low=0.0, high=1.0
    )
    calibration_weight: float = calibration_weight(0.3)


class SmoothBatchRule(LinearRule[SmoothBatchSettings]):
    """Parameters <- beta old + (1 - beta) those of the batch (Orsborn et al. 2012).

    doi 10.1109/TNSRE.2012.2185066. Of a ridge decoder the coefficients are averaged, of a Kalman
    filter the observation model and its noise.
    """

    name = "smooth_batch"
    chained = True

    def _start(self) -> None:
        self._parameters: Parameters = self.linear.start

    def _learn(self, batch: Batch, changed: Bools) -> tuple[Decoder, Callable[[], None]]:
        moments = Moments.of(batch.inputs, batch.labelled.X)
        moments += self.linear.calibration.scaled(self.settings.calibration_weight)
        old, beta = self._parameters, self.settings.beta
        new = self.linear.solve(moments, old, changed)
        parameters = {name: beta * old[name] + (1.0 - beta) * new[name] for name in new}

        def go_on() -> None:
            self._parameters = parameters

        return self.linear.decoder(parameters), go_on
