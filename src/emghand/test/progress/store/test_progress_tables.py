"""Parquet files of a subject follow the database and are read without trust."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from study_maker import add_session, methods, new_store, tables_bytes

from emghand.errors import UserError
from emghand.progress.database import Store
from emghand.progress.tables import follow, read_tables, table_path
from emghand.progress.upkeep import update


@pytest.fixture
def study(tmp_path):
    for number in (0, 2, 4):
        add_session(tmp_path, "p01", number)
    add_session(tmp_path, "p02", 1)
    update(tmp_path, new_store(tmp_path), methods=methods())
    return tmp_path


def test_files_hold_what_the_database_holds(study):
    store, tables = Store.open(study), read_tables(study / "progress", "p01")
    pd.testing.assert_frame_equal(tables.sessions, store.sessions("p01"))
    pd.testing.assert_frame_equal(tables.trials, store.trials("p01"))
    pd.testing.assert_frame_equal(tables.dates, store.dates("p01"), check_dtype=False)


def test_any_parquet_reader_can_read_them(study):
    table = pq.read_table(study / "progress/p01.parquet")
    assert table.schema.field("date").type == pa.date32()
    assert table.schema.field("latency_ok").type == pa.bool_()
    assert table.num_rows == 3


@pytest.mark.parametrize("table", ["sessions", "trials", "dates"])
@pytest.mark.parametrize("harm", ["lost", "torn", "of another subject"])
def test_a_file_that_is_behind_or_damaged_is_refused_and_written_anew(study, table, harm):
    before, path = tables_bytes(study), table_path(study / "progress", "p01", table)
    if harm == "lost":
        path.unlink()
    elif harm == "torn":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.write_bytes(table_path(study / "progress", "p02", table).read_bytes())
    with pytest.raises(UserError, match=path.name):
        read_tables(study / "progress", "p01")
    (report,) = update(study, Store.open(study), "p01", methods=methods())
    assert report.files and report.dates == 0
    assert tables_bytes(study) == before


def test_files_of_two_updates_are_not_read_together(study):
    old = table_path(study / "progress", "p01", "trials").read_bytes()
    add_session(study, "p01", 9)
    update(study, Store.open(study), methods=methods())
    table_path(study / "progress", "p01", "trials").write_bytes(old)
    with pytest.raises(UserError, match="cut short"):
        read_tables(study / "progress", "p01")


def test_what_a_killed_process_left_is_taken_away(study):
    left = study / "progress/.unfinished-0123"
    left.write_bytes(b"torn")
    assert not follow(Store.open(study), "p01")
    assert not left.exists()


def test_a_table_of_somebody_else_is_refused(study):
    pq.write_table(pa.table({"a": [1]}), study / "progress/p01.parquet")
    with pytest.raises(UserError, match="is not a table of a subject's progress"):
        read_tables(study / "progress", "p01")
