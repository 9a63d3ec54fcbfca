"""Figures of runs. Colours are those of Okabe and Ito, safe for colour-blind readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.recording import Period, PeriodKind

DESIRED = "#222222"
DECODED = "#0072B2"
SHADE = "#E69F00"


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise UserError("figures need matplotlib: pip install matplotlib") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


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
        File to write; the suffix chooses the format (png, svg, pdf).
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
        Movements are shaded and named where given; `start_ns` is the time of 0 s.

    Raises
    ------
    UserError
        When matplotlib is missing or the file cannot be written.
    """
    plt = _pyplot()
    figure, axes = plt.subplots(
        len(dofs), 1, sharex=True, squeeze=False, figsize=(10, 0.9 + 1.0 * len(dofs))
    )
    for row, (axis, dof) in enumerate(zip(axes[:, 0], dofs, strict=True)):
        _shade_movements(axis, periods, start_ns, seconds, names=row == 0)
        axis.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
        axis.plot(seconds, x_d[:, row], color=DESIRED, linewidth=1.2, label="x_d")
        axis.plot(seconds, estimate[:, row], color=DECODED, linewidth=1.4, label=label)
        axis.set_ylabel(dof.replace("_", "\n"), rotation=0, ha="right", va="center")
        axis.set_ylim(-1.15, 1.15)
        axis.set_yticks([-1, 0, 1])
        axis.spines[["top", "right"]].set_visible(False)
        if notes and dof in notes:
            axis.text(
                1.01, 0.5, notes[dof], transform=axis.transAxes, va="center", fontsize="small"
            )
    axes[-1, 0].set_xlabel("time [s]")
    axes[-1, 0].set_xlim(float(seconds[0]), float(seconds[-1]))
    figure.suptitle(title or f"x_d against {label} (normalised: 0 rest, ±1 full range)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=2, frameon=False)
    figure.align_ylabels(axes[:, 0])
    figure.tight_layout()
    try:
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise UserError(f"cannot write the figure {path}: {error}") from error
    finally:
        plt.close(figure)


def _shade_movements(
    axis: Any,
    periods: Sequence[Period],
    start_ns: int,
    seconds: NDArray[np.float64],
    *,
    names: bool,
) -> None:
    begin: Period | None = None
    for period in periods:
        moving = period.kind in (PeriodKind.MOVE, PeriodKind.HOLD)
        if begin is not None and (not moving or period.trial != begin.trial):
            left, right = ((p.stamp_ns - start_ns) / 1e9 for p in (begin, period))
            if right > seconds[0] and left < seconds[-1]:
                axis.axvspan(left, right, color=SHADE, alpha=0.13, linewidth=0)
                if names:
                    axis.text(
                        (left + right) / 2,
                        1.22,
                        begin.movement.replace("_", " "),
                        ha="center",
                        va="bottom",
                        fontsize="x-small",
                        clip_on=False,
                    )
            begin = None
        if moving and begin is None:
            begin = period
