"""Recomputes the features of a bag as feature_node computed them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from emghand.errors import UserError
from emghand.pipeline import FeaturePipeline, FeatureTick, feature_pipeline, sample_stamp_ns
from emghand.replay.journal import Event, Section, Snapshot, Tape
from emghand.settings import from_mapping
from emghand.signal.settings import FeatureSettings
from emghand.storage.bags import BagError
from emghand.storage.recording import Block, Stream

NEXT_SAMPLE = "grid.numbers"
"""Array of a snapshot whose first element is the counter of the next sample."""


@dataclass(frozen=True)
class ReplayedTick:
    """A tick computed again, and its stamp as feature_node set it."""

    section: int
    stamp_ns: int
    features: FeatureTick


@dataclass(frozen=True)
class Break:
    """From here on nothing is known, up to the next tick in the list."""

    reason: str


def replay_features(tape: Tape) -> list[ReplayedTick | Break]:
    """Every tick that can be computed again, in order, with breaks where something is missing.

    Raises
    ------
    BagError
        When a snapshot does not fit the stream.
    """
    result: list[ReplayedTick | Break] = []
    try:
        for number, section in enumerate(tape.features.sections()):
            stream, blocks = _blocks_of(tape, section)
            result += _Section(number, section, stream, blocks).run()
    except (UserError, KeyError, TypeError) as error:
        raise BagError(f"bag {tape.path}: features cannot be repeated: {error}") from error
    return result


def _blocks_of(tape: Tape, section: Section) -> tuple[Stream, list[Block]]:
    if section.start is None:
        return tape.streams[0]
    told = _stream_of(section.start)
    for stream, blocks in tape.streams:
        if stream.stream == told.stream:
            return told, blocks
    # The driver died before its first frame was recorded.
    return told, []


def _stream_of(start: Event) -> Stream:
    values = dict(start.detail["stream"])
    return Stream(**values | {"channel_names": tuple(values["channel_names"])})


class _Section:
    """One life of feature_node's pipeline."""

    def __init__(self, number: int, section: Section, stream: Stream, blocks: list[Block]) -> None:
        self._number = number
        self._section = section
        self._stream = stream
        self._blocks = blocks
        gaps = [e for e in section.events if e.kind == "gap"]
        self._known_gaps = {_gap_key(**e.detail) for e in gaps}
        # Samples that are in the bag but never reached the node: it reported them as a gap.
        self._unseen = [
            (e.detail["first_sample"], e.detail["first_sample"] + e.detail["count"])
            for e in gaps
            if e.detail["action"] != "duplicate"
        ]

    def run(self) -> Iterator[ReplayedTick | Break]:
        """Ticks and breaks of this section."""
        at = 0
        pipeline: FeaturePipeline | None = None
        start = self._section.start
        if start is not None:
            pipeline = feature_pipeline(
                from_mapping(FeatureSettings, start.detail["settings"]), self._stream
            )
            first = start.detail["first_sample"]
            at = self._find(first)
            if at == len(self._blocks) or self._blocks[at].first_sample != first:
                yield Break("the first frames are missing in the bag")
                pipeline = None
        # A late joiner may get a snapshot from before the recording.
        recorded_from = self._blocks[0].first_sample if self._blocks else 0
        snapshots = [s for s in self._section.snapshots if _next_sample(s) >= recorded_from]
        if pipeline is None and snapshots:
            pipeline, at = self._resume(snapshots.pop(0))
        while pipeline is not None:
            for item in self._push_from(pipeline, at):
                if isinstance(item, ReplayedTick):
                    yield item
                    continue
                yield Break("raw EMG is missing in the bag")
                position = item
                break
            else:
                return
            while snapshots and _next_sample(snapshots[0]) < position:
                snapshots.pop(0)
            if not snapshots:
                return
            pipeline, at = self._resume(snapshots.pop(0))

    def _push_from(self, pipeline: FeaturePipeline, at: int) -> Iterator[ReplayedTick | int]:
        """Ticks; at last the sample at which the bag misses something, if it does."""
        for block in self._blocks[at:]:
            if block.samples.shape[1] != self._stream.n_channels or self._is_unseen(block):
                continue
            ticks = pipeline.push(block.samples, block.first_sample)
            for gap in pipeline.take_gaps():
                if _gap_key(gap.first_sample, gap.count, gap.action) not in self._known_gaps:
                    lost = [t for t in ticks if t.tick < gap.tick]
                    yield from self._stamped(lost, block)
                    yield block.first_sample
                    return
            yield from self._stamped(ticks, block)

    def _stamped(self, ticks: list[FeatureTick], block: Block) -> Iterator[ReplayedTick]:
        for tick in ticks:
            stamp = sample_stamp_ns(block, tick.last_sample, self._stream.rate)
            yield ReplayedTick(self._number, stamp, tick)

    def _resume(self, snapshot: Snapshot) -> tuple[FeaturePipeline, int]:
        settings = from_mapping(FeatureSettings, snapshot.settings)
        pipeline = feature_pipeline(settings, self._stream)
        pipeline.restore(snapshot.arrays)
        at = self._find(_next_sample(snapshot))
        return pipeline, at

    def _find(self, sample: int) -> int:
        """Index of the first block that begins at a sample or later."""
        for i, block in enumerate(self._blocks):
            if block.first_sample >= sample:
                return i
        return len(self._blocks)

    def _is_unseen(self, block: Block) -> bool:
        first, end = block.first_sample, block.first_sample + len(block.samples)
        inside = any(a <= first and end <= b for a, b in self._unseen)
        # A block without finite values is reported as a gap as well, but it was seen.
        return inside and bool(np.isfinite(block.samples).any())


def _gap_key(first_sample: int, count: int, action: str) -> tuple[int, int, str]:
    return (first_sample, count, action)


def _next_sample(snapshot: Snapshot) -> int:
    return int(snapshot.arrays[NEXT_SAMPLE][0])
