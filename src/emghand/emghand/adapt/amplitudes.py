"""Amplitudes of single channels: the space in which drift is estimated.

Noise adds in quadrature to the mean absolute value and the root mean square of a channel, and
muscles add to it, so that gain, baseline and mixing can be told apart there; not behind a logarithm
or in differences of channels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings

Floats = NDArray[np.float64]

FEATURES = ("mav", "rms")


def check_features(features: FeatureSettings) -> None:
    """Refuse features in which drift cannot be estimated.

    Raises
    ------
    UserError
        When they are anything but the amplitude of each channel.
    """
    if len(features.features) != 1 or features.features[0] not in FEATURES:
        raise UserError(
            "adaptation needs the feature mav or rms alone, the model has "
            f"{', '.join(features.features)}: train one with --set features=[mav]"
        )
    if features.montage != "single":
        raise UserError(
            f"adaptation needs single channels, the model has the montage {features.montage}: "
            "train one with --set montage=single"
        )


def to_amplitudes(Z: Floats, transform: str) -> Floats:
    """Amplitudes of features as published."""
    if transform == "sqrt":
        return np.square(Z)
    if transform == "log":
        return np.exp(Z)
    return Z.copy()


def from_amplitudes(A: Floats, transform: str) -> Floats:
    """Features as published, of amplitudes above 0."""
    if transform == "sqrt":
        return np.sqrt(A)
    if transform == "log":
        return np.log(A)
    return A.copy()
