"""A model of how postures make amplitudes, and its fit to holds without labels.

    y = b + H s + noise,  s = [x+; x-]

y: amplitudes, averaged over a hold; b: at rest; s: half-directions of the DOFs, of which few are
active at a time. The fit is an expectation-maximisation over which of them are active (the support)
and how much.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PRIORS = 0.4, 0.35, 0.25
"""Of rest, of one half-direction, and of two or a frequent pattern."""
RARE = 0.02
"""Weight of a half-direction that was never used, beside 1 of the one used most."""
GAIN_SD = 0.2
MIXING_SD = 0.15
"""Of an entry of H from trial to trial of the fit, relative to the largest."""
ITERATIONS = 6
GAIN_BOUNDS = 0.3, 3.0
ROTATIONS_DEG = tuple(float(d) for d in range(-24, 25, 2))
ROTATION_RISE = 0.3
"""Rise of the mean log-likelihood from which on a rotation is believed."""


@dataclass(frozen=True)
class Template:
    """The model.

    Parameters
    ----------
    rest : ndarray, shape (n,)
        b.
    mixing : ndarray, shape (n, h)
        H; h half-directions, first all positive ones.
    variance : ndarray, shape (n,)
        Of the noise.
    """

    rest: Floats
    mixing: Floats
    variance: Floats

    def amplitudes(self, halves: Floats) -> Floats:
        """B + H s; shapes (m, h) -> (m, n)."""
        return self.rest + halves @ self.mixing.T


@dataclass(frozen=True)
class Supports:
    """Which half-directions may be active together.

    Parameters
    ----------
    members : tuple of tuple of int
    log_prior : ndarray, shape (k,)
    mean, sd : float
        Of the amplitude of an active half-direction.
    """

    members: tuple[tuple[int, ...], ...]
    log_prior: Floats
    mean: float
    sd: float


@dataclass(frozen=True)
class Fit:
    """What a fit found.

    Parameters
    ----------
    template : Template
    gain : ndarray, shape (n,)
        Of each channel, with the median 1.
    rotation_deg : float
    """

    template: Template
    gain: Floats
    rotation_deg: float


def halves_of(x: Floats) -> Floats:
    """[x+; x-]; shapes (m, d) -> (m, 2 d)."""
    return np.hstack([np.maximum(x, 0.0), np.maximum(-x, 0.0)])


def learn_template(amplitudes: Floats, x: Floats, rest: Floats, held: Floats) -> Template:
    """Template of labelled examples, by least squares.

    Parameters
    ----------
    amplitudes : ndarray, shape (m, n)
    x : ndarray, shape (m, d)
    rest : ndarray, shape (n,)
    held : ndarray, shape (p, n + d)
        Amplitudes and labels, averaged over holds: for the variance.
    """
    s, n = halves_of(x), amplitudes.shape[1]
    gram = s.T @ s + 1e-6 * len(s) * np.eye(s.shape[1])
    mixing: Floats = np.linalg.solve(gram, s.T @ (amplitudes - rest)).T.astype(np.float64)
    left = held[:, :n] - rest - halves_of(held[:, n:]) @ mixing.T
    # No channel is known better than this: the model is only a model.
    least = np.square(0.02 * np.abs(mixing).max())
    return Template(rest, mixing, left.var(axis=0) + least)


def make_supports(
    low: Sequence[float], patterns: Floats, mean: float, sd: float, use: Floats | None = None
) -> Supports:
    """Rest, every half-direction, every two of different DOFs, and the frequent patterns.

    Parameters
    ----------
    low : sequence of float, length d
        Lower ends of the DOFs: one-sided ones have no negative half.
    patterns : ndarray, shape (k, 2 d)
    mean, sd : float
        Of the amplitude of an active half-direction.
    use : ndarray, shape (2 d,), optional
        How often the person uses each half-direction; by default all alike.
    """
    d = len(low)
    known = [*range(d), *(d + i for i in range(d) if low[i] < 0.0)]
    ones = [(i,) for i in known]
    more: list[tuple[int, ...]] = [
        (i, j) for i, j in itertools.combinations(known, 2) if i % d != j % d
    ]
    more += [tuple(int(i) for i in np.flatnonzero(row)) for row in patterns]
    often = np.ones(2 * d) if use is None else use / use.max() + RARE
    single = np.array([often[i] for (i,) in ones])
    several = np.array([np.prod(often[list(p)]) for p in more])
    shares = [
        np.array([PRIORS[0]]),
        PRIORS[1] * single / single.sum(),
        PRIORS[2] * several / several.sum() if more else several,
    ]
    return Supports(((), *ones, *more), np.log(np.concatenate(shares)), mean, sd)


def fit_template(
    y: Floats, template: Template, supports: Supports, keep: Bools, rings: int = 0
) -> Fit:
    """Template of unlabelled holds: rotation, then the gain of each channel, then all of H.

    Parameters
    ----------
    y : ndarray, shape (p, n)
        Amplitudes averaged over each hold.
    template : Template
        Of the calibration; where H changes little, it stays as it was.
    supports : Supports
    keep : ndarray of bool, shape (n,)
        Channels that count; the others keep their template.
    rings : int
        Rings that the channels form, one after the other, evenly spaced; 0: not known.
    """
    rotation = _find_rotation(y, template, supports, keep, rings) if rings else 0.0
    if rotation:
        template = replace(template, mixing=rotated(template.mixing, rings, rotation))
    part = Template(template.rest[keep], template.mixing[keep], template.variance[keep])
    y = y[:, keep]
    start, gain = part.mixing, np.ones(int(keep.sum()))
    for _ in range(ITERATIONS):
        mean, square = _expect(y, part, supports)
        gain = _gains(y, part, start, mean, square)
        part = replace(part, mixing=gain[:, None] * start)
    start = part.mixing
    for _ in range(ITERATIONS):
        mean, square = _expect(y, part, supports)
        part = replace(part, mixing=_mixing(y, part, start, mean, square))
    mixing, gains = template.mixing.copy(), np.ones(len(keep))
    mixing[keep], gains[keep] = part.mixing, gain
    return Fit(replace(template, mixing=mixing), gains, rotation)


def log_likelihood(y: Floats, template: Template, supports: Supports) -> float:
    """Mean over the holds."""
    joint = np.column_stack([_posterior(y, template, supports, s)[0] for s in supports.members])
    return float(_log_sum(joint + supports.log_prior).mean())


def rotated(mixing: Floats, rings: int, degrees: float) -> Floats:
    """H with the electrodes of each ring turned, by Fourier interpolation; not below 0."""
    parts = []
    for ring in np.split(mixing, rings):
        waves = np.fft.rfft(ring, axis=0)
        turn = np.exp(1j * np.arange(len(waves)) * np.radians(degrees))
        parts.append(np.fft.irfft(waves * turn[:, None], n=len(ring), axis=0))
    return np.maximum(np.concatenate(parts), 0.0)


def _find_rotation(
    y: Floats, template: Template, supports: Supports, keep: Bools, rings: int
) -> float:
    def likelihood(degrees: float) -> float:
        mixing = rotated(template.mixing, rings, degrees) if degrees else template.mixing
        part = Template(template.rest[keep], mixing[keep], template.variance[keep])
        return log_likelihood(y[:, keep], part, supports)

    found = [likelihood(degrees) for degrees in ROTATIONS_DEG]
    best = int(np.argmax(found))
    risen = found[best] - found[ROTATIONS_DEG.index(0.0)]
    return ROTATIONS_DEG[best] if risen > ROTATION_RISE else 0.0


def _posterior(
    y: Floats, template: Template, supports: Supports, support: tuple[int, ...]
) -> tuple[Floats, Floats, Floats]:
    """Log-likelihood, mean and covariance of the amplitudes of a support; (p,), (p, k), (k, k)."""
    weight = 1.0 / template.variance
    left = y - template.rest
    quadratic = np.einsum("pn,n->p", np.square(left), weight)
    constant = -0.5 * float(np.log(2.0 * np.pi * template.variance).sum())
    H, k = template.mixing[:, list(support)], len(support)
    precision = supports.sd**-2
    A = (H * weight[:, None]).T @ H + precision * np.eye(k)
    pull = (left * weight) @ H + supports.mean * precision
    covariance: Floats = np.linalg.inv(A).astype(np.float64)
    mean = pull @ covariance
    quadratic = quadratic + k * supports.mean**2 * precision - (pull * mean).sum(axis=1)
    spread = 0.5 * float(np.linalg.slogdet(A)[1]) + k * np.log(supports.sd)
    return constant - 0.5 * quadratic - spread, mean, covariance


def _expect(y: Floats, template: Template, supports: Supports) -> tuple[Floats, Floats]:
    """E[s], shape (p, h), and the sum over the holds of E[s s'], shape (h, h)."""
    found = [_posterior(y, template, supports, s) for s in supports.members]
    joint = np.column_stack([f[0] for f in found]) + supports.log_prior
    share = np.exp(joint - _log_sum(joint)[:, None])
    h = template.mixing.shape[1]
    mean, square = np.zeros((len(y), h)), np.zeros((h, h))
    for i, support in enumerate(supports.members):
        if not support:
            continue
        w, (_, amplitude, covariance) = share[:, i], found[i]
        at = list(support)
        mean[:, at] += w[:, None] * amplitude
        square[np.ix_(at, at)] += (w[:, None] * amplitude).T @ amplitude + w.sum() * covariance
    return mean, square


def _gains(y: Floats, template: Template, start: Floats, mean: Floats, square: Floats) -> Floats:
    precision = GAIN_SD**-2
    along = np.einsum("pn,pn->n", y - template.rest, mean @ start.T) / template.variance
    power = np.einsum("nh,hg,ng->n", start, square, start) / template.variance
    gain = (along + precision) / (power + precision)
    # Where half of the channels say nothing or the opposite, the median is no unit.
    return np.clip(gain / max(float(np.median(gain)), GAIN_BOUNDS[0]), *GAIN_BOUNDS)


def _mixing(y: Floats, template: Template, start: Floats, mean: Floats, square: Floats) -> Floats:
    precision = (MIXING_SD * np.abs(start).max()) ** -2
    weight = 1.0 / template.variance
    A = weight[:, None, None] * square + precision * np.eye(start.shape[1])
    pull = weight[:, None] * ((y - template.rest).T @ mean) + precision * start
    solved: Floats = np.linalg.solve(A, pull[:, :, None])[:, :, 0]
    return solved


def _log_sum(joint: Floats) -> Floats:
    top = joint.max(axis=1)
    return top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
