"""Recursive least squares with forgetting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emghand.adapt.rules.base import Batch, Bools, LinearRule, RuleSettings
from emghand.adapt.rules.linear import Moments, Parameters
from emghand.decoders.base import Decoder
from emghand.settings import setting


@dataclass(frozen=True)
class RlsSettings(RuleSettings):
    """Settings of recursive least squares."""

    forgetting: float = setting(
        0.99998,
        "Weight of an example beside the next one; 0.99998 halves it in 10 min of labelled use.",
        low=0.9,
        high=1.0,
    )


class RlsRule(LinearRule[RlsSettings]):
    """Least squares over everything seen, the calibration first, the older the lighter.

    The information form of the recursion: sums over examples are kept and not the inverse, which
    cannot wind up; the penalty stays one per example. For a Kalman filter it is the observation
    model that is estimated so (Dangi et al. 2014, doi 10.1162/NECO_a_00632).
    """

    name = "rls"
    chained = True

    def _start(self) -> None:
        self._moments: Moments = self.linear.calibration
        self._parameters: Parameters = self.linear.start

    def _learn(self, batch: Batch, changed: Bools) -> tuple[Decoder, Callable[[], None]]:
        k = len(batch.inputs)
        factor = self.settings.forgetting
        weights = factor ** np.arange(k - 1, -1, -1, dtype=np.float64)
        moments = self._moments.scaled(factor**k)
        moments += Moments.of(batch.inputs, batch.labelled.X, weights)
        parameters = self.linear.solve(moments, self._parameters, changed)

        def go_on() -> None:
            self._moments, self._parameters = moments, parameters

        return self.linear.decoder(parameters), go_on
