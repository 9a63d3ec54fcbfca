"""When a running decoder learns, and when it changes: the same live, in files and in tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.messages import Failure, Outcome
from emghand.adapt.settings import AdaptationSettings
from emghand.adapt.worker import Result, Worker
from emghand.control.decoder_pipeline import Decoded, DecoderPipeline
from emghand.decoders.base import Decoder
from emghand.errors import UserError
from emghand.storage.models import Model

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RunningModel:
    """A model and the file it is in.

    Parameters
    ----------
    model : Model
    uri : str
    decoder : Decoder, optional
        A copy of its decoder that is ready to run, once: no tick shall wait for it.
    """

    model: Model
    uri: str
    decoder: Decoder | None = None


@dataclass(frozen=True)
class Notice:
    """What is said on /decoder/adaptation; kinds as in AdaptationEvent."""

    kind: str
    tick: int
    cause: str
    outcome: Outcome | None = None
    model: RunningModel | None = None


Exchange = Callable[[RunningModel, float], None]
"""Lets a model take over before the next tick, with a blend of so many seconds."""


class Adaptation:
    """Feeds a worker with use, and lets what it proposes take over while the hand is at rest.

    Nothing is fed and nothing is exchanged while somebody holds it (`hold`), nor after refused
    ticks until the signal was good for `settle_s`. `undo` goes back to the calibration; a worker
    that is started later knows nothing of what was undone.

    Parameters
    ----------
    pipeline : DecoderPipeline
        Runs the calibration model.
    calibration : RunningModel
    exchange : callable
        Exchanges the model of the pipeline. It may raise `UserError`; the old one then stays.
    settings : AdaptationSettings
    say : callable
        Gets every notice.
    """

    def __init__(
        self,
        pipeline: DecoderPipeline,
        calibration: RunningModel,
        exchange: Exchange,
        settings: AdaptationSettings,
        say: Callable[[Notice], None],
    ) -> None:
        self.calibration = calibration
        self.settings = settings
        self.running = calibration
        """The model in force."""
        self._behind: Outcome | None = None
        """What led to the model in force; None: it is the calibration."""
        self._pipeline = pipeline
        self._exchange = exchange
        self._say_notice = say
        self._worker: Worker | None = None
        self.tick = -1
        """Last tick seen."""
        self._held = ""
        self._paused = ""
        self._settle = 0
        self._away = 0.0
        self._fed = False
        self._rest = 0
        self._pending: tuple[RunningModel, Outcome] | None = None

    @property
    def worker(self) -> Worker | None:
        """None while adaptation is off."""
        return self._worker

    @property
    def paused(self) -> str:
        """Why nothing is learned at the moment; empty: it is, or adaptation is off."""
        return self._paused

    @property
    def waiting(self) -> bool:
        """Whether a model waits for the hand to be at rest."""
        return self._pending is not None

    def start(self, worker: Worker) -> None:
        """Adapt with a worker from now on; it is closed with `stop`."""
        self.stop()
        self._worker = worker
        self._settle = 0
        self._away, self._fed = 0.0, False
        if self._held:
            self._pause(self._held)

    def stop(self) -> None:
        """Learn no more; the model in force stays."""
        if self._worker is not None:
            self._worker.close()
        self._worker = None
        self._pending = None
        self._paused = ""

    def undo(self) -> None:
        """Back to the calibration, at once and with the blend, and learn no more.

        Raises
        ------
        UserError
            When the calibration does not fit any more; everything is as before.
        """
        undone = self._behind
        if self.running is not self.calibration:
            self._exchange(self.calibration, self.settings.blend_s)
            self.running, self._behind = self.calibration, None
            cause = "undone: the calibration decoder takes over; adaptation is off"
        else:
            cause = "undone: the calibration decoder was in force; adaptation is off"
        self.stop()
        self._say("undone", cause, undone, self.calibration, self.tick + 1)

    def hold(self, cause: str) -> None:
        """Somebody wants no adaptation now, and why; empty: go on."""
        if cause == self._held:
            return
        self._held = cause
        if self._worker is None:
            return
        if cause:
            self._pause(cause)
        elif not self._settle:
            self._resume()

    def missed(self, seconds: float) -> None:
        """For so long no ticks came."""
        self._away += seconds

    def after_tick(self, z: Floats, tick: int, decoded: Decoded, x_d: Floats | None = None) -> None:
        """Take what was decoded; to be called after each tick, when its output is on its way.

        Parameters
        ----------
        z : ndarray, shape (n_features,)
        tick : int
        decoded : Decoded
        x_d : ndarray, shape (n_dofs,), optional
            What is shown to the user, if anything is.
        """
        follows = tick == self.tick + 1
        self.tick = tick
        worker = self._worker
        if worker is None:
            return
        if decoded.x_hat is None or decoded.out_x_hat is None:
            self._away += 1.0 / self._pipeline.model.tick_rate
            self._settle = math.ceil(self.settings.settle_s * self._pipeline.model.tick_rate)
            self._pause(self._held or f"the signal is refused: {decoded.fault or 'output'}")
            return
        if self._settle:
            self._settle -= 1
            if not self._settle and not self._held:
                self._resume()
        if self._away and not self._settle:
            self._return(worker)
        if self._paused:
            self._rest = 0
            return
        self._fed = True
        worker.feed(z, decoded.x_hat, tick, not self._pipeline.blending, x_d)
        for result in worker.poll():
            self._take(result)
        if self._pending is not None:
            still = follows and self._is_still(decoded.x_hat, decoded.out_x_hat)
            self._rest = self._rest + 1 if still else 0
            if self._rest >= max(1, self._ticks(self.settings.rest_s)):
                self._swap()

    def poll(self) -> None:
        """Look after the worker while no ticks come; to be called a few times a second."""
        if self._worker is not None:
            for result in self._worker.poll():
                self._take(result)

    def _ticks(self, seconds: float) -> int:
        return round(seconds * self._pipeline.model.tick_rate)

    def _is_still(self, x_hat: Floats, out_x_hat: Floats) -> bool:
        zone = self.settings.rest_zone
        moved = np.abs(out_x_hat - self._pipeline.rest)
        return bool((np.abs(x_hat) < zone).all() and (moved < zone).all())

    def _take(self, result: Result) -> None:
        if isinstance(result, Failure):
            self._say("failed", result.cause)
            return
        outcome, model = result.outcome, result.model
        self._say("proposed", f"{outcome.rule}: {outcome.chosen or 'no candidate'}", outcome)
        replaced = " (an older proposal that waited for rest is given up)" if self._pending else ""
        self._pending = None
        self._rest = 0
        refusal = outcome.cause if model is None else self._misfit(model)
        if model is None or refusal:
            self._say("refused", refusal + replaced, outcome)
        elif model.model_id == self.running.model.model_id:
            self._say("refused", "this decoder is in force already" + replaced, outcome)
        else:
            self._pending = (RunningModel(model, outcome.uri, result.decoder), outcome)
            self._say("accepted", outcome.cause + replaced, outcome, self._pending[0])

    def _misfit(self, model: Model) -> str:
        own = self.calibration.model
        for name in ("dofs", "features", "channel_names", "rate", "n_features"):
            if getattr(model, name) != getattr(own, name):
                return f"the model proposed has other {name} than the calibration"
        return ""

    def _return(self, worker: Worker) -> None:
        """The signal is back and good."""
        away, self._away = self._away, 0.0
        if away < self.settings.forget_s or not self._fed:
            return
        self._pending, self._fed = None, False
        worker.restart()
        keeps = self.settings.memory and self.settings.mode == "relabel"
        self._say(
            "forgotten",
            f"the signal was bad or missing for {away:.0f} s, the electrodes may be on anew: "
            "use from before is not learned from, no model of it takes over"
            + ("; the replay memory stays until it is cleared" if keeps else ""),
        )

    def _swap(self) -> None:
        if self._pending is None or self._pipeline.blending:
            return
        (running, outcome), self._pending = self._pending, None
        self._rest = 0
        try:
            self._exchange(running, self.settings.blend_s)
        except UserError as error:
            self._say("refused", str(error), outcome)
            return
        self.running, self._behind = running, outcome
        cause = "the hand is at rest: the adapted decoder takes over"
        self._say("swapped", cause, outcome, running, tick=self.tick + 1)

    def _pause(self, cause: str) -> None:
        self._rest = 0
        if cause != self._paused:
            self._paused = cause
            self._say("paused", cause)

    def _resume(self) -> None:
        if self._paused:
            self._paused = ""
            self._say("resumed", "adaptation goes on")

    def _say(
        self,
        kind: str,
        cause: str,
        outcome: Outcome | None = None,
        model: RunningModel | None = None,
        tick: int | None = None,
    ) -> None:
        tick = self.tick if tick is None else tick
        self._say_notice(Notice(kind, tick, cause, outcome, model))
