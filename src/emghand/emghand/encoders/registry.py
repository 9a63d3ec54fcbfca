"""Encoders by kind."""

from __future__ import annotations

import importlib

from emghand.decoders.base import Floats, Ints
from emghand.encoders.base import Encoder
from emghand.errors import UserError

ENCODERS = ("linear", "nonlinear")
"""Kinds of encoder: modules of this package, each with a constant ``ENCODER``."""


def encoder_class(kind: str) -> type[Encoder]:
    """Class of a kind of encoder.

    Raises
    ------
    UserError
        When there is no such kind.
    """
    if kind not in ENCODERS:
        raise UserError(f"encoder {kind!r}: unknown, choose from: {', '.join(ENCODERS)}")
    return importlib.import_module(f"emghand.encoders.{kind}").ENCODER


def fit_encoder(
    Z: Floats, kind: str = "linear", size: int = 8, groups: Ints | None = None
) -> Encoder:
    """Encoder learned from features alone.

    Parameters
    ----------
    Z : ndarray, shape (m, n_features)
        Normalised features of stored or fresh data; no labels are needed.
    kind : str
        One of `ENCODERS`.
    size : int
        Numbers that stand for the features of a tick.
    groups : ndarray of int, shape (m,), optional
        See `Encoder.fit`.
    """
    return encoder_class(kind)(size).fit(Z, groups)
