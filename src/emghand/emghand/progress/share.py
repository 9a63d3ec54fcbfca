"""The rows of a study shared through an S3 bucket: one object for each subject.

Sessions and their trials are shared; dates and status are computed from them in every place.
Nothing newer is ever overwritten: an object is only replaced when it is still the one that was
read (``If-Match``), and a row only when it has changed on one side alone
(`emghand.progress.merging`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from emghand.errors import UserError, one_line
from emghand.progress import share_document
from emghand.progress.database import Store
from emghand.progress.extras import need
from emghand.progress.merging import KEEP, Plan, Version, merge
from emghand.progress.rows import SessionRecord
from emghand.progress.scan import will_do
from emghand.progress.share_document import MAX_BYTES, Entry
from emghand.progress.tables import follow
from emghand.progress.upkeep import TRIES, Edit, Methods, apply

BOTH, PUSH, PULL = "both", "push", "pull"
DIRECTIONS = (BOTH, PUSH, PULL)

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
_SUFFIX = ".json.gz"
_CHANGED = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409", "404"}


class NoCredentials(UserError):
    """There is nothing to sign requests with: nothing is shared."""


@dataclass(frozen=True)
class Conflict:
    """A session that has changed in both places.

    Parameters
    ----------
    session_id : str
    mine, theirs : SessionRecord or None
        None: deleted.
    """

    session_id: str
    mine: SessionRecord | None
    theirs: SessionRecord | None

    @property
    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Column -> value here and there; of trials their number, if that is all."""
        if self.mine is None or self.theirs is None:
            return {"deleted": (self.mine is None, self.theirs is None)}
        pairs = {
            name: (getattr(self.mine.row, name), getattr(self.theirs.row, name))
            for name in self.mine.row.__dataclass_fields__
            if name != "path"
        }
        found = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        if self.mine.trials != self.theirs.trials:
            found["trials"] = (len(self.mine.trials), len(self.theirs.trials))
        return found

    def __str__(self) -> str:
        row = (self.mine or self.theirs).row  # type: ignore[union-attr]
        said = "; ".join(f"{n}: {a} here, {b} there" for n, (a, b) in self.differences.items())
        return f"{row.subject} {row.date} {row.path}: changed in both places ({said})"


@dataclass(frozen=True)
class Shared:
    """What became of the sessions of a subject; ids.

    Parameters
    ----------
    subject : str
    pushed, pulled : tuple of str
        Now the same in both places.
    removed : tuple of str
        Deleted here, as they were there.
    conflicts : tuple of Conflict
        Left as they are on both sides.
    """

    subject: str
    pushed: tuple[str, ...] = ()
    pulled: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


class Bucket:
    """Objects of subjects below a prefix; made from a URL such as ``s3://bucket/study``.

    Credentials are looked for where every AWS program does: environment, ``~/.aws``, machine.

    Raises
    ------
    NoCredentials
    UserError
        When the URL makes no sense.
    """

    def __init__(self, url: str, endpoint: str = "") -> None:
        found = _URL.fullmatch(url)
        if found is None:
            raise UserError(f"bucket {url!r}: use s3://BUCKET or s3://BUCKET/PREFIX")
        need("boto3", "s3", "an S3 bucket")
        import boto3
        from botocore.config import Config

        self._bucket, prefix = found[1], (found[2] or "").strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self.name = f"s3://{self._bucket}/{self._prefix}"
        with _told(self.name):
            session = boto3.Session()
            if session.get_credentials() is None:
                raise NoCredentials(
                    f"{self.name}: there are no AWS credentials, nothing was shared; set "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run: aws configure"
                )
            config = Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 3})
            region = session.region_name or "us-east-1"
            try:
                self._client = session.client(
                    "s3", endpoint_url=endpoint or None, region_name=region, config=config
                )
            except ValueError as error:
                raise UserError(f"{self.name}: {one_line(error)}") from error
        self.place = f"{self._client.meta.endpoint_url} {self.name}"

    def subjects(self) -> list[str]:
        """Those that have an object."""
        names = []
        with _told(self.name):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                names += [o["Key"][len(self._prefix) :] for o in page.get("Contents", ())]
        found = [n[: -len(_SUFFIX)] for n in names if n.endswith(_SUFFIX)]
        return sorted(name for name in found if will_do(name))

    def get(self, subject: str) -> tuple[dict[str, Entry], str]:
        """Sessions of a subject and the etag of the object; empty, when there is none."""
        from botocore.exceptions import ClientError

        key = f"{self._prefix}{subject}{_SUFFIX}"
        where = f"s3://{self._bucket}/{key}"
        with _told(where):
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                    return {}, ""
                raise
            with found["Body"] as body:
                content = body.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UserError(f"{where}: is too large")
        return share_document.from_bytes(subject, content, where), found["ETag"]

    def put(self, subject: str, entries: Mapping[str, Entry], etag: str) -> bool:
        """Replace the object that has this etag; False when it has another one by now."""
        from botocore.exceptions import ClientError

        key = f"{self._prefix}{subject}{_SUFFIX}"
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        with _told(f"s3://{self._bucket}/{key}"):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=share_document.to_bytes(subject, entries),
                    ContentType="application/gzip",
                    **condition,
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _CHANGED:
                    return False
                raise
        return True


def synchronise(
    store: Store,
    bucket: Bucket,
    subject: str = "",
    *,
    methods: Methods,
    keep: str = "",
    direction: str = BOTH,
) -> list[Shared]:
    """Make the rows of subjects the same in the database and in a bucket.

    Parameters
    ----------
    subject : str
        Only this one; empty: all, of either place.
    keep : str
        Of sessions that have changed in both places: ``mine``, ``theirs``, or empty: neither, they
        are conflicts.
    direction : str
        ``both``, ``push`` or ``pull``.

    Raises
    ------
    UserError
        When the subject is unknown, the bucket cannot be reached, or what it holds cannot be read.
    """
    if keep not in KEEP or direction not in DIRECTIONS:
        raise UserError(f"share: keep is mine or theirs, and direction {', '.join(DIRECTIONS)}")
    here = store.subjects()
    # A name that will not do for files is none of ours.
    if subject and subject not in here and not (will_do(subject) and bucket.get(subject)[1]):
        raise UserError(
            f"subject {subject}: is neither here nor in {bucket.name}; known here: "
            f"{', '.join(here) or 'nobody'}"
        )
    names = [subject] if subject else sorted({*here, *bucket.subjects()})
    return [_share(store, bucket, name, methods, keep, direction) for name in names]


def _share(
    store: Store, bucket: Bucket, subject: str, methods: Methods, keep: str, direction: str
) -> Shared:
    for _ in range(TRIES):
        entries, etag = bucket.get(subject)
        with store.reading() as rows:
            known, mine = rows.known(subject), rows.records(subject)
            noted = rows.shared(bucket.place, subject)
        base = {session_id: Version(*found) for session_id, found in noted.items()}
        plan = merge(
            {k.session_id: Version(k.revision, k.row_hash) for k in known},
            base,
            {session_id: entry.version for session_id, entry in entries.items()},
            frozenset(k.session_id for k in known if k.here),
            keep,
        )
        plan = _in_direction(plan, direction)
        pushed = {i: Entry(v.revision, mine.get(i)) for i, v in plan.push.items()}
        if pushed and not bucket.put(subject, {**entries, **pushed}, etag):
            continue  # Somebody else was faster.
        edit = Edit(
            put=tuple(r for i in plan.pull if (r := entries[i].record) is not None),
            remove=plan.remove,
            here=False,
            revisions={i: entries[i].revision for i in plan.pull},
        )
        agreed = {**plan.same, **plan.push}
        agreed |= {i: entries[i].version for i in (*plan.pull, *plan.remove)}
        kept = {i: v for i, v in base.items() if i in entries and i not in agreed}
        with store.writing(subject) as rows:
            if rows.known(subject) != known:
                continue
            apply(rows, subject, edit, methods)
            for k in known:
                version = agreed.get(k.session_id)
                if version and k.row_hash == version.row_hash and k.revision != version.revision:
                    rows.note(subject, k.session_id, revision=version.revision)
            found = {i: (v.revision, v.row_hash) for i, v in {**kept, **agreed}.items()}
            if found != noted:
                rows.put_shared(bucket.place, subject, found)
        follow(store, subject)
        conflicts = tuple(Conflict(i, mine.get(i), entries[i].record) for i in plan.conflicts)
        return Shared(subject, tuple(plan.push), plan.pull, plan.remove, conflicts)
    raise UserError(f"{bucket.name}: others change {subject} all the time; try again")


def _in_direction(plan: Plan, direction: str) -> Plan:
    if direction == PUSH:
        return Plan(push=plan.push, same=plan.same, conflicts=plan.conflicts)
    if direction == PULL:
        return Plan(pull=plan.pull, remove=plan.remove, same=plan.same, conflicts=plan.conflicts)
    return plan


@contextlib.contextmanager
def _told(where: str) -> Iterator[None]:
    """Say in one sentence what a bucket has to complain of."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError as error:
        raise NoCredentials(f"{where}: there are no AWS credentials") from error
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"{where}: {one_line(error)}") from error
