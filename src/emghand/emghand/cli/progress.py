"""A progress bar for activities of the graph."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emghand.client import Step


@contextmanager
def followed(quiet: bool) -> Iterator[Callable[[Step], None]]:
    """A bar on the terminal, if there is one, that follows the steps it is given."""
    import math

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
    task = bar.add_task("waiting for the graph", total=None, left="")

    def show(step: Step) -> None:
        left = "" if math.isnan(step.remaining) else f"{step.remaining:.0f} s left"
        if math.isnan(step.fraction):
            bar.update(task, description=step.what, left=left)
        else:
            bar.update(task, description=step.what, left=left, total=1.0, completed=step.fraction)

    with bar:
        yield show
