"""Check, show and run protocols: experiments as trees of stages.

    emghand protocol check config/protocols/study_day.yaml
    emghand protocol show config/protocols/sugar_pellet.yaml
    emghand protocol run config/protocols/sugar_pellet.yaml --virtual --seed 3
    emghand protocol run config/protocols/study_day.yaml sessions/s01 --subject s01
    emghand protocol run config/protocols/study_day.yaml sessions/s01 --set repetitions=1
    emghand protocol run config/protocols/study_day.yaml sessions/s01 --resume
    emghand protocol run config/protocols/study_day.yaml --virtual --set repetitions=1
    emghand protocol run config/protocols/study_day.yaml sessions/rehearsal --simulated --seed 2

`check` reads the file and, where ROS 2 is, looks up every type, field and goal. `run` hands the
protocol to protocol_node of the running graph (emghand up live) and shows its progress; Ctrl-C
cancels it, and --resume goes on after the last checkpoint, also after a crash, with the parameters
of that time. With --virtual nothing is moved or asked: the protocol runs here, at once, against the
devices that the file states under `virtual`; a session is optional then. With --simulated
everything is done, by the code that does it live, but the person, their muscles and the hand are
simulated and time is virtual: a real session is written, in a fraction of the time, the same for
the same seed.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emghand.protocol import Event, Protocol, Stage

HELP = "check, show or run an experiment as a tree of stages"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parsers = parser.add_subparsers(dest="what", required=True, metavar="check|show|run")
    check = parsers.add_parser("check", help="whether a protocol is without mistakes")
    show = parsers.add_parser("show", help="the tree of stages")
    run_ = parsers.add_parser("run", help="run it")
    for each in (check, show, run_):
        each.add_argument("protocol", metavar="FILE", help="YAML or Python file")
        each.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="parameter of the protocol, in YAML; may be given several times",
        )
        each.add_argument("--json", action="store_true", help="print JSON")
    run_.add_argument("session", nargs="?", help="session directory; made when it does not exist")
    run_.add_argument("--subject", default="", help="pseudonym; needed for a new session")
    run_.add_argument("--seed", type=int, default=0, help="of every draw (default: 0)")
    run_.add_argument("--resume", action="store_true", help="go on after the last checkpoint")
    how = run_.add_mutually_exclusive_group()
    how.add_argument("--virtual", action="store_true", help="in virtual time, without a graph")
    how.add_argument(
        "--simulated", action="store_true", help="in virtual time, with a simulated person"
    )
    run_.add_argument("--verbose", action="store_true", help="print every event")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.cli.examples import assignments
    from emghand.cli.ranges import SEEDS, check_ranges
    from emghand.protocol import load_interrupted, load_protocol

    parameters = assignments("--set", args.set)
    if args.what == "run" and args.resume and args.session:
        protocol = load_interrupted(args.protocol, args.session, parameters)
    else:
        protocol = load_protocol(args.protocol, parameters)
    if args.what == "check":
        return _check(args, protocol)
    if args.what == "show":
        return _show(args, protocol)
    check_ranges(args, seed=SEEDS)
    if args.simulated:
        return _run_simulated(args, protocol)
    return _run_virtual(args, protocol) if args.virtual else _run_live(args)


def _check(args: argparse.Namespace, protocol: Protocol) -> int:
    import json

    from emghand.client.interfaces import check_needs, has_ros

    stages = list(protocol.root.walk())
    needs = [(path, need) for path, stage in stages for need in stage.needs()]
    typed = has_ros()
    if typed:
        check_needs(needs)
    if args.json:
        values = {"name": protocol.name, "stages": len(stages), "digest": protocol.digest}
        print(json.dumps({**values, "types_checked": typed}))
        return 0
    extra = "" if typed else "; types were not looked up: ROS 2 is not here"
    print(f"{protocol.name}: {len(stages)} stages, without mistakes{extra}")
    return 0


def _show(args: argparse.Namespace, protocol: Protocol) -> int:
    import json

    if args.json:
        print(json.dumps(protocol.root.describe(), indent=1, default=str))
        return 0
    print(f"{protocol.name}: {protocol.description}".rstrip(": "))
    for name, value in protocol.parameters.items():
        print(f"  parameter {name} = {value}")
    for path, stage in protocol.root.walk():
        print("  " * path.count("/") + _line(stage))
    return 0


def _line(stage: Stage) -> str:
    """Name, kind, and the settings that are not at their default."""
    import dataclasses

    parts = [] if type(stage).__name__ == "Stage" else [type(stage).__name__]
    for item in dataclasses.fields(stage):
        value = getattr(stage, item.name)
        if item.name in ("name", "stages") or value in (item.default, {}, ()):
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        parts.append(f"{item.name}={shown}")
    return f"- {stage.name}" + (f"  [{'; '.join(parts)}]" if parts else "")


def _run_virtual(args: argparse.Namespace, protocol: Protocol) -> int:
    from emghand.protocol import ProtocolRunner, VirtualWorld

    world = VirtualWorld(protocol.topics, protocol.answers, seed=args.seed)
    runner = ProtocolRunner(
        protocol,
        world,
        session=args.session,
        subject=args.subject,
        seed=args.seed,
        resume=args.resume,
        on_event=lambda event: None if args.json else _print(event, args.verbose),
    )
    result = runner.execute()
    return _report(
        args.json,
        result.status,
        {"message": result.message, "events": result.events, "log": result.log},
    )


def _run_simulated(args: argparse.Namespace, protocol: Protocol) -> int:
    from emghand.errors import UserError

    if not args.session:
        raise UserError("give the directory of the session that is to be written")
    if args.resume:
        raise UserError("a simulated run is not resumed: run it anew, into another session")
    from emghand.virtual.day import run_simulated

    result = run_simulated(
        protocol,
        args.session,
        subject=args.subject or "simulated",
        seed=args.seed,
        on_event=lambda event: None if args.json else _print(event, args.verbose),
    )
    return _report(
        args.json,
        result.status,
        {"message": result.message, "events": result.events, "log": result.log},
    )


def _run_live(args: argparse.Namespace) -> int:
    from pathlib import Path

    from emghand.client import GraphClient
    from emghand.client.protocol import run_protocol
    from emghand.errors import UserError
    from emghand.protocol import Event

    if not args.session:
        raise UserError("give the session directory, or --virtual to run without a graph")
    goal = {
        "protocol": str(Path(args.protocol).expanduser().absolute()),
        "session": str(Path(args.session).expanduser().absolute()),
        "subject": args.subject,
        "seed": args.seed,
        "resume": args.resume,
        "parameters": args.set,
    }
    begun: list[float] = []

    def show(message: Any) -> None:
        at = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        begun.append(at)
        time = at - begun[0]
        event = Event(
            message.index,
            time,
            message.stage,
            message.trigger,
            message.item,
            message.value,
            message.trial,
        )
        if not args.json:
            _print(event, args.verbose)

    with GraphClient() as graph:
        result = run_protocol(graph, show, **goal)
        cancelled = graph.interrupted
    status = "complete" if result.success else "cancelled" if cancelled else "failed"
    return _report(
        args.json,
        status,
        {"message": result.message, "events": result.events, "log": result.log},
    )


def _print(event: Event, verbose: bool) -> None:
    from emghand.protocol.events import NOTABLE

    if verbose or event.trigger in NOTABLE:
        print(event.line, flush=True)


def _report(as_json: bool, status: str, values: dict[str, Any]) -> int:
    import json
    import sys

    if as_json:
        print(json.dumps({"status": status, **values}))
    else:
        where = f"; log: {values['log']}" if values["log"] else ""
        stream = sys.stdout if status == "complete" else sys.stderr
        print(f"{values['message']} ({values['events']} events{where})", file=stream)
    return {"complete": 0, "cancelled": 130}.get(status, 1)
