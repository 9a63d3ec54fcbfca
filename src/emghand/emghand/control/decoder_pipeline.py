"""From features to `out_x_hat`: normaliser, encoder, decoder and output filters, step by step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.control.chain import OutputChain
from emghand.control.handover import LARGEST_STEP, Estimator, Handover
from emghand.control.settings import OutputSettings
from emghand.decoders.base import LARGEST, Decoder
from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.settings import SettingsError
from emghand.storage.models import Model

Floats = NDArray[np.float64]
State = dict[str, NDArray[np.generic]]

FAULTS = ("length", "nan", "quality", "order")
"""Reasons why a tick is refused: wrong number of features; a feature that is not finite; a bad
signal; a tick that is not newer than the last one accepted."""


@dataclass(frozen=True)
class Decoded:
    """What came of one tick.

    Parameters
    ----------
    x_hat, out_x_hat : ndarray, shape (n_dofs,), or None
        Estimate before and after the output filters; None when the tick was refused.
    fault : str
        Empty, or why the tick was refused: one of `FAULTS`.
    restarted : bool
        Decoder and filters started anew from rest before this tick, because of a long silence.
    """

    x_hat: Floats | None
    out_x_hat: Floats | None
    fault: str = ""
    restarted: bool = False


class DecoderPipeline:
    """Runs a model tick by tick.

    A refused tick yields no output, is counted in `faults` and changes no state. After
    ``restart_s`` without an accepted tick the next one starts from rest, as after `reset`: the hand
    has gone there meanwhile, and an old estimate must not move it.

    Parameters
    ----------
    model : Model
        It is not changed: the pipeline runs a copy of the decoder.
    output_settings : OutputSettings, optional
        Instead of those of the model; they stay in force when the model is exchanged.
    decoder : Decoder, optional
        What `decoder_of` made of the model, for this pipeline alone.

    Attributes
    ----------
    faults : dict of str to int
        Refused ticks by reason, since the start.
    x_hat_ns : int
        When `x_hat` of the last accepted tick was ready, on `time.perf_counter_ns`: so much of a
        step was decoding, the rest output filters.
    """

    def __init__(
        self,
        model: Model,
        output_settings: OutputSettings | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        self.faults = dict.fromkeys(FAULTS, 0)
        self._own_settings = output_settings
        self._last_tick = -1
        self.x_hat_ns = 0
        self._handover: Handover | None = None
        self._set_chain(self._chain(model, output_settings))
        self._estimator = Estimator(model, decoder)

    @property
    def model(self) -> Model:
        """The model in force; during a hand-over the new one."""
        return self._estimator.model

    @property
    def blending(self) -> bool:
        """Whether a hand-over is under way."""
        return self._handover is not None

    @property
    def dofs(self) -> tuple[Dof, ...]:
        """DOFs in the order of `x_hat`."""
        return self.model.dofs

    @property
    def output(self) -> OutputSettings:
        """Settings of the output filters in force."""
        return self._output.settings

    @property
    def rest(self) -> Floats:
        """`out_x_hat` of a hand at rest, shape (n_dofs,)."""
        return self._output.rest

    def step(self, z: Floats, tick: int, quality: int = 0) -> Decoded:
        """Decode one tick.

        Parameters
        ----------
        z : ndarray, shape (n_features,)
            Features as computed, not normalised.
        tick : int
            Number of the tick on the sample grid.
        quality : int
            Anything but 0: the signal is no good.
        """
        z = np.asarray(z, dtype=np.float64)
        if z.shape != (self.model.n_features,):
            return self._refuse("length")
        if not (np.abs(z) < LARGEST).all():
            return self._refuse("nan")
        if quality:
            return self._refuse("quality")
        if tick <= self._last_tick:
            return self._refuse("order")
        silent = tick - self._last_tick - 1
        restarted = self._last_tick >= 0 and 0 < self._restart_ticks <= silent
        if restarted:
            self.reset()
        self._last_tick = tick
        x_hat = self._estimate(z)
        self.x_hat_ns = time.perf_counter_ns()
        return Decoded(x_hat, self._output.step(x_hat), restarted=restarted)

    def reset(self) -> None:
        """Start anew from rest, for example after `FeatureTick.reset`; any tick may follow.

        Delayed features are forgotten (the next tick stands for all of them), the estimate, the
        latches, the integrators and the speed limiter start from rest. A hand-over ends: from rest
        the new decoder starts alone. Counts of faults stay.
        """
        self._handover = None
        self._estimator.decoder.reset()
        self._output.reset()
        self._last_tick = -1

    def set_model(self, model: Model, blend_s: float = 0.0, decoder: Decoder | None = None) -> None:
        """Exchange the model, between two ticks.

        Without a blend the new decoder starts fresh and alone. With the same DOFs the output
        filters go on where they were, so that the speed limit also bounds what the exchange does;
        else they start from rest.

        With a blend see `emghand.control.handover.Handover`: `x_hat` goes linearly from the old
        to the new estimate, and the exchange adds at most `LARGEST_STEP` to `out_x_hat` from one
        tick to the next, so that it takes longer than asked for where the decoders disagree much.
        (A hard dead zone jumps at its edge all the same, and a latch catches up in its own way, as
        they always do.) The output filters in force stay.

        A blend needs the same features and DOFs; without these the exchange is one without a blend.

        Parameters
        ----------
        model : Model
        blend_s : float
            Shortest length of the blend [s]; 0: none.
        decoder : Decoder, optional
            What `decoder_of` made of it, for this pipeline alone, so that no tick waits for that.

        Raises
        ------
        UserError
            When the output settings in force do not fit the new model; the old one stays.
        """
        old = self.model
        alike = (old.dofs, old.n_features) == (model.dofs, model.n_features)
        if blend_s > 0.0 and alike:
            self._chain(model, self.output)
            self._blend(Estimator(model, decoder), max(1, round(blend_s * model.tick_rate)))
            return
        chain = self._chain(model, self._own_settings)
        chain.adopt(self._output)
        self._handover = None
        self._estimator = Estimator(model, decoder)
        self._set_chain(chain)

    def set_output(self, settings: OutputSettings) -> None:
        """Exchange the output settings, between two ticks; filters that stay keep their state.

        Raises
        ------
        SettingsError
            When they do not fit the DOFs; the old ones stay.
        """
        chain = self._chain(self.model, settings)
        chain.adopt(self._output)
        self._own_settings = settings
        self._set_chain(chain)

    def snapshot(self) -> State:
        """Everything carried from tick to tick, as plain arrays.

        Together with model and output settings, which it does not hold, `restore` continues from it
        bit for bit.

        Raises
        ------
        UserError
            During a hand-over, whose state is that of two models.
        """
        if self._handover is not None:
            raise UserError("snapshot of the decoder: there is none while a new model takes over")
        parts = {"decoder": self._estimator.decoder.state(), "output": self._output.snapshot()}
        arrays = {f"{part}.{k}": v for part, state in parts.items() for k, v in state.items()}
        arrays["last_tick"] = np.array([self._last_tick], dtype=np.int64)
        arrays["faults"] = np.array([self.faults[f] for f in FAULTS], dtype=np.int64)
        return arrays

    def restore(self, snapshot: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a snapshot of a pipeline with the same model and output settings.

        Raises
        ------
        UserError
            When the snapshot is that of another one; the state is then unchanged.
        """
        parts: dict[str, State] = {"decoder": {}, "output": {}}
        for name, value in snapshot.items():
            part, _, key = name.partition(".")
            if part in parts:
                parts[part][key] = np.asarray(value)
        try:
            last_tick = int(snapshot["last_tick"][0])
            counts = [int(n) for n in snapshot["faults"]]
            faults = dict(zip(FAULTS, counts, strict=True))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(f"snapshot of the decoder: incomplete ({error})") from error
        decoder = self._estimator.decoder
        before = decoder.state()
        decoder.set_state(parts["decoder"])
        try:
            self._output.restore(parts["output"])
        except UserError:
            decoder.set_state(before)
            raise
        self._handover = None
        self._last_tick, self.faults = last_tick, faults

    def _chain(self, model: Model, settings: OutputSettings | None) -> OutputChain:
        chosen = model.output if settings is None else settings
        if model.decoder.differential and set(chosen.mode) != {"position"}:
            raise SettingsError("mode: this decoder integrates velocities itself, set position")
        return OutputChain(chosen, model.dofs, model.tick_rate)

    def _blend(self, new: Estimator, ticks: int) -> None:
        # Rounding must not carry a step over its bound.
        step = LARGEST_STEP * (1.0 - 1e-9) / max(self._output.slope, 1e-3)
        limit, under_way = self._output.saturation, self._handover
        if under_way is None:
            self._handover = Handover(self._estimator, new, ticks, step, limit)
        else:
            # An unfinished one is left from where it is, towards the old estimate.
            offset = under_way.offset
            self._handover = Handover(under_way.old, new, ticks, step, limit, offset)
        self._estimator = new

    def _estimate(self, z: Floats) -> Floats:
        if self._handover is None:
            return self._estimator.step(z)
        x_hat = self._handover.step(z)
        if self._handover.finished:
            self._handover = None
        return x_hat

    def _set_chain(self, chain: OutputChain) -> None:
        self._output = chain
        self._restart_ticks = round(chain.settings.restart_s * chain.tick_rate)

    def _refuse(self, fault: str) -> Decoded:
        self.faults[fault] += 1
        return Decoded(None, None, fault)
