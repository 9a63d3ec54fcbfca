"""The study database: all subjects, sessions and dates, in SQLite or in PostgreSQL.

A transaction that writes holds the lock of its subject from its first statement on (of SQLite: of
the database), so that what it read is still true when it writes. A process that is killed leaves
the rows as they were before its transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError, one_line
from emghand.progress.extras import need
from emghand.storage.files import make_folder

need("sqlalchemy", "progress", "the study database")

import sqlalchemy as sa  # noqa: E402

from emghand.progress.folder import FILE, FOLDER  # noqa: E402
from emghand.progress.schema import HEAD, METADATA  # noqa: E402
from emghand.progress.transaction import Transaction  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd

MIGRATIONS = Path(__file__).parent / "migrations"

_WAIT_S = 60.0
"""So long a process waits for others that write."""
_LOCKS = 0x656D67
"""Our advisory locks of PostgreSQL are told by this from those of other programs."""


class Store:
    """An open study database; made by `open`.

    Attributes
    ----------
    folder : Path
        Of the results of the study: Parquet tables, and the SQLite file.
    """

    def __init__(self, folder: Path, engine: sa.Engine) -> None:
        self.folder = folder
        self._engine = engine

    @classmethod
    def open(cls, study: str | Path, url: str = "") -> Store:
        """Open the database of a study; one that is new or old is brought to the present version.

        Parameters
        ----------
        study : path
            Folder of the study.
        url : str
            For example ``postgresql://user@host/name``; empty: SQLite within the study.

        Raises
        ------
        UserError
            When the study is not there, or the database cannot be reached, is damaged, of a newer
            version or of another program.
        """
        study = Path(study)
        if not study.is_dir():
            raise UserError(f"study {study}: there is no such folder")
        folder = study / FOLDER
        make_folder(folder)
        engine = _engine(url, folder / FILE)
        with _told(engine):
            migrate(engine)
        return cls(folder, engine)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Within, all is seen as it was at one moment."""
        with _told(self._engine), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield Transaction(connection)

    @contextlib.contextmanager
    def writing(self, subject: str) -> Iterator[Transaction]:
        """Within, nobody else changes the subject; all that is written holds, or nothing."""
        with _told(self._engine), _exclusive(self._engine, subject) as connection:
            yield Transaction(connection)

    def subjects(self) -> list[str]:
        """Pseudonyms of all subjects that have a session."""
        with self.reading() as rows:
            return rows.subjects()

    def sessions(self, subject: str = "") -> pd.DataFrame:
        """Sessions of one subject or of all: the columns of `SessionRow`."""
        with self.reading() as rows:
            return rows.sessions(subject)

    def trials(self, subject: str = "") -> pd.DataFrame:
        """Trials of one subject or of all: the columns of `TrialRow`."""
        with self.reading() as rows:
            return rows.trials(subject)

    def dates(self, subject: str = "") -> pd.DataFrame:
        """Dates of one subject or of all, with their status, as they were computed."""
        with self.reading() as rows:
            return rows.dates(subject)


def migrate(engine: sa.Engine, scripts: Path = MIGRATIONS, head: str = HEAD) -> None:
    """Bring the tables to a version.

    Raises
    ------
    UserError
        When they are of a newer version, or of another program.
    """
    with engine.connect() as connection:
        if _version(connection) == head:
            return
    need("alembic", "progress", "a new study database")
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with _exclusive(engine, "") as connection:
        version = _version(connection)  # Another process may have been faster.
        if version is None and set(sa.inspect(connection).get_table_names()) & set(METADATA.tables):
            raise UserError(
                f"{_name(engine)}: holds tables of another program; choose another database"
            )
        if version is not None and version not in known:
            raise UserError(
                f"{_name(engine)}: written by a newer emghand (version {version}, this one reads "
                f"up to {head}); update"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, head)


def _version(connection: sa.Connection) -> str | None:
    """Version of the tables; None: there are none of ours."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _engine(url: str, file: Path) -> sa.Engine:
    if not url:
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(file)),
            poolclass=sa.NullPool,
            # Transactions begin where we say, see _begin; the driver would begin them too late.
            connect_args={"timeout": _WAIT_S, "isolation_level": None},
        )
        sa.event.listen(engine, "connect", _connected)
        sa.event.listen(engine, "begin", _begin)
        return engine
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise UserError(
            "database: the URL makes no sense; use postgresql://user@host/name"
        ) from None
    if parsed.get_backend_name() != "postgresql":
        raise UserError(
            f"database: {parsed.drivername!r} is not supported; use postgresql://user@host/name, "
            "or none for SQLite"
        )
    need("psycopg", "postgres", "a PostgreSQL database")
    return sa.create_engine(parsed.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)


def _connected(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("emghand_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def _exclusive(engine: sa.Engine, subject: str) -> Iterator[sa.Connection]:
    """A transaction that has waited until no other one of the subject goes on."""
    with engine.connect().execution_options(emghand_writes=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            lock = sa.text("SELECT pg_advisory_xact_lock(:ours, hashtext(:subject))")
            connection.execute(lock, {"ours": _LOCKS, "subject": subject})
        yield connection


def _name(engine: sa.Engine) -> str:
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return f"database {url.database}"
    return f"database {url.render_as_string(hide_password=True)}"


@contextlib.contextmanager
def _told(engine: sa.Engine) -> Iterator[None]:
    """Say in one sentence what a database has to complain of."""
    try:
        yield
    except sa.exc.OperationalError as error:
        raise UserError(f"{_name(engine)}: cannot be used: {one_line(error.orig)}") from error
    except sa.exc.DatabaseError as error:
        # The class itself is what SQLite says of a damaged file; those below are our mistakes.
        if type(error) is not sa.exc.DatabaseError:
            raise
        raise UserError(
            f"{_name(engine)}: is damaged ({one_line(error.orig)}); move it away, a new one is "
            "made from the sessions"
        ) from error
