"""Look into sessions, save, load and merge them, repair what a crash left, and go on.

A session is a directory; NAME.emgsession is an archive of one, or of several. Kinds of things:
settings, movements, filter, features, data, results, decoder, autoencoder, detector, other; all of
them unless --only or --without say otherwise. Nothing is ever overwritten, and nothing is deleted.

Examples
--------
  emghand session inspect sessions/s01
  emghand session inspect p07.emgsession --json
  emghand session save sessions/s01 p07.emgsession --without data --compress
  emghand session save sessions/s01 sessions/s02 both.emgsession
  emghand session load p07.emgsession sessions/copy --only decoder settings
  emghand session merge sessions/s01 sessions/s02 sessions/all
  emghand session repair sessions/s01
  emghand session resume sessions/s01 --run
"""

from __future__ import annotations

import argparse

HELP = "inspect, save, load, merge, repair and resume sessions"
_KIND = "kinds of things: settings, movements, filter, features, data, results, decoder, ..."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    parsers = {}
    for name, run, text in (
        ("inspect", _inspect, "what a session or an archive holds, without loading it"),
        ("save", _save, "write sessions to one archive"),
        ("load", _load, "unpack archives into a session, new or not"),
        ("merge", _load, "put sessions and archives together into one session"),
        ("repair", _repair, "mend what a crash or a full disk left; nothing is deleted"),
        ("resume", _resume, "where an interrupted collection, test or task goes on"),
    ):
        parsers[name] = actions.add_parser(name, help=text, description=text)
        parsers[name].set_defaults(action=run)
    parsers["inspect"].add_argument("path", help="session directory or archive")
    parsers["inspect"].add_argument(
        "--verify", action="store_true", help="read everything and compare the hashes"
    )
    for name in ("save", "load", "merge"):
        sub = parsers[name]
        sub.add_argument("sources", nargs="+", help="session directories or archives, in order")
        sub.add_argument(
            "output", help="NAME.emgsession" if name == "save" else "session directory, new or not"
        )
        sub.add_argument("--only", nargs="+", default=[], metavar="KIND", help=_KIND)
        sub.add_argument("--without", nargs="+", default=[], metavar="KIND", help="all but these")
        sub.add_argument("--subject", default="", help="pseudonym, where there are several")
    parsers["save"].add_argument(
        "--compress", action="store_true", help="pack the files; raw EMG hardly gets smaller"
    )
    parsers["repair"].add_argument("path", help="session directory, bag directory or .mcap file")
    parsers["resume"].add_argument("session", help="session directory")
    parsers["resume"].add_argument("--label", default="", help="of its bags (default: the last)")
    parsers["resume"].add_argument(
        "--run", action="store_true", dest="start", help="go on at once, on the running graph"
    )
    for sub in parsers.values():
        sub.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return int(args.action(args))


def _inspect(args: argparse.Namespace) -> int:
    import json

    from emghand.cli import sessions
    from emghand.storage.session_inspect import inspect_session

    found = inspect_session(args.path, verify=args.verify)
    print(json.dumps(found, indent=1)) if args.json else sessions.print_contents(found)
    return 1 if any(p["what"] != "not listed" for p in found["problems"]) else 0


def _save(args: argparse.Namespace) -> int:
    from emghand.cli import sessions
    from emghand.storage.kinds import chosen
    from emghand.storage.session_save import save_sessions

    merged = save_sessions(
        args.sources,
        args.output,
        chosen(args.only, args.without),
        compress=args.compress,
        subject=args.subject,
    )
    return sessions.report_written(merged, args.output, args.json)


def _load(args: argparse.Namespace) -> int:
    from emghand.cli import sessions
    from emghand.storage.kinds import chosen
    from emghand.storage.session_save import load_sessions

    merged = load_sessions(
        args.sources, args.output, chosen(args.only, args.without), subject=args.subject
    )
    return sessions.report_written(merged, args.output, args.json)


def _repair(args: argparse.Namespace) -> int:
    from emghand.cli import sessions

    return sessions.repair(args.path, args.json)


def _resume(args: argparse.Namespace) -> int:
    from emghand.cli import sessions

    return sessions.resume(args.session, args.label, args.start, args.json)
