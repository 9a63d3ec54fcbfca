"""Gains and thresholds of the output, tuned offline: the "modified" Kalman filter and its like."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.control.chain import OutputChain
from emghand.control.settings import OutputSettings, per_dof
from emghand.dofs import Dof, dof_names
from emghand.evaluate.splits import split
from emghand.training.alignment import shifted
from emghand.training.dataset import Dataset
from emghand.training.fitting import NOTHING_GIVEN, Given, TrainSettings, fit

GAINS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0)
EDGES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
SIDES = (("gain_positive", "dead_zone_positive"), ("gain_negative", "dead_zone_negative"))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tuning:
    """What came of `tune_output`.

    Parameters
    ----------
    output : OutputSettings
    rmse_before, rmse_after : dict of str to float
        Of `out_x_hat` by DOF, on repetitions that the decoders had not seen. The output was tuned
        on these same estimates, so that the second is a little better than on new ones.
    """

    output: OutputSettings
    rmse_before: dict[str, float]
    rmse_after: dict[str, float]

    @property
    def before(self) -> float:
        """Mean of `rmse_before`."""
        return float(np.mean(list(self.rmse_before.values())))

    @property
    def after(self) -> float:
        """Mean of `rmse_after`."""
        return float(np.mean(list(self.rmse_after.values())))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        changed = {name: getattr(self.output, name) for side in SIDES for name in side}
        return {
            "rmse_before": self.rmse_before,
            "rmse_after": self.rmse_after,
            "mean_rmse_before": self.before,
            "mean_rmse_after": self.after,
        } | changed


def tune_output(
    dataset: Dataset,
    settings: TrainSettings,
    output: OutputSettings | None = None,
    unlabelled: Floats | None = None,
    given: Given = NOTHING_GIVEN,
) -> Tuning:
    """Choose gain and edge of the dead zone of every DOF and direction.

    Each repetition is decoded by a decoder that has not seen it, and the estimates go through the
    output filters. The values with the least squared error of `out_x_hat` are chosen, against `x_d`
    of the lag before, first of the positive direction and then of the negative one.

    Parameters
    ----------
    dataset : Dataset
    settings : TrainSettings
    output : OutputSettings, optional
        All other settings of the output, and the values to keep where no other is better. A DOF
        without dead zone gets none.
    unlabelled : ndarray, optional
        See `fit`.
    given : Given, optional
        See `fit`.

    Raises
    ------
    UserError
        When there are fewer than two repetitions, or the output does not fit the DOFs.
    """
    base = output or OutputSettings()
    pieces: list[tuple[Dataset, Floats, Floats]] = []
    for part in split(dataset, "repetition", settings.longest_lag_s):
        fitted = fit(dataset.rows(part.train), settings, unlabelled, given)
        test = dataset.rows(part.test)
        target = shifted(dataset, fitted.lag_s)[part.test]
        pieces.append((test, fitted.predict(test), target))
    dofs, n = dataset.dofs, len(dataset.dofs)
    edges = tuple(e for e in EDGES if e > 0.0 or not base.dead_zone_hysteresis)
    before = _errors(base, dofs, pieces, [{}])[0]
    after = before
    for gain_name, edge_name in SIDES:
        grid = [{gain_name: g, edge_name: e} for g, e in itertools.product(GAINS, edges)]
        # What is there comes first: of equal candidates the first is taken.
        errors = _errors(base, dofs, pieces, [{}, *grid])
        best = np.argmin(errors, axis=0)
        kept = {name: per_dof(name, getattr(base, name), n) for name in (gain_name, edge_name)}
        chosen: dict[str, Any] = {
            name: tuple(
                float(grid[b - 1][name]) if b else kept[name][i] for i, b in enumerate(best)
            )
            for name in (gain_name, edge_name)
        }
        base = dataclasses.replace(base, **chosen)
        after = errors.min(axis=0)
    names = dof_names(dofs)
    return Tuning(
        base,
        dict(zip(names, np.sqrt(before).tolist(), strict=True)),
        dict(zip(names, np.sqrt(after).tolist(), strict=True)),
    )


def _errors(
    base: OutputSettings,
    dofs: tuple[Dof, ...],
    pieces: list[tuple[Dataset, Floats, Floats]],
    candidates: list[dict[str, float]],
) -> Floats:
    """Mean squared error of `out_x_hat`, shape (n_candidates, n_dofs).

    All candidates run at once, as further DOFs of one chain: the chain that runs live.
    """
    n, k = len(dofs), len(candidates)
    values: dict[str, Any] = {}
    for item in dataclasses.fields(base):
        given = getattr(base, item.name)
        if not isinstance(given, tuple) or item.name == "order":
            continue
        own = per_dof(item.name, given, n)
        rows = [(c[item.name],) * n if item.name in c else own for c in candidates]
        if item.name == "tie":
            rows = [
                tuple(f"c{i}_{name}" if name else "" for name in row) for i, row in enumerate(rows)
            ]
        values[item.name] = tuple(itertools.chain.from_iterable(rows))
    wide = tuple(Dof(f"c{i}_{d.name}", d.low, d.high) for i in range(k) for d in dofs)
    low, high = np.array([d.low for d in dofs]), np.array([d.high for d in dofs])
    rest = np.array(per_dof("relax_pos", base.relax_pos, n))
    total, count = np.zeros(k * n), 0
    for test, x_hat, target in pieces:
        chain = OutputChain(dataclasses.replace(base, **values), wide, test.tick_rate)
        wanted = np.tile(np.clip(target + rest, low, high), k)
        for i, x in enumerate(np.tile(x_hat, k)):
            if i and test.segment[i] != test.segment[i - 1]:
                chain.reset()
            out = chain.step(x)
            if test.use[i] and out is not None:
                total += (out - wanted[i]) ** 2
        count += int(test.use.sum())
    return (total / count).reshape(k, n)
