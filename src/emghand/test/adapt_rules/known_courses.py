"""Courses whose movements are known, and rules that learn from them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from emghand.adapt.rules import make_rule
from emghand.adapt.window import Window

KINDS = ("ridge", "kalman")


@dataclass(frozen=True)
class KnownSegment:
    """The fields of a segment of the detector."""

    kind: str
    t0_tick: int
    t1_tick: int
    x0: np.ndarray
    x_f: np.ndarray
    moving: np.ndarray


def known_segments(x, ticks):
    """Movements and rests of a course without noise."""
    goes = np.abs(np.diff(x, axis=0)).max(axis=1) > 0.0
    edges = np.flatnonzero(np.diff(goes.astype(int), prepend=2, append=2))
    found = []
    for a, b in itertools.pairwise(edges):
        moving = np.abs(x[b] - x[a]) > 0.0
        kind = "movement" if moving.any() else "plateau"
        found.append(KnownSegment(kind, int(ticks[a]), int(ticks[b]), x[a], x[b], moving))
    return found


def rule(name, model, person, truth=None, /, **values):
    """A rule; with the truth it learns from the true segments."""

    def segmenter(window):
        rows = np.isin(np.arange(len(truth)), window.ticks)
        return known_segments(truth[rows], np.arange(len(truth))[rows])

    options = {} if truth is None else {"segmenter": segmenter}
    return make_rule(name, model, person.dataset, values, **options)


def resting(truth, first):
    """A tick from `first` on at which nothing moves, nor soon before or after."""
    still = [i for i in range(first, len(truth) - 20) if not truth[i - 20 : i + 20].any()]
    return still[0]


def part(window, start, stop):
    rows = slice(start, stop)
    return Window(
        *(getattr(window, n)[rows] for n in ("Z", "x_hat", "ticks", "good")), window.tick_rate
    )


def bits(model):
    return {k: v.tobytes() for k, v in model.decoder.to_arrays().items()}


def mean_r2(model, window, truth):
    x = model.decoder.predict(model.normaliser.apply(window.Z))
    return float(np.mean(1 - ((truth - x) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)))
