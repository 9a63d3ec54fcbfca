"""A report as files: the HTML, and each figure by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from emghand.errors import UserError
from emghand.report import style
from emghand.report.document import build, subtitle, title
from emghand.report.html import Picture, page
from emghand.report.parts import Choice
from emghand.report.sources import Material
from emghand.storage.files import make_folder, write_file


def write_report(
    material: Material,
    output: str | Path,
    *,
    choice: Choice | None = None,
    figures: str | Path | None = None,
    formats: Sequence[str] = style.FORMATS,
    replace: bool = False,
) -> list[Path]:
    """Write a report and, where asked for, its figures.

    Parameters
    ----------
    material : Material
    output : path
        HTML file.
    choice : Choice, optional
    figures : path, optional
        Folder for the figures; made when it does not exist.
    formats : sequence of str
        Of the figures, of `emghand.report.style.FORMATS`.
    replace : bool
        Whether files of these names may be replaced.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    UserError
        When matplotlib is missing, there is nothing to report, or a file exists or cannot be
        written.
    """
    output = Path(output)
    for kind in formats:
        if kind not in style.FORMATS:
            raise UserError(f"{kind!r} is no format, choose from: {', '.join(style.FORMATS)}")
    check_free([output], replace)
    with style.drawing():
        sections = build(material, choice or Choice())
    pictures = [p for s in sections for p in s.pictures]
    if not (pictures or any(s.tables for s in sections[:-2])):
        reasons = "; ".join(dict.fromkeys(item.why for item in material.left_out))
        raise UserError(f"there is nothing to report: {reasons or 'the sources are empty'}")
    drawn: dict[Path, tuple[Picture, str]] = {}
    if figures is not None:
        for picture in pictures:
            # Names that differ may be one as the name of a file.
            same = sum(p.name == picture.name for p in pictures[: pictures.index(picture)])
            name = f"{picture.name}_{same + 1}" if same else picture.name
            drawn |= {Path(figures) / f"{name}.{kind}": (picture, kind) for kind in formats}
        check_free(drawn, replace)
    html = page(title(material), subtitle(material), sections)
    write_file(output, html.encode(), replace=replace)
    if figures is not None:
        make_folder(figures)
    for path, (picture, kind) in drawn.items():
        write_file(path, style.render(picture.figure, kind), replace=replace)
    return [output, *drawn]


def check_free(paths: Iterable[Path], replace: bool) -> None:
    """Refuse names of files that exist; asked before the work is done.

    Raises
    ------
    UserError
        When one exists and must not be replaced.
    """
    for path in paths:
        if not replace and path.exists():
            raise UserError(f"{path}: exists already; choose another name, or --replace")
