"""Encoders: fewer numbers in place of many features, learned without labels."""

from emghand.encoders.base import Encoder
from emghand.encoders.registry import ENCODERS, encoder_class, fit_encoder

__all__ = ["ENCODERS", "Encoder", "encoder_class", "fit_encoder"]
