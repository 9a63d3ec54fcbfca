"""PostgreSQL gives the same rows as SQLite: a real server, where Debian's package is installed."""

import shutil
import threading

import pandas as pd
import pytest
import sqlalchemy as sa
from postgres_server import new_database
from study_maker import add_session, add_trials, day, methods, tables_bytes

from emghand.errors import UserError
from emghand.progress.database import Store
from emghand.progress.upkeep import update

pytest.importorskip("psycopg", reason="psycopg is not installed")


@pytest.fixture
def url(postgres, request):
    """An empty database."""
    return new_database(postgres, f"study_{abs(hash(request.node.name))}")


@pytest.fixture
def study(tmp_path):
    for number in (0, 2, 4):
        add_session(tmp_path / "study", "p01", number)
    add_session(tmp_path / "study", "p02", 1)
    return tmp_path / "study"


def same(one, two):
    for table in ("sessions", "trials", "dates"):
        pd.testing.assert_frame_equal(getattr(one, table)(), getattr(two, table)())
    for subject in one.subjects():
        with one.reading() as a, two.reading() as b:
            assert a.computed(subject) == b.computed(subject)


def test_both_databases_give_the_same_rows_after_any_change(study, url, tmp_path):
    (tmp_path / "other").mkdir()
    postgres, sqlite = Store.open(study, url), Store.open(tmp_path / "other")

    def both():
        for store in (postgres, sqlite):
            update(study, store, methods=methods())
        same(postgres, sqlite)
        assert tables_bytes(study) == tables_bytes(tmp_path / "other")

    both()
    add_session(study, "p01", 3)
    both()
    add_trials(study / f"p01/{day(2)}_0", 3, seed=9)
    both()
    shutil.rmtree(study / f"p01/{day(0)}_0")
    (study / f"p01/{day(4)}_0").rename(study / "renamed")
    both()
    assert update(study, Store.open(study, url), methods=methods()) and not any(
        update(study, Store.open(study, url), methods=methods())
    )


def test_updates_at_once_lose_nothing_in_postgres(study, url, tmp_path):
    def work():
        update(study, Store.open(study, url), methods=methods())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (tmp_path / "other").mkdir()
    sqlite = Store.open(tmp_path / "other")
    update(study, sqlite, methods=methods())
    same(Store.open(study, url), sqlite)


def test_a_newer_postgres_database_is_refused(study, url):
    Store.open(study, url)
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '99'"))
    engine.dispose()
    with pytest.raises(UserError, match="newer emghand"):
        Store.open(study, url)


def test_status_can_be_asked_for_in_sql_of_postgres(study, url):
    store = Store.open(study, url)
    update(study, store, methods=methods())
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        asked = sa.text(
            "SELECT status, (combined::jsonb ->> 'success')::float8 FROM dates "
            "WHERE subject = 'p01' ORDER BY date"
        )
        found = [tuple(row) for row in connection.execute(asked)]
        levels = connection.execute(sa.text("SELECT count(*) FROM level_dates")).scalar()
    engine.dispose()
    dates = store.dates("p01")
    assert found == list(zip(dates["status"], dates["success"], strict=True))
    assert levels >= 2
