"""What a study holds: its subjects, its sessions, and what is missing in the tables or broken.

A study is a folder with sessions somewhere below it. Nothing is read into the tables: that is done
by emghand progress. With the word share its rows are made the same as those in an S3 bucket: what
is newer there is never overwritten, and what has changed in both places is told and left alone
until --keep decides. Credentials are those of every AWS program.

    emghand study studies/reach
    emghand study studies/reach --verify           # read every file and compare its hash
    emghand study --json
    emghand study share s3://lab/reach --in studies/reach
    emghand study share s3://lab/reach --subject p01 --keep mine
    emghand study share s3://reach --endpoint http://localhost:9000

Exit status 0: in order; 1: something is damaged or could not be read, or has changed in both
places.
"""

from __future__ import annotations

import argparse

HELP = "list the sessions of a study, or share its tables through an S3 bucket"
SHARE = "share"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli.studies import add_place

    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR|share",
        help="folder of the study (default: as in emghand progress), or share",
    )
    parser.add_argument("bucket", nargs="?", help="to share with: s3://BUCKET/PREFIX")
    add_place(parser)
    parser.add_argument(
        "--verify", action="store_true", help="compare the hash of every file, not only its size"
    )
    parser.add_argument("--subject", default="", help="only this one")
    parser.add_argument(
        "--keep",
        choices=("mine", "theirs"),
        default="",
        help="which row counts where a session has changed in both places",
    )
    parser.add_argument(
        "--direction",
        choices=("both", "push", "pull"),
        default="both",
        help="only send or only fetch (default: both)",
    )
    parser.add_argument("--endpoint", default="", metavar="URL", help="of another server than AWS")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return _share(args) if args.folder == SHARE else _list(args)


def _list(args: argparse.Namespace) -> int:
    from emghand.cli import listing
    from emghand.errors import UserError

    if args.bucket or args.keep or args.endpoint or args.direction != "both":
        raise UserError("study: a bucket, --keep, --direction and --endpoint are for study share")
    if args.folder and args.place:
        raise UserError("study: name the folder once")
    args.place = args.folder or args.place
    return listing.show(args)


def _share(args: argparse.Namespace) -> int:
    from emghand.cli import sharing
    from emghand.errors import UserError

    if not args.bucket:
        raise UserError("study share: name the bucket, as s3://BUCKET/PREFIX")
    if args.verify:
        raise UserError("study share: --verify is for the list of a study")
    return sharing.share(args)
