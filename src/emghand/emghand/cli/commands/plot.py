"""Draw one figure of sessions, recordings, models or results.

    emghand plot tracking sessions/s01 --output tracking.pdf
    emghand plot tracking bags/test kalman.emgmodel ridge.emgmodel --end 30 --output two.svg
    emghand plot tracking sessions/s01 --movements --signal x_hat --output segments.png
    emghand plot scores results/kalman.json results/ridge.json --output scores.png
    emghand plot movements sessions/s01 --metric r2 --signal x_hat --output movements.pdf
    emghand plot latency sessions/s01 sessions/s02 --output latency.pdf
    emghand plot signal recording.npz --output signal.png

Of a session the bags test* are taken and, where no model or result is named, its models. Kinds:

    tracking     x_d against the estimate over time, one row per DOF, one column per recording
    scores       RMSE and the other scores per DOF
    movements    box plots by movement, one point per trial
    files        box plots by recording, one point per trial
    unintended   error of the DOFs meant to move, movement of the others
    latency      histograms of every stage from the muscle to the command
    signal       RMS and SNR of the channels, spectrum, faults

Several models or results are separate series with a legend, and so are several recordings of one
model.
"""

from __future__ import annotations

import argparse

HELP = "draw a figure"
KINDS = ("tracking", "scores", "movements", "files", "unintended", "latency", "signal")
SIGNALS = ("out_x_hat", "x_hat", "out_x_hat_compensated", "x_hat_compensated")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("kind", choices=KINDS, help="kind of figure")
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="session, recording, model or result"
    )
    parser.add_argument(
        "--output", required=True, metavar="FILE", help="file to write: .png, .svg or .pdf"
    )
    parser.add_argument(
        "--label", default="test", help="which bags of a session (default: test, test_2, ...)"
    )
    parser.add_argument(
        "--signal",
        choices=SIGNALS,
        default="out_x_hat",
        help="x_hat: raw, out_x_hat: filtered (default), what the hand gets; compensated: scored "
        "against x_d of the decoder's lag before",
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        help="score to draw; may be given several times (default: those of the kind)",
    )
    parser.add_argument(
        "--start", type=float, default=0.0, metavar="S", help="of tracking: from here on [s]"
    )
    parser.add_argument(
        "--end", type=float, default=float("inf"), metavar="S", help="of tracking: up to here [s]"
    )
    parser.add_argument(
        "--movements", action="store_true", help="of tracking: mark the movements found in x_hat"
    )
    parser.add_argument("--dpi", type=int, default=300, help="of a PNG (default: 300)")
    parser.add_argument(
        "--replace", action="store_true", help="replace the file when it exists already"
    )
    parser.set_defaults(interleaved="sources")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import sys

    from emghand.errors import UserError
    from emghand.report.figures import check_output, save_figure
    from emghand.report.parts import KINDS as DRAW
    from emghand.report.parts import NEED_NO_SCORES, Choice
    from emghand.report.sources import gather

    if not 30 <= args.dpi <= 1200:
        raise UserError(f"--dpi: must be from 30 to 1200, got {args.dpi}")
    if not args.start < args.end:
        raise UserError(f"--end: must be later than --start, {args.start:g} s")
    check_output(args.output, replace=args.replace)
    choice = Choice(args.signal, tuple(args.metric), args.start, args.end, args.movements)
    material = gather(args.sources, args.label, score=args.kind not in NEED_NO_SCORES)
    if args.metric:
        material.rescore(args.metric)
    figure = DRAW[args.kind](material, choice)
    for item in material.left_out:
        print(f"left out: {item.what}: {item.why}", file=sys.stderr)
    save_figure(figure, args.output, dpi=args.dpi, replace=args.replace)
    print(f"wrote {args.output}")
    return 0
