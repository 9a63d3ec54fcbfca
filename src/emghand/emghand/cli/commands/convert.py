"""Turn any recording into one npz file, and print what was wrong with it.

Bags, NinaPro files, the folders of public data sets, csv tables, and whatever a column map
describes (docs/datasets.md). Blocks, labels, periods, subject and session are kept; reading the npz
file gives back the same numbers. Irregular samples are held on the grid of --rate, causally. Every
line or sample that was repaired, left out, or looks wrong is listed.

    emghand convert sessions/s01/bags/collect --output collect.npz
    emghand convert recording.csv --rate 200 --unit count --output recording.npz
    emghand convert run7.csv --map layout.yaml --output run7.npz
    emghand convert S1_E1_A1.mat --strict --output s1a1.npz
"""

from __future__ import annotations

import argparse

HELP = "turn any recording into an npz file, with a report of its damage"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("recording", help="file or folder of a recording, or a column map")
    parser.add_argument("--output", required=True, metavar="FILE.npz", help="file to write")
    parser.add_argument("--map", metavar="YAML", help="column map by which to read the recording")
    parser.add_argument(
        "--format", default="auto", help="kind of the recording (default: told from its name)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=0.0,
        metavar="HZ",
        help="of a table without stamps, or of the grid for irregular stamps",
    )
    parser.add_argument("--unit", default="V", help="of a plain csv table: V or count")
    parser.add_argument("--strict", action="store_true", help="refuse a damaged recording")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json

    from emghand.errors import UserError
    from emghand.storage.datasets import read_any, read_mapped, save_npz
    from emghand.storage.files import check_new

    if not args.output.endswith(".npz"):
        raise UserError(f"{args.output}: name the file .npz")
    check_new(args.output)
    if args.map is not None:
        recording = read_mapped(args.map, args.recording, rate=args.rate, strict=args.strict)
    else:
        recording = read_any(
            args.recording,
            args.format,
            rate=args.rate,
            unit=args.unit,
            strict=args.strict,
            quiet=True,
        )
    rate = recording.stream.rate
    if args.rate and abs(rate / args.rate - 1.0) > 1e-9:
        raise UserError(
            f"{args.recording}: its samples are evenly spaced at {rate:g} Hz; leave --rate away"
        )
    save_npz(recording, args.output)
    samples = sum(len(block.samples) for block in recording.blocks)
    result = {
        "output": args.output,
        "digest": recording.digest,
        "samples": samples,
        "rate": rate,
        "channels": list(recording.stream.channel_names),
        "dofs": list(recording.x_d.names) if recording.x_d is not None else [],
        "periods": len(recording.periods),
        "subject": recording.subject,
        "session": recording.session,
        "date": recording.date,
        "repairs": [repair.as_dict() for repair in recording.repairs],
    }
    if args.json:
        print(json.dumps(result, indent=1))
        return 0
    print(
        f"wrote {args.output}: {samples} samples of {recording.stream.n_channels} channels at "
        f"{rate:g} Hz, {len(result['dofs'])} DOFs, {len(recording.periods)} periods"
    )
    for repair in recording.repairs:
        print(repair)
    if not recording.repairs:
        print("nothing was wrong with it")
    return 0
