"""Recomputes `x_hat` and `out_x_hat` as decoder_node computed them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from emghand.control.decoder_pipeline import Decoded, DecoderPipeline
from emghand.control.settings import OutputSettings
from emghand.replay.features import Break, ReplayedTick
from emghand.replay.journal import Event, Journal, Section
from emghand.settings import from_mapping
from emghand.storage.models import Model

FindModel = Callable[[str], Model]


@dataclasses.dataclass(frozen=True)
class ReplayedOutput:
    """What came of one tick."""

    stamp_ns: int
    tick: int
    dofs: tuple[str, ...]
    decoded: Decoded


def replay_decoder(
    journal: Journal, ticks: Sequence[ReplayedTick | Break], find_model: FindModel
) -> list[ReplayedOutput]:
    """Every output that can be computed again.

    Parameters
    ----------
    journal : Journal
        Of decoder_node.
    ticks : sequence
        From `replay_features`.
    find_model : callable
        Gives the model of a model_id.
    """
    sections = journal.sections()
    pieces: list[tuple[Section, int, int]] = []
    end = len(ticks)
    # From the last to the first: another stream that came later may have the same ticks, and a
    # section never begins in the one after it.
    for section in reversed(sections):
        begin = _begin(section, ticks[:end])
        if begin is not None:
            pieces.append((section, begin, end))
            end = begin
    results: list[ReplayedOutput] = []
    for section, begin, end in reversed(pieces):
        results += _Section(section, find_model).run(ticks[begin:end])
    return results


def _begin(section: Section, ticks: Sequence[ReplayedTick | Break]) -> int | None:
    """Index of the first tick that the section concerns."""
    marks: list[tuple[tuple[int, ...], int]] = []
    if section.start is not None:
        marks.append(((section.start.tick,), section.start.stamp_ns))
    # The replayed features may begin right after the tick of the snapshot.
    marks += [((s.tick, s.tick + 1), s.stamp_ns) for s in section.snapshots]
    for wanted, stamp_ns in marks:
        found = _locate(wanted, stamp_ns, ticks)
        if found is not None:
            return found
    return None


def _locate(
    wanted: tuple[int, ...], stamp_ns: int, ticks: Sequence[ReplayedTick | Break]
) -> int | None:
    """Index of a tick; where several streams have it, the one nearest in time."""
    found = [
        (abs(item.stamp_ns - stamp_ns), i)
        for i, item in enumerate(ticks)
        if isinstance(item, ReplayedTick) and item.features.tick in wanted
    ]
    return min(found)[1] if found else None


class _Section:
    """One life of decoder_node's pipeline."""

    def __init__(self, section: Section, find_model: FindModel) -> None:
        self._find_model = find_model
        self._section = section
        self._missed = [(e.tick, e.last_tick) for e in section.events if e.kind == "missed"]
        kinds = ("reset", "model", "output")
        self._changes = [e for e in section.events if e.kind in kinds and _is_told(e)]
        self._snapshots = list(section.snapshots)
        self._pipeline: DecoderPipeline | None = None

    def run(self, ticks: Sequence[ReplayedTick | Break]) -> list[ReplayedOutput]:
        """Outputs of this section; nothing while the state is not known."""
        results = []
        start = self._section.start
        for item in ticks:
            if isinstance(item, Break):
                self._pipeline = None
                continue
            tick = item.features.tick
            missed = self._was_missed(tick)
            if start is not None and tick == start.tick:
                self._pipeline = self._make(start.detail["model_id"], start.detail["output"])
                start = None
            else:
                if self._pipeline is None:
                    self._resume(tick)
                if self._pipeline is not None:
                    # What never arrived reset nothing either.
                    self._apply(tick, item.features.reset and not missed)
            if self._pipeline is not None and not missed:
                decoded = self._pipeline.step(item.features.z, tick, item.features.quality)
                dofs = tuple(d.name for d in self._pipeline.dofs)
                results.append(ReplayedOutput(item.stamp_ns, tick, dofs, decoded))
        return results

    def _apply(self, tick: int, reset: bool) -> None:
        assert self._pipeline is not None
        if reset:
            self._pipeline.reset()
        while self._changes and self._changes[0].tick <= tick:
            event = self._changes.pop(0)
            if event.kind == "reset":
                self._pipeline.reset()
            elif event.kind == "output":
                self._pipeline.set_output(_output(event.detail["output"]))
            else:
                model = self._find_model(event.detail["model_id"])
                output = _output(event.detail["output"])
                model = dataclasses.replace(model, output=output)
                blend_s = float(event.detail.get("blend_s", 0.0))
                self._pipeline.set_model(model, blend_s=blend_s)

    def _resume(self, tick: int) -> None:
        """Take the snapshot from which this tick is the next one, if there is one."""
        for snapshot in self._snapshots:
            if snapshot.tick < tick and all(map(self._was_missed, range(snapshot.tick + 1, tick))):
                self._pipeline = self._make(snapshot.model_id, snapshot.settings)
                self._pipeline.restore(snapshot.arrays)
                self._changes = [e for e in self._changes if e.tick > snapshot.tick]
                return

    def _make(self, model_id: str, output: dict[str, Any]) -> DecoderPipeline:
        # The settings in force go into the model, so that a later model brings its own.
        model = self._find_model(model_id)
        return DecoderPipeline(dataclasses.replace(model, output=_output(output)))

    def _was_missed(self, tick: int) -> bool:
        return any(first <= tick <= last for first, last in self._missed)


def _is_told(event: Event) -> bool:
    # Resets by the features or by silence follow from the ticks themselves.
    return event.kind != "reset" or event.detail.get("reason") == "service"


def _output(values: dict[str, Any]) -> OutputSettings:
    return from_mapping(OutputSettings, values)
