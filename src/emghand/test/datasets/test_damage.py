"""Damaged text tables: what is whole is read unchanged, the rest is reported."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.errors import UserError
from emghand.storage.datasets import read_any, read_csv, read_npz
from emghand.storage.datasets.clock import going_forward, parse_times, unwrap
from emghand.storage.datasets.timeline import held_on_grid
from emghand.storage.repairs import RepairLog

RATE = 100.0


def samples_of(recording):
    """Sample by place on the counter."""
    return {
        block.first_sample + i: tuple(row)
        for block in recording.blocks
        for i, row in enumerate(block.samples.tolist())
    }


def kinds(recording):
    return {r.kind: r for r in recording.repairs}


def lines(n, timed=True):
    return [f"{i / RATE:.2f},{i},{i % 7 - 3}" if timed else f"{i},{i % 7 - 3}" for i in range(n)]


def write(path, rows, timed=True, end="\n"):
    header = "time,a,b" if timed else "a,b"
    path.write_bytes((end.join([header, *rows]) + end).encode())
    return path


def test_fused_and_truncated_rows_are_gaps_and_are_named(tmp_path):
    rows = lines(20)
    rows[5] = rows[5][:3]
    rows[10] += rows.pop(11)
    recording = read_csv(write(tmp_path / "a.csv", rows))
    found = kinds(recording)
    assert found["short_row"].ranges == ((7, 7),) and found["fused_row"].ranges == ((12, 12),)
    assert found["dropped"].count == 3
    whole = {i: (i, i % 7 - 3) for i in range(20) if i not in (5, 10, 11)}
    assert samples_of(recording) == whole
    assert abs(recording.stream.rate - RATE) < 1e-9


def test_without_stamps_a_line_that_is_left_out_still_takes_its_time(tmp_path):
    rows = lines(20, timed=False)
    rows[5] = "nonsense"
    rows[10] += "," + rows.pop(11)
    recording = read_csv(write(tmp_path / "a.csv", rows, timed=False), rate=RATE)
    assert samples_of(recording) == {i: (i, i % 7 - 3) for i in range(20) if i not in (5, 10, 11)}


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_every_line_end_is_read_and_a_bare_cr_is_reported(tmp_path, end):
    recording = read_csv(write(tmp_path / "a.csv", lines(20), end=end))
    assert samples_of(recording) == {i: (i, i % 7 - 3) for i in range(20)}
    assert ("bare_cr" in kinds(recording)) == (end == "\r")


def test_a_header_in_the_middle_is_left_out(tmp_path):
    rows = lines(20)
    rows.insert(7, "time,a,b")
    recording = read_csv(write(tmp_path / "a.csv", rows))
    assert len(samples_of(recording)) == 20
    assert kinds(recording)["header_again"].ranges == ((9, 9),)


def test_a_bare_cr_is_named_by_its_line(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"time,a\n0,1\r1,2\n2,3\r3,4\n")
    recording = read_csv(tmp_path / "a.csv")
    assert kinds(recording)["bare_cr"].ranges == ((2, 2), (4, 4))
    assert len(samples_of(recording)) == 4


def test_a_table_without_header_does_not_lose_its_first_row(tmp_path):
    (tmp_path / "a.csv").write_text("0,1\n1,2\n")
    with pytest.raises(UserError, match="header: false"):
        read_csv(tmp_path / "a.csv", rate=10.0)


def test_values_that_are_no_numbers_are_left_out(tmp_path):
    rows = lines(20)
    for i, cell in ((3, "nan"), (4, "inf"), (5, ""), (6, "1_0"), (7, "1e300"), (8, "é")):
        rows[i] = f"{i / RATE:.2f},{cell},0"
    rows[9] = "xx,1,1"
    recording = read_csv(write(tmp_path / "a.csv", rows))
    assert kinds(recording)["bad_value"].ranges == ((5, 10),)
    assert kinds(recording)["bad_time"].ranges == ((11, 11),)
    assert sorted(samples_of(recording)) == [0, 1, 2, *range(10, 20)]


def test_a_wrong_stamp_costs_its_row_only(tmp_path):
    rows = lines(20)
    rows[4] = rows[4].replace("0.04", "9.04")
    rows[8] = rows[7]
    recording = read_csv(write(tmp_path / "a.csv", rows))
    assert kinds(recording)["time_back"].ranges == ((6, 6),)
    assert kinds(recording)["duplicate_row"].ranges == ((10, 10),)
    assert sorted(samples_of(recording)) == [i for i in range(20) if i not in (4, 8)]


def test_a_label_that_is_missing_costs_the_label_only(tmp_path):
    (tmp_path / "a.csv").write_text("time,a,x_d.fist\n0,1,0\n1,2,\n2,3,1\n")
    recording = read_csv(tmp_path / "a.csv")
    assert len(samples_of(recording)) == 3
    assert np.isnan(recording.x_d.values[1, 0]) and recording.x_d.values[2, 0] == 1
    assert kinds(recording)["bad_label"].action == "kept"


def test_long_gaps_are_not_held_over(tmp_path):
    times = [0.0, 0.013, 0.9, 5.0, 5.01]
    (tmp_path / "a.csv").write_text("time,a\n" + "".join(f"{t},{t}\n" for t in times))
    recording = read_csv(tmp_path / "a.csv", rate=10.0)
    assert sorted(samples_of(recording)) == [*range(20), 50]
    assert kinds(recording)["gap"].ranges == ((5, 5),)
    assert kinds(recording)["gap_held"].ranges == ((4, 4),)


def test_railed_and_flat_channels_are_reported_but_kept(tmp_path):
    rng = np.random.default_rng(1)
    emg = np.column_stack(
        [rng.normal(size=200), np.clip(rng.normal(size=200), -1, 1), np.ones(200)]
    )
    emg[50:90, 0] = emg[:, 0].max() + 1
    np.savez(tmp_path / "a.npz", emg=emg, rate=100.0)
    recording = read_npz(tmp_path / "a.npz")
    found = kinds(recording)
    assert found["railed_channel"].ranges == ((50, 89),) and "ch01" in found["railed_channel"].text
    assert "ch03" in found["flat_channel"].text
    assert np.array_equal(np.concatenate([b.samples for b in recording.blocks]), emg.astype("f4"))


def test_a_compressed_file_that_was_cut_is_read_to_its_last_whole_line(tmp_path):
    rng = np.random.default_rng(2)
    rows = [f"{i / RATE:.2f},{v}" for i, v in enumerate(rng.normal(size=5000).tolist())]
    data = gzip.compress("\n".join(["time,a", *rows]).encode())
    (tmp_path / "a.csv.gz").write_bytes(data[: len(data) // 2])
    recording = read_csv(tmp_path / "a.csv.gz")
    got = samples_of(recording)
    assert 1000 < len(got) < 4000
    assert all(got[i][0] == np.float32(rows[i].split(",")[1]) for i in got)
    assert kinds(recording)["cut_short"].action == "left out"


def test_most_of_a_file_must_be_whole(tmp_path):
    with pytest.raises(UserError, match="layout"):
        read_csv(write(tmp_path / "a.csv", ["1,2"] * 5 + lines(4)))


def test_the_report_is_announced_in_one_line(tmp_path, caplog):
    rows = lines(20)
    rows[5] = "broken"
    read_any(write(tmp_path / "a.csv", rows))
    assert len(caplog.messages) == 1 and "left out 1 line (short row)" in caplog.messages[0]
    caplog.clear()
    read_any(write(tmp_path / "b.csv", lines(20)))
    assert not caplog.messages


def test_strict_reading_refuses_damage_but_not_what_the_user_asked_for(tmp_path):
    path = write(tmp_path / "a.csv", lines(20))
    assert read_csv(path, rate=50.0, strict=True).repairs[0].action == "noted"
    with pytest.raises(UserError, match="strict"):
        read_csv(write(tmp_path / "b.csv", ["x", *lines(20)]), strict=True)


def test_clocks_begin_anew_only_where_they_can():
    texts = ["11:59:59 AM", "12:00:01 PM", "11:59:59 PM", "12:00:01 AM"]
    assert parse_times(texts, "clock12").tolist() == [43199, 43201, 86399, 1]
    times, turns = unwrap(np.array([86399.0, 1.0, 2.0]), 86400.0)
    assert times.tolist() == [86399, 86401, 86402] and turns.tolist() == [1]
    wrong = np.array([1800.0, 43140.0, 1801.0, 1802.0])
    assert unwrap(wrong, 43200.0)[0].tolist() == wrong.tolist()
    assert going_forward(wrong).tolist() == [True, False, True, True]
    assert np.isnan(parse_times(["13:00:00", "1:60:00", "noon"], "clock12")).all()
    assert parse_times(["1970-01-01T00:00:01.5Z"], "iso").tolist() == [1.5]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=40), st.sampled_from([5.0, 10.0, 64.0]))
def test_the_grid_holds_the_last_sample_that_had_arrived(times, rate):
    time_s = np.sort(np.array(times)) / 100.0
    time_s -= time_s[0]
    source, index = held_on_grid(time_s, rate)
    expected = [
        (k, max(i for i, t in enumerate(time_s) if t <= k / rate + 1e-6))
        for k in range(int((time_s[-1] + 1e-6) * rate) + 1)
    ]
    expected = [(k, i) for k, i in expected if k / rate <= time_s[i] + 1.0 + 1e-6]
    assert list(zip(index.tolist(), source.tolist(), strict=True)) == expected


DAMAGES = ("truncate", "fuse", "nan", "text", "cr", "repeat", "bytes", "empty")


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.integers(1, 58), st.sampled_from(DAMAGES)), max_size=12),
    st.booleans(),
)
def test_random_damage_never_touches_the_rows_beside_it(tmp_path_factory, damages, timed):
    whole = lines(60, timed)
    rows = [line.encode() for line in whole]
    hurt, touched = set(), set()
    for place, damage in damages:
        if {place, place + 1} & touched:
            continue
        touched |= {place, place + 1}
        row = rows[place]
        if damage == "truncate":
            rows[place] = row.rsplit(b",", 1)[0]
        elif damage == "fuse":
            rows[place], rows[place + 1] = row + b"," + rows[place + 1], b""
            hurt.add(place + 1)
        elif damage == "nan":
            rows[place] = row.rsplit(b",", 1)[0] + b",nan"
        elif damage == "text":
            rows[place] = b"#!" + row
        elif damage == "bytes":
            rows[place] = b"\x00\xff" + row
        elif damage == "cr":
            rows[place] = row + b"\r" + rows[place + 1]
            rows[place + 1] = b""
            continue
        elif damage == "repeat" and timed:
            rows[place] = row + b"\n" + row
            continue
        elif damage == "empty" and timed:
            rows[place] = b""
        else:
            continue
        hurt.add(place)
    path = tmp_path_factory.mktemp("d") / "a.csv"
    path.write_bytes(b"\n".join([b"time,a,b" if timed else b"a,b", *rows]))
    recording = read_csv(path, rate=0.0 if timed else RATE)
    assert samples_of(recording) == {i: (i, i % 7 - 3) for i in range(60) if i not in hurt}
    assert bool(hurt) <= bool(recording.repairs)


@settings(max_examples=150)
@given(st.data())
def test_random_bytes_raise_nothing_but_a_user_error(tmp_path_factory, data):
    good = "\n".join(["time,a,b", *lines(12)]).encode()
    start = data.draw(st.integers(0, len(good)))
    junk = data.draw(st.binary(max_size=40) | st.text("0123456789.,-e\r\n:\"' ", max_size=40))
    junk = junk if isinstance(junk, bytes) else junk.encode()
    end = data.draw(st.integers(start, len(good)))
    path = tmp_path_factory.mktemp("d") / "a.csv"
    path.write_bytes(good[:start] + junk + good[end:])
    for rate in (0.0, 50.0):
        try:
            recording = read_csv(path, rate=rate)
        except UserError:
            continue
        stacked = np.concatenate([b.samples for b in recording.blocks])
        assert np.isfinite(stacked).all()
        firsts = [b.first_sample for b in recording.blocks]
        assert firsts == sorted(set(firsts))


def test_places_are_told_as_ranges():
    log = RepairLog()
    log.add("a", "x", "left out", "text", [1, 2, 3, 7, 9, 10])
    log.add("a", "y", "left out", "text", [])
    (repair,) = log.repairs
    assert repair.ranges == ((1, 3), (7, 7), (9, 10)) and repair.count == 6
    assert str(repair) == "a: left out: 6 lines (line 1-3, 7, 9-10): text"
