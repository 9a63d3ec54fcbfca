"""Scores of a way to train, on examples that were left out of the training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.control.chain import OutputChain
from emghand.control.settings import OutputSettings, per_dof
from emghand.dofs import Dof, dof_names
from emghand.errors import UserError
from emghand.evaluate.fingerprint import fingerprint
from emghand.evaluate.metrics import DEFAULT_METRICS, Scores, score
from emghand.evaluate.results import Fold, Result, make_result
from emghand.evaluate.splits import Split, split
from emghand.evaluate.ticks import Ticks
from emghand.steps import step
from emghand.training.alignment import MAX_LAG_S, shifted
from emghand.training.dataset import Dataset
from emghand.training.fitting import Fitted, TrainSettings, fit

Floats = NDArray[np.float64]


class Predictor(Protocol):
    """What cross-validation asks of a fitted decoder."""

    @property
    def lag_s(self) -> float:
        """By how much the features follow `x_d` in the training part [s]."""
        ...

    def predict(self, dataset: Dataset) -> Floats:
        """`x_hat` of every row, shape (m, n_dofs)."""
        ...


@dataclass(frozen=True)
class CrossValidation:
    """Scores of `x_hat` over all rows, each decoded by a decoder that has not seen its repetition.

    Parameters
    ----------
    compensated : Scores
        Against `x_d` of the lag before; the lag is that of each fold's training part.
    uncompensated : Scores
        Against `x_d` as it was.
    folds : list of float
        Mean compensated R² of each repetition.
    lags_s : list of float
    """

    compensated: Scores
    uncompensated: Scores
    folds: list[float]
    lags_s: list[float]


def leave_one_repetition_out(
    dataset: Dataset, fit: Callable[[Dataset], Predictor], max_lag_s: float = MAX_LAG_S
) -> CrossValidation:
    """Fit without each repetition in turn and score on it.

    Parameters
    ----------
    dataset : Dataset
    fit : callable
        Fits on the data set it is given; whatever it learns, it learns from that.
    max_lag_s : float
        Largest lag that `fit` looks for [s]: `TrainSettings.longest_lag_s`.

    Raises
    ------
    UserError
        When there are fewer than two repetitions.
    """
    dofs = dof_names(dataset.dofs)
    wanted, given, plain = [], [], []
    folds, lags = [], []
    splits = split(dataset, "repetition", max_lag_s)
    for part, _, fitted, test, x_hat in _each(dataset, splits, fit):
        target = shifted(dataset, fitted.lag_s)[part.test][test.use]
        folds.append(score(target, x_hat[test.use], dofs).mean_r2)
        lags.append(fitted.lag_s)
        wanted.append(target)
        given.append(x_hat[test.use])
        plain.append(test.X[test.use])
    together = np.concatenate(given)
    return CrossValidation(
        compensated=score(np.concatenate(wanted), together, dofs),
        uncompensated=score(np.concatenate(plain), together, dofs),
        folds=folds,
        lags_s=lags,
    )


def cross_validate(
    dataset: Dataset,
    splits: Sequence[Split],
    fit: Callable[[Dataset], Predictor],
    output: OutputSettings | None = None,
) -> tuple[Ticks, list[Fold]]:
    """Decode the test part of every split with a decoder fitted to its training part.

    Parameters
    ----------
    dataset : Dataset
    splits : sequence of Split
        From `emghand.evaluate.splits.split`.
    fit : callable
        Fits on the data set it is given; whatever it learns, it learns from that.
    output : OutputSettings, optional
        Output filters; each piece of consecutive ticks starts from rest.

    Returns
    -------
    Ticks
        The rows in use of all test parts, by fold.
    list of Fold

    Raises
    ------
    UserError
        When a training part does not determine a decoder, or `output` does not fit the DOFs.
    """
    output = output or OutputSettings()
    movements, movement = np.unique(dataset.movement, return_inverse=True)
    folds: list[Fold] = []
    columns: dict[str, list[NDArray[np.generic]]] = {}
    for part, seen, fitted, test, x_hat in _each(dataset, splits, fit):
        use = test.use
        found = {
            "x_d": test.X,
            "x_d_before": shifted(dataset, fitted.lag_s)[part.test],
            "x_hat": x_hat,
            "out_x_hat": _filtered(seen.dofs, output, x_hat, test),
            "stamps_ns": test.stamps_ns,
            "movement": movement[part.test],
            "repetition": test.repetition,
            "trial": test.trial,
            "recording": test.recording,
            "fold": np.full(len(test), len(folds), dtype=np.int64),
        }
        for name, values in found.items():
            columns.setdefault(name, []).append(values[use])
        folds.append(
            Fold(
                name=part.name,
                lag_s=fitted.lag_s,
                train_ticks=int((part.train & dataset.use).sum()),
                test_ticks=int(use.sum()),
                guard_ticks=int((dataset.use & ~part.train & ~part.test).sum()),
                learned=fingerprint(fitted),
            )
        )
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    ticks = Ticks(
        dofs=dataset.dofs,
        tick_rate=dataset.tick_rate,
        relax_pos=per_dof("relax_pos", output.relax_pos, len(dataset.dofs)),
        movements=tuple(str(name) for name in movements),
        **joined,
    )
    return ticks, folds


def crossval_result(
    dataset: Dataset,
    settings: TrainSettings,
    scheme: str = "repetition",
    *,
    output: OutputSettings | None = None,
    name: str = "",
    metrics: Sequence[str] = DEFAULT_METRICS,
) -> Result:
    """Cross-validate training settings, as a result with tables and ticks.

    Parameters
    ----------
    dataset : Dataset
    settings : TrainSettings
    scheme : str
        What is held out: one of `emghand.evaluate.splits.SCHEMES`.
    output : OutputSettings, optional
        Output filters for `out_x_hat`; by default the usual ones.
    name : str
        What tables call it; by default the kind of decoder.
    metrics : sequence of str

    Raises
    ------
    UserError
        When the data do not allow the scheme, or a training part does not determine a decoder.
    """
    output = output or OutputSettings()
    seeds: set[int] = set()

    def learn(part: Dataset) -> Fitted:
        fitted = fit(part, settings)
        seeds.add(int(fitted.decoder.get_params().get("seed", 0)))
        return fitted

    splits = split(dataset, scheme, settings.longest_lag_s)
    ticks, folds = cross_validate(dataset, splits, learn, output)
    return make_result(
        ticks,
        dataset.sources,
        kind="crossval",
        name=name or settings.decoder,
        scheme=scheme,
        settings={
            "train": dataclasses.asdict(settings),
            "features": dataclasses.asdict(dataset.feature_settings),
            "output": dataclasses.asdict(output),
        },
        lag_s=float(np.mean([fold.lag_s for fold in folds])),
        metrics=metrics,
        seed=max(seeds),
        folds=folds,
    )


def _each(
    dataset: Dataset, splits: Sequence[Split], fit: Callable[[Dataset], Predictor]
) -> Iterator[tuple[Split, Dataset, Predictor, Dataset, Floats]]:
    """Each split with its training part, what was fitted to it, its test part, and `x_hat`."""
    for number, part in enumerate(splits):
        step(f"{part.name} held out", number / len(splits))
        seen = dataset.rows(part.train)
        try:
            fitted = fit(seen)
        except UserError as error:
            raise UserError(f"with {part.name} held out for the score: {error}") from error
        test = dataset.rows(part.test)
        yield part, seen, fitted, test, fitted.predict(test)


def _filtered(dofs: tuple[Dof, ...], output: OutputSettings, x_hat: Floats, of: Dataset) -> Floats:
    """`out_x_hat`, with the ranges that the training part shows."""
    chain = OutputChain(output, dofs, of.tick_rate)
    result = np.empty_like(x_hat)
    for i, x in enumerate(x_hat):
        if i and of.segment[i] != of.segment[i - 1]:
            chain.reset()
        result[i] = chain.step(x)
    return result
