"""Decoders: from feature vectors to DOF estimates."""

from emghand.decoders.base import Decoder
from emghand.decoders.kalman import KalmanDecoder
from emghand.decoders.registry import decoder_class, decoder_kinds
from emghand.decoders.ridge import RidgeDecoder

__all__ = ["Decoder", "KalmanDecoder", "RidgeDecoder", "decoder_class", "decoder_kinds"]
