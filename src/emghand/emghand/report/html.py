"""One HTML file that opens offline: text, tables and figures, everything escaped.

No script, no address: figures stand in the file as SVG, or as PNG where that is smaller.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from emghand.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell = str | float | int | None

SVG_BYTES = 250_000
"""An SVG up to this length is taken as it is; a longer one only when the PNG is longer still."""
PNG_DPI = 170

_COLORS = {
    style.INK: "var(--ink)",
    style.FAINT: "var(--faint)",
    style.GRID: "var(--line)",
    style.FILL: "var(--fill)",
    style.PAPER: "var(--paper)",
    "#ffffff": "var(--paper)",
    style.BLUE: "var(--blue)",
    style.VERMILION: "var(--vermilion)",
    style.GREEN: "var(--green)",
    style.PURPLE: "var(--purple)",
    style.ORANGE: "var(--orange)",
    style.SKY: "var(--sky)",
}
_VARIABLES = {color.lower(): name for color, name in _COLORS.items()}
_COLOR = re.compile("|".join(_COLORS), re.IGNORECASE)
_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_SIZE = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>')
_ID = re.compile(r'(\bid="|href="#|url\(#)')
_LONG = re.compile(r"(\d+\.\d\d)\d+")
_BOLD = ' class="mean"'
_PATH = re.compile(r'( d=")([^"]*)(")')


@dataclass(frozen=True)
class Table:
    """Numbers beside a figure.

    Parameters
    ----------
    caption : str
    head : tuple of str
        Headings of the columns; the first column names the rows.
    rows : sequence of sequence of str, float, int or None
        Full numbers; they are shown rounded and kept in full in ``data-value``.
    key : str
        Names the table for whoever reads the file by program.
    folded : bool
        Whether it is shown only when asked for.
    """

    caption: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    key: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure with what a reader must know.

    Parameters
    ----------
    name : str
        Of its files, without ending.
    figure : Figure
    caption : str
        What is shown.
    alt : str
        The same for who cannot see it.
    """

    name: str
    figure: Figure
    caption: str
    alt: str


@dataclass
class Section:
    """A heading with warnings, text, figures and tables."""

    title: str
    text: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.warnings or self.text or self.pictures or self.tables)


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The whole document."""
    shown = [s for s in sections if not s.empty]
    links = "".join(
        f'<li><a href="#s{i}">{escape(s.title)}</a></li>' for i, s in enumerate(shown, 1)
    )
    number = 0
    parts = []
    for i, section in enumerate(shown, 1):
        parts.append(f'<section id="s{i}"><h2>{escape(section.title)}</h2>')
        parts += [f'<p class="warning">{escape(text)}</p>' for text in section.warnings]
        parts += [f"<p>{escape(text)}</p>" for text in section.text]
        for picture in section.pictures:
            number += 1
            parts.append(_picture(picture, number))
        parts += [_table(t) for t in section.tables]
        parts.append("</section>")
    css = files("emghand.report").joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n"
        f'<header><h1>{escape(title)}</h1><p class="subtitle">{escape(subtitle)}</p></header>\n'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main>\n'
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _picture(picture: Picture, number: int) -> str:
    name = f"Figure {number}"
    svg = inline_svg(style.render(picture.figure, "svg").decode(), f"f{number}-", picture.alt)
    body = f'<div class="drawn">{svg}</div>'
    if len(svg) > SVG_BYTES:
        png = base64.b64encode(style.render(picture.figure, "png", PNG_DPI)).decode()
        if len(png) < len(svg):
            body = (
                f'<img class="drawn light" alt="{escape(picture.alt)}" '
                f'src="data:image/png;base64,{png}">'
            )
    return (
        f'<figure id="figure{number}">{body}<figcaption><b>{name}.</b> '
        f"{escape(picture.caption)}</figcaption></figure>"
    )


def inline_svg(svg: str, prefix: str, alt: str) -> str:
    """An SVG of matplotlib as a part of an HTML document.

    Ids get a prefix, so that several can stand in one document; ink and paper become those of the
    document, so that it can be read on dark ground; coordinates are rounded to a hundredth of a
    point; addresses of name spaces are dropped, HTML needs none.
    """
    svg = _METADATA.sub("", _HEAD.sub("", svg, count=1), count=1)
    svg = svg.replace("xlink:href", "href")
    found = _SIZE.search(svg)
    box = found[1] if found else ""
    opening = f'<svg viewBox="{box}" role="img" aria-label="{escape(alt)}">'
    svg = _SIZE.sub(lambda _: opening, svg, count=1)
    svg = _ID.sub(lambda m: m[1] + prefix, svg)
    svg = _COLOR.sub(lambda m: _VARIABLES[m[0].lower()], svg)
    svg = _PATH.sub(lambda m: m[1] + " ".join(_LONG.sub(r"\1", m[2]).split()) + m[3], svg)
    return svg.strip()


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in table.head)
    rows = "".join(
        f'<tr{_BOLD if row[0] == "mean" else ""}><th scope="row">{escape(str(row[0]))}</th>'
        f"{''.join(map(_cell, row[1:]))}</tr>\n"
        for row in table.rows
    )
    key = f' data-key="{escape(table.key)}"' if table.key else ""
    caption = escape(table.caption)
    body = f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table>"
    if table.folded:
        inner = f'<div class="wide"><table{key} aria-label="{caption}">{body}</div>'
        return f"<details><summary>{caption}</summary>{inner}</details>"
    return f'<div class="wide"><table{key}><caption>{caption}</caption>{body}</div>'


def _cell(value: Cell) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return '<td class="number" data-value="">–</td>'
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    return f'<td class="number" data-value="{value!r}">{shown(value)}</td>'


def shown(value: float | int) -> str:
    """A number as a person wants to read it: three digits behind the point, or as many as tell."""
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    size = abs(value)
    if size >= 100.0:
        text = f"{value:.0f}"
    elif size >= 10.0:
        text = f"{value:.1f}"
    elif size >= 0.01 or size < 5e-5:
        text = f"{value:.3f}"
    else:
        text = f"{value:.2g}"
    return text.replace("-", "−")
