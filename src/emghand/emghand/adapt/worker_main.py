"""The process that adaptation works in: started by `emghand.adapt.worker`, never by a person."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import threading
import time
from multiprocessing.connection import Connection

from emghand.adapt.learner import Learner, failure_of
from emghand.adapt.messages import Answer, Limits, Outcome, Setup

NICENESS = 19
"""The least there is: a tick that becomes ready displaces a fit at once."""
PARENT_PERIOD_S = 1.0


def serve(connection: Connection) -> None:
    """Answer messages until the other side is gone: `Limits`, then `Setup` or `Block`."""
    learner: Learner | None = None
    while True:
        message = connection.recv()
        try:
            outcomes: list[Outcome] = []
            if isinstance(message, Limits):
                _limit_memory(message.memory_mb)
            elif not isinstance(message, Setup):
                assert learner is not None
                outcomes = learner.push(message)
            elif learner is None:
                learner = Learner(message)
            else:
                learner.change(message)
            answer = Answer(tuple(outcomes))
        except Exception as error:
            answer = Answer(failure=failure_of(error))
        connection.send(answer)


def _limit_memory(megabytes: float) -> None:
    """A `MemoryError` in here, rather than a machine without memory."""
    size = int(megabytes * 2**20)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (size, hard))
    # Should the machine be short of memory all the same, this process is the one to go.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _end_with(parent: int) -> None:
    """End when the decoder's process is gone, also in the middle of a fit."""
    while os.getppid() == parent:
        time.sleep(PARENT_PERIOD_S)
    os._exit(0)


def main() -> None:
    """Serve the connection whose file descriptor, and the process whose id, are given."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    os.nice(NICENESS)
    if hasattr(os, "SCHED_IDLE"):
        # Not even its turn delays another process: who becomes ready takes its processor at once.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # Plain OSError: the other side went in the middle of a message.
    with contextlib.suppress(EOFError, OSError):
        serve(Connection(descriptor))


if __name__ == "__main__":
    main()
