"""Tasks for the tests; workers import them by name."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from emghand.errors import UserError


def solve(settings, paths):
    """Numbers whose last bits tell how they were computed."""
    rng = np.random.default_rng(settings["seed"])
    A = rng.standard_normal((160, 120))
    time.sleep(settings.get("sleep", 0.0))
    if "log" in settings:
        with Path(settings["log"]).open("a") as log:
            log.write(f"{settings['seed']} {os.getpid()}\n")
    return {"x": np.linalg.lstsq(A, A[:, 0] ** 2, rcond=None)[0][:3].tolist()}


def fail(settings, paths):
    """A mistake of the user, or of the programmer."""
    if settings["seed"] % 2:
        raise UserError("the recording is empty")
    return {"x": [1 / 0]}


def die(settings, paths):
    """Take the worker down; `times` times at most."""
    marks = Path(settings["marks"])
    died = len(list(marks.iterdir()))
    if died < settings["times"]:
        (marks / f"{died}_{os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"x": [died]}
