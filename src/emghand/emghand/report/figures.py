"""Figures as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.report import style
from emghand.report.files import check_free
from emghand.report.tracking import Column, spans_of_periods, tracking_figure
from emghand.storage.files import check_new, write_file
from emghand.storage.recording import Period

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_output(path: str | Path, *, replace: bool = False) -> str:
    """Format of the file a figure is to be written to; asked before the work is done.

    Raises
    ------
    UserError
        When the format is unknown, the file exists and must not be replaced, or there is no
        matplotlib.
    """
    kind = Path(path).suffix.removeprefix(".").lower()
    if kind not in style.FORMATS:
        raise UserError(f"{path}: name the figure .png, .svg or .pdf")
    check_new(path, replace=True)
    check_free([Path(path)], replace)
    with style.drawing():
        return kind


def save_figure(
    figure: Figure, path: str | Path, *, dpi: int = style.DPI, replace: bool = False
) -> None:
    """Write a figure; the suffix of the path chooses the format.

    Parameters
    ----------
    figure : Figure
    path : path
        Ends in ``.png``, ``.svg`` or ``.pdf``.
    dpi : int
        Dots per inch of a PNG.
    replace : bool
        Whether a file of that name may be replaced.

    Raises
    ------
    UserError
        When the format is unknown, or the file exists or cannot be written.
    """
    kind = check_output(path, replace=replace)
    write_file(path, style.render(figure, kind, dpi), replace=replace)


def plot_tracking(
    path: str | Path,
    seconds: NDArray[np.float64],
    x_d: NDArray[np.float64],
    estimate: NDArray[np.float64],
    dofs: Sequence[str],
    *,
    label: str = "out_x_hat",
    notes: Mapping[str, str] | None = None,
    periods: Sequence[Period] = (),
    start_ns: int = 0,
    title: str = "",
) -> None:
    """Draw desired against decoded DOFs over time, one row per DOF.

    Parameters
    ----------
    path : path
        File to write; the suffix chooses the format (png, svg, pdf). A file of that name is
        replaced.
    seconds : ndarray, shape (n,)
        Time axis [s].
    x_d, estimate : ndarray, shape (n, n_dofs)
        Desired and decoded DOFs, normalised.
    dofs : sequence of str
        Names of the DOFs.
    label : str
        What `estimate` is.
    notes : mapping, optional
        Text shown at the right of a DOF's row, by name.
    periods : sequence of Period
        Movements are named where given; `start_ns` is the time of 0 s.
    title : str

    Raises
    ------
    UserError
        When matplotlib is missing or the file cannot be written.
    """
    movements = spans_of_periods(periods, start_ns)
    column = Column("", tuple(dofs), seconds, x_d, {label: estimate}, movements)
    figure = tracking_figure([column], notes=notes, title=title or f"x_d against {label}")
    save_figure(figure, path, dpi=180, replace=True)
