"""Write a report of sessions, recordings, models or results: one HTML file that opens offline.

    emghand report sessions/s01 --output s01.html
    emghand report sessions/s01 kalman.emgmodel ridge.emgmodel --output two_models.html
    emghand report results/kalman.json results/ridge.json --output results.html
    emghand report sessions/s01 --output s01.html --figures figures --formats pdf,svg

Of a session the bags test* are taken and, where no model or result is named, its models. It shows
x_d against the estimate over time, scores per DOF, movement and file, intended and unintended
movement, latency, signal quality, and the settings and hashes of everything. The numbers in its
tables are those of emghand evaluate --json. What cannot be drawn is named with the reason.
"""

from __future__ import annotations

import argparse

HELP = "write an HTML report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli.commands.plot import SIGNALS

    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="session, recording, model or result"
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="HTML file to write")
    parser.add_argument(
        "--label", default="test", help="which bags of a session (default: test, test_2, ...)"
    )
    parser.add_argument(
        "--signal",
        choices=SIGNALS,
        default="out_x_hat",
        help="what the figures show (default: out_x_hat, what the hand gets)",
    )
    parser.add_argument(
        "--figures", metavar="DIR", help="also write each figure by itself into this folder"
    )
    parser.add_argument(
        "--formats",
        default="png,svg,pdf",
        help="of these figures, with commas between (default: png,svg,pdf)",
    )
    parser.add_argument("--replace", action="store_true", help="replace files that exist already")
    parser.set_defaults(interleaved="sources")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import sys
    from pathlib import Path

    from emghand.errors import UserError
    from emghand.report import style
    from emghand.report.files import check_free, write_report
    from emghand.report.parts import Choice
    from emghand.report.sources import gather
    from emghand.storage.files import check_new

    if Path(args.output).suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{args.output}: name the report .html")
    formats = tuple(f.strip() for f in args.formats.split(",") if f.strip())
    check_new(args.output, replace=True)
    check_free([Path(args.output)], args.replace)
    with style.drawing():
        material = gather(args.sources, args.label)
    written = write_report(
        material,
        args.output,
        choice=Choice(signal=args.signal),
        figures=args.figures,
        formats=formats,
        replace=args.replace,
    )
    for item in material.left_out:
        print(f"left out: {item.what}: {item.why}", file=sys.stderr)
    kilobytes = written[0].stat().st_size / 1000
    more = f" and {len(written) - 1} figures in {args.figures}" if len(written) > 1 else ""
    print(f"wrote {args.output} ({kilobytes:.0f} kB){more}")
    return 0
