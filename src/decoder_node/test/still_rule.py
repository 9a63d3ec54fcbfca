"""A model that is at rest while the muscles are quiet, and rules about it."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal

import numpy as np
from live_bench import START_NS, make_model, make_stream

from emghand.adapt.proposal import CandidateScore, Changes, Proposal
from emghand.decoders.normaliser import Normaliser
from emghand.decoders.ridge import RidgeDecoder
from emghand.pipeline import feature_ticks
from emghand.storage.models import load_model
from emghand.storage.recording import Block, Recording

QUIET = 0.05


def muscles(seconds, first=0, scale=1.0):
    """Noise, other at every sample; at `scale` 1 the hand moves, at `QUIET` it rests."""
    stream = make_stream()
    count = int(seconds * stream.rate) // 16 * 16
    rng = np.random.default_rng(first)
    samples = (1e-4 * scale * rng.standard_normal((count, stream.n_channels))).astype(np.float32)
    blocks = [
        Block(first + i, START_NS + (first + i) * 1_000_000, samples[i : i + 16])
        for i in range(0, count, 16)
    ]
    return Recording("test", stream, blocks)


def make_still(gain=1.0):
    model = make_model()
    Z = np.array([tick.z for _, tick in feature_ticks(model.features, muscles(3.0))])
    normaliser = Normaliser.from_arrays({"mean": np.zeros(4), "scale": 1.0 / Z.mean(axis=0)})
    rows = np.random.default_rng(0).standard_normal((300, 4))
    decoder = RidgeDecoder().fit(rows, gain * rows[:, :2])
    return dataclasses.replace(model, decoder=decoder, normaliser=normaliser)


class Halve:
    """Proposes a decoder that says half as much as the calibration."""

    name = "halve"

    def __init__(self, uri):
        self.model = load_model(uri)

    def propose(self, window):
        arrays = self.model.normaliser.to_arrays()
        arrays["scale"] = 0.5 * arrays["scale"]
        model = dataclasses.replace(self.model, normaliser=Normaliser.from_arrays(arrays))
        scores = (CandidateScore("calibration", -2.0), CandidateScore("half", -1.0))
        changes = Changes(
            np.full(4, 0.5), np.array([False, True, False, False]), np.zeros(4), 0.5, 6.0
        )
        return Proposal(model, "half is more plausible", self.name, "half", scores, changes)


class Fade(Halve):
    """Goes on from its last proposal: each says half as much as the one before."""

    name = "fade"

    def propose(self, window):
        found = super().propose(window)
        self.model = found.model
        scale = found.model.normaliser.to_arrays()["scale"].max()
        return dataclasses.replace(found, cause=f"scale {scale!r}")


class Shown:
    """Says what was shown."""

    name = "shown"

    def propose(self, window):
        found = np.nanmean(window.x_d, axis=0).tolist() if len(window) else []
        return Proposal(None, f"shown {found}", self.name, "", (), Changes.none(4))


class Die:
    name = "die"

    def propose(self, window):
        os.kill(os.getpid(), signal.SIGKILL)


def halve(uri, options):
    return functools.partial(Halve, uri)


def fade(uri, options):
    return functools.partial(Fade, uri)


def shown(uri, options):
    return Shown


def die(uri, options):
    return Die
