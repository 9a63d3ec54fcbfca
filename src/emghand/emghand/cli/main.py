"""The `emghand` command. Every module in `emghand.cli.commands` is one subcommand."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

from emghand.cli import commands
from emghand.errors import UserError, one_line


def build_parser() -> argparse.ArgumentParser:
    """Parser with one subcommand per module of `emghand.cli.commands`.

    A command module has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(args) -> int``.
    Its docstring is the long help, examples included. It may set the default ``interleaved`` to the
    name of a list of words that may also stand behind options.
    """
    parser = argparse.ArgumentParser(
        prog="emghand", description="Myoelectric control of a prosthetic hand."
    )
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for found in sorted(pkgutil.iter_modules(commands.__path__), key=lambda m: m.name):
        module = importlib.import_module(f"{commands.__name__}.{found.name}")
        sub = subparsers.add_parser(
            found.name.replace("_", "-"),
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (1: the user's mistake, 130: Ctrl-C)."""
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    # argparse gives up on positional words that stand behind an option.
    more = getattr(args, "interleaved", None)
    if rest and (more is None or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if more is not None:
        getattr(args, more).extend(rest)
    try:
        return int(args.run(args))
    except UserError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe had enough; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
