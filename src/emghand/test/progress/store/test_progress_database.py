"""The study database: one form of all rows, and versions that are told apart."""

import shutil
import sqlite3

import pandas as pd
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from study_maker import add_session, day, methods, new_store, session_row, trial

from emghand.errors import UserError
from emghand.progress import records
from emghand.progress.database import MIGRATIONS, Store, migrate
from emghand.progress.rows import SessionRecord, SessionRow, TrialRow
from emghand.progress.schema import HEAD, METADATA
from emghand.progress.upkeep import update

NEXT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "2", "1"
def upgrade():
    op.add_column("sessions", sa.Column("weather", sa.Text(), server_default="fair"))
"""


@pytest.fixture
def study(tmp_path):
    for number in (0, 2, 4):
        add_session(tmp_path, "p01", number)
    update(tmp_path, new_store(tmp_path), methods=methods())
    return tmp_path


def file_of(study):
    return study / "progress/study.sqlite"


def query(study, text):
    connection = sqlite3.connect(file_of(study))
    try:
        found = connection.execute(text).fetchall()
        connection.commit()
        return found
    finally:
        connection.close()


def test_migrations_make_the_tables_of_the_rows(study):
    engine = sa.create_engine(f"sqlite:///{file_of(study)}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD


def test_an_older_database_keeps_its_rows_when_it_is_migrated(study, tmp_path):
    shutil.copytree(MIGRATIONS, tmp_path / "next")
    (tmp_path / "next/versions/v2_weather.py").write_text(NEXT)
    engine = sa.create_engine(f"sqlite:///{file_of(study)}", poolclass=sa.NullPool)
    before = query(study, "SELECT * FROM trials ORDER BY session_id, number")
    migrate(engine, tmp_path / "next", "2")
    assert query(study, "SELECT DISTINCT weather FROM sessions") == [("fair",)]
    assert query(study, "SELECT * FROM trials ORDER BY session_id, number") == before
    assert query(study, "SELECT version_num FROM alembic_version") == [("2",)]


def test_a_migration_that_fails_leaves_the_tables_as_they_were(study, tmp_path):
    shutil.copytree(MIGRATIONS, tmp_path / "next")
    broken = NEXT + '    op.add_column("nothing", sa.Column("x", sa.Text()))\n'
    (tmp_path / "next/versions/v2_weather.py").write_text(broken)
    store = Store.open(study)
    with pytest.raises(sa.exc.OperationalError):
        migrate(store._engine, tmp_path / "next", "2")
    assert len(Store.open(study).sessions()) == 3
    assert "weather" not in query(study, "SELECT sql FROM sqlite_master")[0][0]


def test_a_database_of_a_newer_version_is_refused(study):
    query(study, "UPDATE alembic_version SET version_num = '99'")
    with pytest.raises(UserError, match=r"newer emghand \(version 99, this one reads up to"):
        Store.open(study)


def test_a_database_of_another_program_is_left_alone(tmp_path):
    (tmp_path / "progress").mkdir()
    query(tmp_path, "CREATE TABLE sessions (a)")
    with pytest.raises(UserError, match="tables of another program"):
        Store.open(tmp_path)
    assert query(tmp_path, "SELECT name FROM sqlite_master") == [("sessions",)]


def test_a_damaged_database_says_what_to_do(study):
    file_of(study).write_bytes(b"no database at all, only text" * 100)
    with pytest.raises(UserError, match=r"is damaged .* move it away"):
        Store.open(study)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u@h/d", "'mysql' is not supported"),
        ("nonsense", "the URL makes no sense"),
        ("postgresql://u:secret@127.0.0.1:1/d", r"u:\*\*\*@127.0.0.1:1/d: cannot be used"),
    ],
)
def test_a_url_that_will_not_do_is_told_without_its_password(tmp_path, url, said):
    with pytest.raises(UserError, match=said):
        Store.open(tmp_path, url)


def test_a_study_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        Store.open(tmp_path / "nothing")


def test_status_and_level_dates_can_be_asked_for_in_sql(study):
    dates = Store.open(study).dates()
    found = query(study, "SELECT date, status, raw_status FROM dates ORDER BY date")
    assert found == [
        (d.isoformat(), s, r)
        for d, s, r in zip(dates["date"], dates["status"], dates["raw_status"], strict=True)
    ]
    first = dates.groupby("status")["date"].min()
    levels = query(study, "SELECT level, first_date FROM level_dates ORDER BY level")
    assert levels == [(level, d.isoformat()) for level, d in sorted(first.items())]
    (success,) = query(study, "SELECT json_extract(combined, '$.success') FROM dates LIMIT 1")
    assert success[0] == dates["success"][0]


def test_dates_come_back_as_they_were_computed(study):
    store = Store.open(study)
    computed = methods().compute(store.sessions(), store.trials(), since=None, before=None)
    pd.testing.assert_frame_equal(store.dates(), computed)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=25)
@given(
    known=st.none() | NUMBERS,
    must=NUMBERS,
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    ok=st.none() | st.booleans(),
)
def test_rows_come_back_bit_for_bit(tmp_path_factory, known, must, text, ok):
    folder = tmp_path_factory.getbasetemp() / "rows"
    folder.mkdir(exist_ok=True)
    store = new_store(folder)
    row = session_row(
        subject="p", session_id="a", content_hash="h", path=text, date=day(0), start_ns=2**62,
        state="scored", n_trials=1, n_single=1, completed_single=1, time_to_target=known,
        duration=must, latency_ok=ok, problems=text,
    )  # fmt: skip
    record = records.normal(SessionRecord(row, (trial("a", "t", 0, abs(must) % 5, 7),)))
    with store.writing("p") as rows:
        rows.put(record, 1, here=True)
    with store.reading() as rows:
        assert rows.records("p")["a"] == record
        assert records.row_hash(rows.records("p")["a"]) == records.row_hash(record)
    assert records.from_values(SessionRow, records.plain(record)["session"]) == row


@pytest.mark.parametrize(
    "wrong",
    [
        {"radius": float("nan")},
        {"overshoots": 2**63},
        {"overshoots": 1.5},
        {"outcome": "a\0b"},
        {"outcome": "\ud800"},
        {"validation": 1},
    ],
)
def test_a_value_that_no_database_could_hold_is_refused(wrong):
    good = records.values(trial("a", "t", 0, 1.0, 7))
    with pytest.raises(UserError, match=next(iter(wrong))):
        records.from_values(TrialRow, {**good, **wrong})


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE dates SET combined = '{'",
        "UPDATE dates SET criteria = 'x'",
        "UPDATE dates SET missing = '[3]'",
        "UPDATE dates SET status = 'odd'",
        "UPDATE dates SET date = 'x' || date",
        "UPDATE subjects SET date_columns = '[]'",
        "UPDATE sessions SET start_ns = 'abc'",
        "UPDATE sessions SET state = 'odd'",
        "UPDATE sessions SET pauses = '3'",
        "UPDATE trials SET target_class = 'odd'",
    ],
)
def test_rows_that_nobody_wrote_so_are_told_in_one_sentence(study, harm):
    query(study, harm)
    store = Store.open(study)
    with pytest.raises(UserError, match="is damaged"):
        for table in (store.dates, store.sessions, store.trials):
            table("p01")
