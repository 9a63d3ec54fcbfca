"""A study as everything opens it: its folder, its database, and the criteria in force there."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

from emghand.errors import UserError
from emghand.progress.extras import need

need("pandas", "progress", "the progress of a subject")

from emghand.progress.criteria import load_criteria  # noqa: E402
from emghand.progress.database import Store  # noqa: E402
from emghand.progress.folder import FOLDER, is_study  # noqa: E402
from emghand.progress.scan import find_sessions  # noqa: E402
from emghand.progress.session import content_hash, read_session  # noqa: E402
from emghand.progress.status import compute_status  # noqa: E402
from emghand.progress.upkeep import Methods, Update, update  # noqa: E402

CRITERIA = "criteria.yaml"
"""Beside the database: criteria of this study instead of those that come with emghand."""


@dataclass(frozen=True)
class Study:
    """An open study; made by `open_study`.

    Parameters
    ----------
    path : Path
    store : Store
    methods : Methods
    """

    path: Path
    store: Store
    methods: Methods

    def update(
        self, subject: str = "", *, force: bool = False, unreadable: str = "raise"
    ) -> list[Update]:
        """Bring database and tables to what the sessions say: `emghand.progress.upkeep.update`."""
        return update(
            self.path,
            self.store,
            subject,
            methods=self.methods,
            force=force,
            unreadable=unreadable,
        )


def open_study(path: str | Path, database: str = "", *, empty: bool = False) -> Study:
    """Open a study. A folder of sessions becomes one when it is opened for the first time.

    Parameters
    ----------
    path : path
    database : str
        URL; empty: SQLite within the study.
    empty : bool
        It may hold no session: they come from elsewhere.

    Raises
    ------
    UserError
        When it holds no session and never did, its database cannot be used, its criteria make no
        sense, or a library is missing.
    """
    path = Path(path).expanduser().absolute()
    if not path.is_dir():
        raise UserError(f"study {path}: there is no such folder")
    if not (is_study(path) or database or empty or any(find_sessions(path, content_hash))):
        raise UserError(f"study {path}: there is no session in it")
    own = path / FOLDER / CRITERIA
    criteria = load_criteria(own if os.path.lexists(own) else None)
    compute = functools.partial(compute_status, criteria=criteria)
    methods = Methods(read_session, content_hash, compute, criteria.digest)
    return Study(path, Store.open(path, database), methods)
