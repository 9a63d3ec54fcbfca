"""Adaptation beside the decoder: a process of its own, or the same within this one.

The decoder's tick never waits: it copies a row into a block, and a full block into a bounded queue.
What happens to the worker (killed, hanging, out of memory, a rule that raises) costs proposals,
never ticks.
"""

from __future__ import annotations

import math
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.learner import Learner, failure_of, read_proposed
from emghand.adapt.messages import Answer, Failure, Limits, Outcome, Setup
from emghand.adapt.recent import Block
from emghand.control.handover import decoder_of
from emghand.decoders.base import Decoder
from emghand.errors import UserError
from emghand.storage.models import Model

Floats = NDArray[np.float64]

BLOCK_TICKS = 32
QUEUE_S = 120.0
"""How much use may wait for a worker that is busy with a proposal [s]."""
START_S = 60.0
"""Longest time for the worker to start and to make its rule [s]."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
POLL_S = 0.1

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


@dataclass(frozen=True)
class Proposed:
    """An outcome, with its model ready to run; None: refused."""

    outcome: Outcome
    model: Model | None
    decoder: Decoder | None = None
    """A copy of its decoder, made here so that no tick waits for it."""


Result = Proposed | Failure


class Worker(Protocol):
    """Takes ticks, gives proposals."""

    dropped: int
    """Ticks that were lost because the worker was behind."""

    def feed(
        self, z: Floats, x_hat: Floats, tick: int, good: bool, x_d: Floats | None = None
    ) -> None:
        """Take a tick; never waits. `x_d`: what was shown, if that is known."""
        ...

    def poll(self) -> list[Result]:
        """What came since the last call; to be called several times a second."""
        ...

    def change(self, setup: Setup) -> None:
        """Go on with another setup."""
        ...

    def restart(self) -> None:
        """Forget what was seen, and begin anew; never waits."""
        ...

    def close(self) -> None:
        """Stop; never waits."""
        ...

    def join(self) -> None:
        """Wait until nothing more is written, after `close`."""
        ...


def _read(outcome: Outcome) -> Result:
    try:
        model = read_proposed(outcome)
        return Proposed(outcome, model, None if model is None else decoder_of(model))
    except UserError as error:
        return Failure(f"the model proposed is of no use: {error}")


class InProcess:
    """The same without a process: `feed` asks the rule at the tick it is due, and waits.

    For files and tests: what comes of the same ticks is the same to the bit.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._learner = Learner(setup)
        self._results: list[Result] = []
        self.dropped = 0

    def feed(
        self, z: Floats, x_hat: Floats, tick: int, good: bool, x_d: Floats | None = None
    ) -> None:
        """See `Worker`; raises nothing."""
        shown = np.full(x_hat.shape, np.nan) if x_d is None else x_d
        block = Block(z[None], x_hat[None], np.array([tick]), np.array([good]), shown[None])
        try:
            self._results += [_read(outcome) for outcome in self._learner.push(block)]
        except Exception as error:
            self._results.append(failure_of(error))

    def poll(self) -> list[Result]:
        """See `Worker`."""
        results, self._results = self._results, []
        return results

    def change(self, setup: Setup) -> None:
        """See `Worker`."""
        self._learner.change(setup)
        self._setup = setup

    def restart(self) -> None:
        """See `Worker`."""
        self._results = []
        try:
            self._learner = Learner(self._setup)
        except Exception as error:
            self._results.append(failure_of(error))

    def close(self) -> None:
        """Nothing to stop."""

    def join(self) -> None:
        """Nothing to wait for."""


class WorkerProcess:
    """A process of low priority, with one thread for linear algebra and bounded memory.

    A thread of this process talks to it, one message at a time. A worker that ends, or that does
    not answer within `limit_s`, is started again after a pause that grows; it begins with an empty
    window.

    Parameters
    ----------
    setup : Setup
    limit_s : float
        Longest time for an answer [s].
    memory_mb : float
    first_pause_s : float
        Before the first restart; each further one waits twice as long.
    """

    def __init__(
        self,
        setup: Setup,
        limit_s: float,
        memory_mb: float,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self.dropped = 0
        self.pid = 0
        """Of the running process; 0: none."""
        self._setup = setup
        self._limit_s, self._memory_mb = limit_s, memory_mb
        self._first_pause_s = first_pause_s
        self._blocks = self._inbox = self._empty_queue()
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._outbox = self._results
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._anew = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = math.inf
        self._hung = False
        self._block: Block | None = None
        self._filled = 0
        self._thread = threading.Thread(target=self._supervise, name="adaptation", daemon=True)
        self._thread.start()

    # Called between two ticks.

    def feed(
        self, z: Floats, x_hat: Floats, tick: int, good: bool, x_d: Floats | None = None
    ) -> None:
        """See `Worker`."""
        block, i = self._block, self._filled
        if block is not None and i and tick <= block.ticks[i - 1]:
            self._hand_over(block[:i])
            block = None
        if block is None:
            n = BLOCK_TICKS
            shapes = (n, len(z)), (n, len(x_hat))
            block = Block(
                np.empty(shapes[0]),
                np.empty(shapes[1]),
                np.empty(n, np.int64),
                np.empty(n, bool),
                np.empty(shapes[1]),
            )
            self._block, i = block, 0
        block.x_d[i] = np.nan if x_d is None else x_d
        block.Z[i], block.x_hat[i], block.ticks[i], block.good[i] = z, x_hat, tick, good
        self._filled = i + 1
        if self._filled == BLOCK_TICKS:
            self._hand_over(block)

    def poll(self) -> list[Result]:
        """See `Worker`; also ends a worker that hangs."""
        process = self._process
        if process is not None and time.monotonic() > self._deadline:
            self._hung = True
            process.kill()
        results = []
        while not self._results.empty():
            results.append(self._results.get())
        return results

    def change(self, setup: Setup) -> None:
        """See `Worker`; it counts from the next block on."""
        self._setup = setup
        self._changed.set()

    def restart(self) -> None:
        """See `Worker`: the process is ended and another one started, at once."""
        self._block, self._filled = None, 0
        # Until the thread sees that it is to begin anew it serves the old queues: what is in them,
        # or is just on its way, nobody hears.
        self._blocks, self._results = self._empty_queue(), queue.SimpleQueue()
        self._anew.set()
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process, whatever it is at, without waiting for its end."""
        self._closing.set()
        process = self._process
        if process is not None:
            process.kill()

    def join(self) -> None:
        """See `Worker`."""
        self._thread.join()

    def _empty_queue(self) -> queue.Queue[Block]:
        return queue.Queue(max(1, round(QUEUE_S * self._setup.tick_rate / BLOCK_TICKS)))

    def _hand_over(self, block: Block) -> None:
        self._block, self._filled = None, 0
        try:
            self._blocks.put_nowait(block)
        except queue.Full:
            self.dropped += len(block)

    # Runs in the thread.

    def _supervise(self) -> None:
        pause = self._first_pause_s
        while not self._closing.is_set():
            started = time.monotonic()
            # First, so that whoever exchanges the queues after this ends this life at once.
            self._anew.clear()
            self._inbox, self._outbox = self._blocks, self._results
            cause = self._run()
            if self._closing.is_set():
                return
            if self._anew.is_set():
                continue
            if time.monotonic() - started > LONGEST_PAUSE_S:
                pause = self._first_pause_s
            text = f"{cause}; the decoder goes on unchanged, a new worker starts in {pause:g} s"
            self._outbox.put(Failure(text))
            self._closing.wait(pause)
            pause = min(2.0 * pause, LONGEST_PAUSE_S)

    def _run(self) -> str:
        """One life of the process; why it ended."""
        ours, theirs = socket.socketpair()
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "emghand.adapt.worker_main"]
        with theirs:
            try:
                process = subprocess.Popen(
                    [*command, str(theirs.fileno()), str(os.getpid())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    env=environment,
                    # Ctrl-C is for the decoder, which then ends its worker.
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                return f"the worker cannot be started: {error.strerror or error}"
        self._process, self._hung = process, False
        self.pid = process.pid
        if self._closing.is_set():
            process.kill()
        try:
            with Connection(ours.detach()) as connection:
                return self._talk(connection)
        except (EOFError, OSError):
            # Plain OSError: it went in the middle of a message.
            process.kill()
            return self._epitaph(process.wait())
        finally:
            self._deadline = math.inf
            self.pid = 0
            process.kill()
            process.wait()

    def _talk(self, connection: Connection) -> str:
        """Send what comes until this side ends it; why the worker is of no use, if it is not."""
        self._ask(connection, Limits(self._memory_mb), START_S)
        failure = self._ask(connection, self._setup, START_S)
        if failure is not None:
            return f"the worker cannot work: {failure.cause}"
        while not (self._closing.is_set() or self._anew.is_set()):
            try:
                block = self._inbox.get(timeout=POLL_S)
            except queue.Empty:
                continue
            messages: list[object] = [block]
            if self._changed.is_set():
                self._changed.clear()
                messages.insert(0, self._setup)
            for message in messages:
                failure = self._ask(connection, message, self._limit_s)
                if failure is not None:
                    self._outbox.put(failure)
        return ""

    def _ask(self, connection: Connection, message: object, limit_s: float) -> Failure | None:
        self._deadline = time.monotonic() + limit_s
        connection.send(message)
        answer: Answer = connection.recv()
        self._deadline = math.inf
        for outcome in answer.outcomes:
            self._outbox.put(_read(outcome))
        return answer.failure

    def _epitaph(self, status: int) -> str:
        if self._hung:
            return "the worker did not answer in time and was ended"
        if status < 0:
            known = -status in {int(s) for s in signal.Signals}
            name = signal.Signals(-status).name if known else f"signal {-status}"
            return f"the worker was killed ({name})"
        return f"the worker ended by itself (status {status})"
