"""How every figure looks, and how it becomes a file: the same data give the same bytes.

Colours are those of Okabe and Ito (2008), safe for colour-blind readers. A series has a line style,
a marker and a hatch of its own as well, so that it is told apart in a grey print.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emghand.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
DPI = 300
WIDTH = 7.2
"""Width of a figure [inch]: two columns of a journal, 183 mm."""

_CHARACTER_IN = 0.065
"""Width of a character of a legend."""
_MOST_DECADES = 6
"""A logarithmic axis over more decades has a number at every other one."""

INK = "#1c1c1c"
FAINT = "#8a8a8a"
GRID = "#dedede"
FILL = "#e9e9e9"
PAPER = "#fefefe"
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = (
    *("#0072B2", "#D55E00", "#009E73"),
    *("#CC79A7", "#E69F00", "#56B4E9"),
)


@dataclass(frozen=True)
class Look:
    """Colour, line style, marker and hatch of one series."""

    color: str
    line: Any
    marker: str
    hatch: str


_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.4, 1.2, 1.4)))
_COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS = "osD^vP<>X*hd"
_HATCHES = (
    "",
    "////",
    "....",
    "xxxx",
    "\\\\\\\\",
    "++++",
    "----",
    "||||",
    "oo",
    "//..",
    "xx..",
    "**",
)
MOST_SERIES = len(_MARKERS)


def look(index: int) -> Look:
    """Look of the series of this number, from 0 to `MOST_SERIES` - 1."""
    return Look(
        _COLORS[index % len(_COLORS)],
        _DASHES[(index + index // len(_COLORS)) % len(_DASHES)],
        _MARKERS[index],
        _HATCHES[index],
    )


def spread(index: int, count: int, width: float) -> float:
    """Offset of one of `count` series side by side over `width`, about 0."""
    return 0.0 if count < 2 else width * (index / (count - 1) - 0.5)


def tint(color: str) -> tuple[float, float, float]:
    """A light shade of a colour, to fill with."""
    from matplotlib.colors import to_rgb

    red, green, blue = (0.45 + 0.55 * c for c in to_rgb(color))
    return (red, green, blue)


def diverging() -> Any:
    """Colours from extension (orange-brown) over rest (white) to flexion (blue)."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("emghand", ["#8f3e00", "#f5f5f5", "#00446b"])


def check_series(count: int) -> None:
    """Refuse more series than can be told apart.

    Raises
    ------
    UserError
    """
    if count > MOST_SERIES:
        raise UserError(
            f"{count} series in one figure cannot be told apart: draw at most {MOST_SERIES} models "
            "or files at a time"
        )


_SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "figure.titlesize": 9.0,
    "figure.titleweight": "bold",
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "lines.linewidth": 1.1,
    "hatch.linewidth": 0.5,
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.05,
    "path.simplify": True,
    "path.simplify_threshold": 0.2,
    # Names of files and movements are no formulas.
    "text.parse_math": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "emghand",
}
# Dates and versions of the library would make the same data give other bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "emghand"},
    "pdf": {"CreationDate": None, "Creator": "emghand", "Producer": None},
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with the settings of this module, whatever the user's own are.

    Raises
    ------
    UserError
        When matplotlib is missing.
    """
    try:
        import matplotlib.style
    except ImportError as error:
        raise UserError("figures need matplotlib: pip install matplotlib") from error
    with matplotlib.style.context(["default", _SETTINGS]):
        yield


def grid_of_axes(
    rows: int, columns: int = 1, *, height: float, width: float = WIDTH, **options: Any
) -> tuple[Figure, Any]:
    """A figure with an array of axes, shape (rows, columns); no window, nothing global."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def number_lines(axis: Axes, which: str = "y") -> None:
    """Faint lines at the ticks of one axis."""
    axis.grid(axis=which)  # type: ignore[arg-type]


def plain_log(axis: Axis) -> None:
    """Numbers instead of powers on one logarithmic axis, at its present limits.

    Over less than two decades also at multiples of powers of ten.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = np.log10(axis.get_view_interval())
    decades = float(high - low)
    steps = (1, 1.5, 2, 3, 5, 7) if decades < 0.7 else (1, 2, 5) if decades < 2.2 else (1,)
    powers = np.arange(np.floor(low), np.ceil(high) + 1)[:: int(1 + decades // _MOST_DECADES)]
    ticks = np.outer(10.0**powers, steps).ravel()
    axis.set_major_locator(FixedLocator([float(f"{t:.2g}") for t in ticks]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def line_handles(names: Iterable[str], *, marked: bool = False) -> list[Any]:
    """Legend of series that are lines, `marked` with their markers."""
    from matplotlib.lines import Line2D

    handles = []
    for index, name in enumerate(names):
        own = look(index)
        marker = own.marker if marked else None
        handles.append(
            Line2D([], [], color=own.color, ls=own.line, marker=marker, ms=4, label=name)
        )
    return handles


def mark_handles(names: Iterable[str]) -> list[Any]:
    """Legend of series that are markers."""
    handles = line_handles(names, marked=True)
    for handle in handles:
        handle.set(linestyle="none", markersize=4.5)
    return handles


def legend_above(figure: Figure, handles: list[Any]) -> None:
    """One legend for the whole figure, above its axes; none for a single series."""
    if len(handles) < 2:
        return
    labels = [(h[-1] if isinstance(h, tuple) else h).get_label() for h in handles]
    columns = int(WIDTH / (0.5 + _CHARACTER_IN * max(map(len, labels))))
    figure.legend(handles, labels, loc="outside upper left", ncols=min(6, max(1, columns)))


def render(figure: Figure, kind: str, dpi: int = DPI) -> bytes:
    """The figure as the bytes of a file.

    Parameters
    ----------
    figure : Figure
    kind : str
        One of `FORMATS`. Fonts are embedded in a PDF; text stays text in an SVG.
    dpi : int
        Dots per inch of a PNG.

    Raises
    ------
    UserError
        When the format is unknown.
    """
    if kind not in FORMATS:
        raise UserError(f"{kind!r} is no format of figures, choose from: {', '.join(FORMATS)}")
    buffer = io.BytesIO()
    with drawing():
        if figure.get_layout_engine() is not None:
            # Laid out once: again, it would move a little, and every format would differ.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return buffer.getvalue()
