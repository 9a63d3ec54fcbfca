"""Rules that behave, and rules that do not; importable by the worker process."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import struct
import sys
import time

import numpy as np

from emghand.adapt.proposal import CandidateScore, Changes, Proposal
from emghand.decoders.normaliser import Normaliser
from emghand.storage.models import load_model


def refused(cause, n):
    return Proposal(None, cause, "test", "", (), Changes.none(n))


class Centre:
    """Proposes the calibration decoder about the mean of the window."""

    name = "test"

    def __init__(self, uri, score=1.0):
        self.model, self.score = load_model(uri), score

    def propose(self, window):
        normaliser = self.model.normaliser.to_arrays()
        normaliser["mean"] = window.usable().Z.mean(axis=0)
        model = dataclasses.replace(self.model, normaliser=Normaliser.from_arrays(normaliser))
        scores = (CandidateScore("calibration", -1.0), CandidateScore("centred", self.score))
        changes = Changes.none(window.Z.shape[1])
        cause = f"centred on {len(window)} ticks"
        return Proposal(model, cause, "test", "centred", scores, changes)


class Refuser:
    name = "test"

    def propose(self, window):
        text = f"{len(window)} ticks, {int(window.good.sum())} good, last {window.ticks[-1]}"
        return refused(text, window.Z.shape[1])


class Once:
    """Misbehaves in the first worker that runs it, refuses in those after it."""

    name = "test"

    def __init__(self, flag, deed):
        self.flag, self.deed = flag, deed

    def propose(self, window):
        if not self.flag.exists():
            self.flag.touch()
            self.deed()
        return refused(f"{len(window)} ticks", window.Z.shape[1])


class Always:
    name = "test"

    def __init__(self, deed):
        self.deed = deed

    def propose(self, window):
        self.deed()


class Sees:
    """Says how often a value is not finite in what it is given."""

    name = "test"

    def propose(self, window):
        return refused(f"{int(np.isnan(window.Z).any(axis=1).sum())} bad", window.Z.shape[1])


class Shown:
    """Says how much of `x_d` is known."""

    name = "test"

    def propose(self, window):
        known = np.isfinite(window.x_d).all(axis=1)
        text = f"{int(known.sum())} known, sum {np.nansum(window.x_d)}"
        return refused(text, window.Z.shape[1])


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def tear():
    """Go in the middle of an answer."""
    os.write(int(sys.argv[1]), struct.pack("!i", 100) + b"half")
    kill()


def stop():
    os.kill(os.getpid(), signal.SIGSTOP)


def hang():
    time.sleep(1000)


def leave():
    os._exit(3)


def fail():
    raise FloatingPointError("singular")


def hog():
    kept = []
    while True:
        kept.append(np.ones(2**24))


def unmakeable():
    from emghand.errors import UserError

    raise UserError("no reference yet")


def singular():
    raise np.linalg.LinAlgError("Singular matrix")


def centre(uri, score=1.0):
    return functools.partial(Centre, str(uri), score)


def once(flag, deed):
    return functools.partial(Once, flag, deed)


def always(deed):
    return functools.partial(Always, deed)
