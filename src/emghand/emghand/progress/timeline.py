"""When things happened in a session: pauses, and calibrations and trainings between trials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from emghand.progress.rows import PAUSE_MIN

MINUTE_NS = 60 * 10**9
DAY_NS = 24 * 60 * MINUTE_NS

_TAUGHT = re.compile(r"results/[^/]+\.emgcalibration|models/[^/]+\.(emgmodel|emgencoder)")
"""Files of calibrations and trainings. What adaptation writes lies elsewhere: a decoder that
follows its user by itself is not calibrated anew."""


@dataclass(frozen=True)
class Span:
    """From begin to end of a recording, and when it was entered into the session.

    Parameters
    ----------
    start_ns, end_ns : int
        ROS time.
    added_ns : int
        Time of the computer.
    """

    start_ns: int
    end_ns: int
    added_ns: int


@dataclass(frozen=True)
class Pause:
    """A time without a recording [ns, ROS time]."""

    start_ns: int
    end_ns: int


def time_ns(text: Any) -> int | None:
    """Date and time of a manifest in nanoseconds since the epoch; None: it states none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    found = int(moment.timestamp()) * 10**9
    return found if 0 <= found < 2**63 else None


def begin_ns(manifest: Mapping[str, Any]) -> int | None:
    """When a session began; of a merged one, the first of its sources."""
    sources = manifest.get("sources", ())
    times = [time_ns(m.get("created")) for m in (manifest, *sources)]
    return min((t for t in times if t is not None), default=None)


def same_clock(begin: int, spans: Sequence[Span]) -> bool:
    """Whether recordings and manifest have the same clock; those of a simulated graph do not."""
    return all(-MINUTE_NS <= s.start_ns - begin < 2 * DAY_NS for s in spans)


def pauses(spans: Iterable[Span]) -> list[Pause]:
    """Times of at least `PAUSE_MIN` between recordings, in order."""
    found: list[Pause] = []
    until: int | None = None
    for span in sorted(spans, key=lambda s: s.start_ns):
        if until is not None and span.start_ns - until >= PAUSE_MIN * MINUTE_NS:
            found.append(Pause(until, span.start_ns))
        until = span.end_ns if until is None else max(until, span.end_ns)
    return found


def taught_ns(manifest: Mapping[str, Any], spans: Sequence[Span], *, one_clock: bool) -> list[int]:
    """When the session calibrated and trained, in ROS time, in order.

    Parameters
    ----------
    one_clock : bool
        The manifest has the clock of the recordings. Otherwise something counts as done at the end
        of the last recording that was entered before it.
    """
    found = []
    for name, entry in manifest["files"].items():
        added = time_ns(entry.get("added")) if _TAUGHT.fullmatch(name) else None
        if added is None:
            continue
        if not one_clock:
            before = [s.end_ns for s in spans if s.added_ns <= added]
            first = min((s.start_ns for s in spans), default=0)
            added = max(before, default=first)
        found.append(added)
    return sorted(found)


def retained(start_ns: int, gaps: Sequence[Pause], taught: Sequence[int]) -> bool:
    """Whether a trial came after a pause since which nothing was calibrated or trained."""
    last = max((p.start_ns for p in gaps if p.end_ns <= start_ns), default=None)
    return last is not None and not any(last <= t <= start_ns for t in taught)
