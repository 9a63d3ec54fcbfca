"""What of a session is there, trained and up to date.

Whether something is up to date is decided by content: a model names the SHA-256 of every recording
it learned from, a companion its model, a model its feature settings. Dates decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emghand.adapt.companion import companion_path, load_companion
from emghand.errors import UserError
from emghand.settings import digest
from emghand.storage.datasets import read_any
from emghand.storage.encoders import EXTENSION as ENCODER
from emghand.storage.encoders import load_encoder
from emghand.storage.files import sha256
from emghand.storage.models import EXTENSION, Model, load_model
from emghand.storage.sessions import Session

NONE, READY, STALE = "none", "ready", "stale"
TRAINING = "collect"
"""Label of the bags that a decoder is trained on."""


@dataclass(frozen=True)
class Status:
    """Status of a session; the fields of the message ``SessionStatus``.

    Parameters
    ----------
    session, subject : str
    data, decoder, autoencoder, reference : str
        ``none``, ``ready`` or ``stale``.
    recordings : tuple of str
        Bags, relative to the session.
    why : tuple of str
        What is stale or missing, one sentence each.
    """

    session: str = ""
    subject: str = ""
    data: str = NONE
    decoder: str = NONE
    autoencoder: str = NONE
    reference: str = NONE
    recordings: tuple[str, ...] = ()
    why: tuple[str, ...] = ()


class Digests:
    """SHA-256 of files, and of recordings as models name them, computed once per content.

    A file is read again when its size, its time of change or its inode differ from the last time:
    these only say when to look.
    """

    def __init__(self) -> None:
        self._files: dict[Path, tuple[tuple[int, int, int], str]] = {}
        self._recordings: dict[tuple[tuple[str, str], ...], str] = {}

    def file(self, path: Path) -> str:
        """SHA-256 of a file, hexadecimal."""
        found = path.stat()
        seen = (found.st_size, found.st_mtime_ns, found.st_ino)
        known = self._files.get(path)
        if known is None or known[0] != seen:
            known = self._files[path] = (seen, sha256(path))
        return known[1]

    def recording(self, bag: Path) -> str:
        """Digest of a bag as a recording; see `Recording.digest`."""
        content = tuple((p.name, self.file(p)) for p in sorted(bag.iterdir()) if p.is_file())
        if content not in self._recordings:
            self._recordings[content] = read_any(bag, quiet=True).digest
        return self._recordings[content]


def session_status(
    path: str | Path,
    *,
    features_hash: str = "",
    model_id: str = "",
    digests: Digests | None = None,
) -> Status:
    """Look at a session.

    Parameters
    ----------
    path : path
    features_hash : str
        SHA-256 of the feature settings of the graph that runs; empty: none does.
    model_id : str
        Of the model that runs; empty: none does.
    digests : Digests, optional
        Kept from one look to the next, so that nothing is read twice.

    Raises
    ------
    UserError
        When there is no session.
    """
    session = Session.open(path)
    digests = digests or Digests()
    why: list[str] = []
    data, learned_from = _data(session, digests, why)
    models = list(_models(session, why))
    decoder = _decoder(models, learned_from, features_hash, model_id, why)
    return Status(
        session=str(session.path.absolute()),
        subject=session.subject,
        data=data,
        decoder=decoder,
        autoencoder=_autoencoder(session, models, learned_from, why),
        reference=_reference(models, why),
        recordings=tuple(b.relative_to(session.path).as_posix() for b in session.bags()),
        why=tuple(why),
    )


def _data(session: Session, digests: Digests, why: list[str]) -> tuple[str, dict[str, str]]:
    """State of the training data, and the digest of each bag."""
    files = session.manifest["files"]
    found: dict[str, str] = {}
    state = NONE
    for bag in session.bags(TRAINING):
        state = READY if state == NONE else state
        name = bag.relative_to(session.path).as_posix()
        try:
            for file in sorted(p for p in bag.iterdir() if p.is_file()):
                listed = files.get(f"{name}/{file.name}")
                if listed is None:
                    raise UserError("was not finished: emghand session repair")
                if listed["sha256"] != digests.file(file):
                    raise UserError("has changed since it was recorded")
            found[name] = digests.recording(bag)
        except UserError as error:
            why.append(f"{name}: {error}")
            state = STALE
        except OSError as error:
            why.append(f"{name}: cannot be read: {error.strerror or error}")
            state = STALE
    if state == NONE:
        why.append(f"there is no recording {TRAINING}* to train on")
    return state, found


def _models(session: Session, why: list[str]) -> Iterator[tuple[Path, Model]]:
    for path in sorted((session.path / "models").glob(f"*{EXTENSION}")):
        try:
            yield path, load_model(path)
        except UserError as error:
            why.append(str(error))


def _age(known: Sequence[str], bags: dict[str, str]) -> str:
    """What has changed since something was learned from recordings; empty: nothing."""
    fresh = [name for name, of in bags.items() if of not in known]
    if fresh:
        return f"has not learned from {', '.join(fresh)}"
    return "" if bags else "the recordings it learned from are not here"


def _decoder(
    models: Sequence[tuple[Path, Model]],
    bags: dict[str, str],
    features_hash: str,
    model_id: str,
    why: list[str],
) -> str:
    """Ready when one model (the one that runs, where it is one of these) is up to date."""
    if not models:
        why.append("no decoder is trained")
        return NONE
    running = [m for m in models if m[1].model_id == model_id]
    if model_id and not running:
        why.append("the model that runs is none of this session")
    reasons = []
    for path, model in running or models:
        reason = _age(model.recordings, bags)
        if not reason and features_hash and digest(model.features) != features_hash:
            reason = "was trained on other features than the graph computes now"
        if not reason:
            return READY
        reasons.append(f"{path.name}: {reason}")
    why += reasons
    return STALE


def _autoencoder(
    session: Session,
    models: Sequence[tuple[Path, Model]],
    bags: dict[str, str],
    why: list[str],
) -> str:
    """Ready when an encoder file can be read, or a model with an encoder is up to date."""
    state = NONE
    reasons = []
    for path in sorted((session.path / "models").glob(f"*{ENCODER}")):
        try:
            reason = _age(load_encoder(path).recordings, bags)
        except UserError as error:
            reason = str(error)
        if not reason:
            return READY
        state = STALE
        reasons.append(f"{path.name}: {reason}")
    for path, model in models:
        if model.encoder is not None:
            state = STALE
            reason = _age(model.recordings, bags)
            if not reason:
                return READY
            reasons.append(f"{path.name}, its encoder: {reason}")
    why += reasons
    return state


def _reference(models: Sequence[tuple[Path, Model]], why: list[str]) -> str:
    """Ready when the companion of a model holds a reference of the user's own use."""
    state = NONE
    for path, model in models:
        beside = companion_path(path)
        if not beside.exists():
            continue
        try:
            companion = load_companion(beside, model)
        except UserError as error:
            why.append(str(error))
            state = STALE
            continue
        if companion.reference is not None:
            return READY
    return state
