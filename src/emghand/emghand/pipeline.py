"""The one path from raw EMG to `out_x_hat`, used live, offline, in replay and in tests.

Live, two nodes share it: `FeaturePipeline` runs in one, `DecoderPipeline` in the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.control.decoder_pipeline import Decoded, DecoderPipeline
from emghand.control.settings import OutputSettings
from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.signal.feature_pipeline import FeaturePipeline, FeatureTick
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import Model
from emghand.storage.recording import Block, Recording, Stream

__all__ = [
    "Decoded",
    "DecoderPipeline",
    "FeaturePipeline",
    "FeatureTick",
    "Pipeline",
    "PipelineTick",
    "Run",
    "feature_pipeline",
    "feature_ticks",
    "sample_stamp_ns",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def sample_stamp_ns(block: Block, sample: int, rate: float) -> int:
    """Acquisition time of a sample [ns]: the block's stamp plus its index over the rate."""
    return block.stamp_ns + round((sample - block.first_sample) * 1e9 / rate)


def feature_pipeline(settings: FeatureSettings, stream: Stream) -> FeaturePipeline:
    """Feature pipeline for a stream."""
    return FeaturePipeline(
        settings, stream.n_channels, stream.rate, stream.full_scale, stream.channel_names
    )


def feature_ticks(
    settings: FeatureSettings, recording: Recording
) -> Iterator[tuple[int, FeatureTick]]:
    """Stamp [ns] and features of every tick of a recording."""
    pipeline = feature_pipeline(settings, recording.stream)
    for block in recording.blocks:
        for tick in pipeline.push(block.samples, block.first_sample):
            yield sample_stamp_ns(block, tick.last_sample, recording.stream.rate), tick


@dataclass(frozen=True)
class PipelineTick:
    """What came of one tick.

    Parameters
    ----------
    stamp_ns : int
        Acquisition time of its last sample.
    features : FeatureTick
    decoded : Decoded
    """

    stamp_ns: int
    features: FeatureTick
    decoded: Decoded


@dataclass(frozen=True)
class Run:
    """A recording, decoded.

    Parameters
    ----------
    dofs : tuple of Dof
    ticks : ndarray of int, shape (m,)
        Only ticks that gave an output.
    stamps_ns : ndarray of int, shape (m,)
    x_hat, out_x_hat : ndarray, shape (m, n_dofs)
    faults : mapping of str to int
        Refused ticks by reason.
    """

    dofs: tuple[Dof, ...]
    ticks: Ints
    stamps_ns: Ints
    x_hat: Floats
    out_x_hat: Floats
    faults: Mapping[str, int]


class Pipeline:
    """Raw EMG in, `out_x_hat` out.

    Parameters
    ----------
    model : Model
    stream : Stream
        What the raw EMG comes from; must be like the one the model was trained on.
    output_settings : OutputSettings, optional
        Instead of those of the model.

    Attributes
    ----------
    features : FeaturePipeline
    decoder : DecoderPipeline

    Raises
    ------
    UserError
        When the model was trained on another kind of stream.
    """

    def __init__(
        self, model: Model, stream: Stream, output_settings: OutputSettings | None = None
    ) -> None:
        for text, expected, given in (
            ("channels", model.channel_names, stream.channel_names),
            ("samples per second", model.rate, stream.rate),
            ("unit", model.unit, stream.unit),
        ):
            if expected != given:
                raise UserError(
                    f"the model was trained on another stream: its {text}: {_short(expected)}, "
                    f"here: {_short(given)}"
                )
        self._rate = stream.rate
        self.features = feature_pipeline(model.features, stream)
        self.decoder = DecoderPipeline(model, output_settings)

    def push(self, block: Block) -> list[PipelineTick]:
        """Take the next block of raw EMG, any number of samples."""
        return list(self._push(block))

    def _push(self, block: Block) -> Iterator[PipelineTick]:
        for tick in self.features.push(block.samples, block.first_sample):
            yield self._decode(sample_stamp_ns(block, tick.last_sample, self._rate), tick)

    def run(self, recording: Recording, on_tick: Callable[[], object] = lambda: None) -> Run:
        """Decode a whole recording from its start.

        Parameters
        ----------
        recording : Recording
        on_tick : callable, optional
            Called after each tick; what it raises ends the run.
        """
        self.features.reset()
        self.decoder.reset()
        before = dict(self.decoder.faults)
        ticks = []
        for block in recording.blocks:
            for tick in self._push(block):
                ticks.append(tick)
                on_tick()
        good = [t for t in ticks if t.decoded.x_hat is not None]
        shape = (len(good), len(self.decoder.dofs))
        return Run(
            dofs=self.decoder.dofs,
            ticks=np.array([t.features.tick for t in good], dtype=np.int64),
            stamps_ns=np.array([t.stamp_ns for t in good], dtype=np.int64),
            x_hat=np.array([t.decoded.x_hat for t in good], dtype=np.float64).reshape(shape),
            out_x_hat=np.array([t.decoded.out_x_hat for t in good], np.float64).reshape(shape),
            faults={k: n - before[k] for k, n in self.decoder.faults.items()},
        )

    def reset(self) -> None:
        """Start anew from rest."""
        self.features.reset()
        self.decoder.reset()

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """Everything carried from block to block, as plain arrays."""
        parts = {"features": self.features.snapshot(), "decoder": self.decoder.snapshot()}
        return {f"{part}.{k}": v for part, arrays in parts.items() for k, v in arrays.items()}

    def restore(self, snapshot: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a snapshot of the same pipeline, bit for bit."""
        for part in (self.features, self.decoder):
            prefix = "features." if part is self.features else "decoder."
            part.restore(
                {k.removeprefix(prefix): v for k, v in snapshot.items() if k.startswith(prefix)}
            )

    def _decode(self, stamp_ns: int, tick: FeatureTick) -> PipelineTick:
        if tick.reset:
            self.decoder.reset()
        return PipelineTick(stamp_ns, tick, self.decoder.step(tick.z, tick.tick, tick.quality))


def _short(value: object) -> str:
    if isinstance(value, tuple):
        shown = ", ".join(value[:4])
        return f"{len(value)} ({shown}{', ...' if len(value) > 4 else ''})"
    return str(value)
