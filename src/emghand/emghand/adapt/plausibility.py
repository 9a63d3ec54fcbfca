"""How much the output of a decoder looks like the person's own use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.reference import Reference

Floats = NDArray[np.float64]

REST_SD = 0.1
LOWEST = -8.0
"""Floor of the log-likelihood of a DOF."""


def plausibility(x: Floats, reference: Reference) -> float:
    """Mean log-likelihood of holds under the amplitudes of the reference, summed over the DOFs.

    A DOF is inactive, N(0, 0.1), or active, |x| ~ N(mean, sd) of the reference, in its shares.

    Parameters
    ----------
    x : ndarray, shape (p, n_dofs)
        `x_hat`, averaged over each hold.
    reference : Reference

    Returns
    -------
    float
        NaN without a hold.
    """
    if not len(x):
        return float("nan")
    mean, sd = reference.amplitude
    share = float(reference.active_share[0])
    active = np.log(share) + _log_normal(np.abs(x) - mean, float(np.hypot(sd, REST_SD)))
    idle = np.log(1.0 - share) + _log_normal(x, REST_SD)
    return float(np.maximum(np.logaddexp(active, idle), LOWEST).sum(axis=1).mean())


def _log_normal(x: Floats, sd: float) -> Floats:
    return -0.5 * np.square(x / sd) - np.log(sd * np.sqrt(2.0 * np.pi))
