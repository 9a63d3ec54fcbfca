"""Progress bars: of activities of the graph, and of work in this process."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emghand.client import Step


@contextmanager
def followed(quiet: bool) -> Iterator[Callable[[Step], None]]:
    """A bar on the terminal, if there is one, that follows the steps it is given."""
    with _bar("waiting for the graph", quiet) as show:
        yield lambda step: show(step.what, step.fraction, step.remaining)


@contextmanager
def working(quiet: bool) -> Iterator[None]:
    """A bar on the terminal, if there is one, of what the work within says (`emghand.steps`)."""
    from emghand import steps

    if quiet or not sys.stderr.isatty():
        yield  # somebody else may be listening
        return
    with _bar("beginning", quiet) as show, steps.listening(show):
        yield


@contextmanager
def _bar(first: str, quiet: bool) -> Iterator[Callable[..., None]]:
    """A function of what is done, its fraction, and the seconds that are left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description:32}"),
        BarColumn(),
        TextColumn("{task.fields[left]}"),
        console=Console(stderr=True),
        disable=quiet or not sys.stderr.isatty(),
        transient=True,
    )
    task = bar.add_task(first, total=None, left="")

    def show(what: str, fraction: float, remaining: float = math.nan) -> None:
        left = "" if math.isnan(remaining) else f"{remaining:.0f} s left"
        if math.isnan(fraction):
            bar.update(task, description=what, left=left)
        else:
            bar.update(task, description=what, left=left, total=1.0, completed=fraction)

    with bar:
        yield show
