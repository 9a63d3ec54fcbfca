"""Accuracy on NinaPro DB8: trained on acquisitions 1 and 2, scored on 3, per subject.

    python benchmark/accuracy_db8.py FOLDER
    python benchmark/accuracy_db8.py FOLDER --decoder kalman --subjects 1 2 --glove-map my_hand.csv

FOLDER holds files such as S1_E1_A1.mat; docs/datasets.md says where they come from.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from emghand.errors import UserError
from emghand.evaluate.db8 import Db8Scores, db8_subjects, score_db8
from emghand.storage.datasets import db8_glove_map, read_glove_map
from emghand.training import TrainSettings


def table_of(results: list[Db8Scores], measure: str, title: str) -> Table:
    table = Table(title=title)
    names = results[0].scores.names
    for heading in ("subject", *names, "mean"):
        table.add_column(heading)
    rows = []
    for result in results:
        values = result.scores.r2 if measure == "r2" else getattr(result, measure)
        rows.append([*values.tolist(), float(np.nanmean(values))])
        table.add_row(str(result.subject), *(f"{v:.3f}" for v in rows[-1]))
    if len(rows) > 1:
        table.add_section()
        table.add_row("mean", *(f"{v:.3f}" for v in np.mean(rows, axis=0)))
    return table


def main() -> int:
    """Print R² and the errors in degrees."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="folder of the DB8 files")
    parser.add_argument("--decoder", default="ridge", help="kind of decoder (default: ridge)")
    parser.add_argument("--delays", type=int, nargs="+", default=[], metavar="TICKS")
    parser.add_argument("--subjects", type=int, nargs="+", help="only these (default: all)")
    parser.add_argument("--glove-map", metavar="CSV", help="instead of the published 18 -> 5 map")
    args = parser.parse_args()
    console = Console(width=110)
    try:
        glove_map = read_glove_map(args.glove_map) if args.glove_map else db8_glove_map()
        settings = TrainSettings(args.decoder, tuple(args.delays), max_lag_s=0.0)
        results = []
        for files in db8_subjects(args.folder):
            if args.subjects and files.subject not in args.subjects:
                continue
            start = time.perf_counter()
            results.append(score_db8(files, settings, glove_map=glove_map))
            took = time.perf_counter() - start
            console.print(f"subject {files.subject}: {took:.1f} s", highlight=False)
        if not results:
            raise UserError(f"{args.folder}: holds none of the subjects asked for")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for measure, title in (
        ("r2", f"DB8, {args.decoder}, A1 + A2 -> A3: R²"),
        ("mae_deg", "DB8, mean absolute error (degrees)"),
        ("rmse_deg", "DB8, RMSE (degrees)"),
    ):
        console.print(table_of(results, measure, title))
    return 0


if __name__ == "__main__":
    sys.exit(main())
