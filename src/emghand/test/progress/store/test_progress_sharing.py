"""Two places share the rows of a study through a bucket, and never overwrite what is newer."""

import dataclasses
import gzip
import json
import shutil
import threading

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_maker import Judge, Reader, add_session, add_trials, day, methods, new_store

from emghand.errors import UserError
from emghand.progress import records, share_document
from emghand.progress.merging import MINE, THEIRS, Version, merge
from emghand.progress.share import Bucket, NoCredentials, synchronise
from emghand.progress.tables import read_tables
from emghand.progress.upkeep import update

KEY = "study/p01.json.gz"


@pytest.fixture(scope="module")
def server():
    """An S3 server on loopback."""
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    threaded = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    threaded.start()
    host, port = threaded.get_host_and_port()
    yield f"http://{host}:{port}"
    threaded.stop()


@pytest.fixture(scope="module")
def client(server):
    """Made once, as that takes long."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def bucket(server, client, no_credentials, monkeypatch, request):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    name = f"b{abs(hash(request.node.name))}"
    client.create_bucket(Bucket=name)
    return Bucket(f"s3://{name}/study", server)


class Lab:
    """A place with a study, its database and its share of the bucket."""

    def __init__(self, folder):
        folder.mkdir()
        self.study, self.store = folder, new_store(folder)

    def update(self):
        return update(self.study, self.store, methods=methods())

    def share(self, bucket, **settings):
        (shared,) = synchronise(self.store, bucket, "p01", methods=methods(), **settings)
        return shared

    def days(self):
        return list(self.store.dates("p01")["date"])


@pytest.fixture
def labs(tmp_path):
    one, two = Lab(tmp_path / "one"), Lab(tmp_path / "two")
    for number in (0, 2, 4):
        add_session(one.study, "p01", number)
    one.update()
    return one, two


def same(one, two):
    for table in ("sessions", "trials", "dates"):
        pd.testing.assert_frame_equal(
            getattr(one.store, table)("p01"), getattr(two.store, table)("p01")
        )


def disagreeing(labs, bucket):
    """A session that both labs hold and each changed."""
    one, two = labs
    one.share(bucket)
    shutil.copytree(one.study / "p01", two.study / "p01")
    two.update()
    two.share(bucket)
    add_trials(one.study / f"p01/{day(2)}_0", 3, seed=7)
    add_trials(two.study / f"p01/{day(2)}_0", 5, seed=8)
    one.update()
    two.update()
    assert len(one.share(bucket).pushed) == 1
    return one, two


def test_what_one_place_pushes_the_other_gets(labs, bucket):
    one, two = labs
    assert len(one.share(bucket).pushed) == 3
    assert bucket.subjects() == ["p01"]
    assert len(two.share(bucket).pulled) == 3
    same(one, two)
    assert read_tables(two.store.folder, "p01").digest


def test_sharing_again_moves_nothing(labs, bucket):
    one, two = labs
    one.share(bucket), two.share(bucket)
    before = bucket.get("p01")
    for lab in labs:
        shared = lab.share(bucket)
        assert not (shared.pushed or shared.pulled or shared.removed or shared.conflicts)
    assert bucket.get("p01") == before


def test_a_session_that_came_from_the_bucket_is_not_taken_for_deleted(labs, bucket):
    one, two = labs
    one.share(bucket), two.share(bucket)
    add_session(two.study, "p01", 3)
    (report,) = two.update()
    assert not report.removed and (report.since, report.dates) == (day(3), 2)
    two.share(bucket)
    compute = Judge()
    (shared,) = synchronise(one.store, bucket, methods=methods(compute=compute))
    assert len(shared.pulled) == 1 and compute.computed == [day(3), day(4)]
    same(one, two)


def test_a_session_that_was_deleted_in_its_place_is_deleted_in_the_other(labs, bucket):
    one, two = labs
    one.share(bucket), two.share(bucket)
    shutil.rmtree(one.study / f"p01/{day(2)}_0")
    one.update()
    assert len(one.share(bucket).pushed) == 1
    assert len(two.share(bucket).removed) == 1
    assert two.days() == [day(0), day(4)]
    same(one, two)


def test_a_bucket_that_lost_an_object_deletes_nothing(labs, bucket):
    one, two = labs
    one.share(bucket), two.share(bucket)
    bucket._client.delete_object(Bucket=bucket._bucket, Key=KEY)
    assert len(two.share(bucket).pushed) == 3
    assert not one.share(bucket).removed and len(one.days()) == 3


def test_what_changed_in_both_places_is_a_conflict_with_both_versions(labs, bucket):
    _, two = disagreeing(labs, bucket)
    before, there = two.store.sessions("p01"), bucket.get("p01")
    (conflict,) = two.share(bucket).conflicts
    assert conflict.differences["n_trials"] == (9, 7)
    assert "n_trials: 9 here, 7 there" in str(conflict)
    pd.testing.assert_frame_equal(two.store.sessions("p01"), before)
    assert bucket.get("p01") == there


@pytest.mark.parametrize(("keep", "n_trials"), [(MINE, 9), (THEIRS, 7)])
def test_a_conflict_is_decided_by_a_person(labs, bucket, keep, n_trials):
    one, two = disagreeing(labs, bucket)
    assert not two.share(bucket, keep=keep).conflicts
    assert not one.share(bucket).conflicts
    assert list(two.store.sessions("p01")["n_trials"]) == [4, n_trials, 4]
    same(one, two)


def test_a_deletion_elsewhere_of_a_session_that_lies_here_is_a_conflict(labs, bucket):
    one, two = labs
    one.share(bucket)
    shutil.copytree(one.study / "p01", two.study / "p01")
    two.update(), two.share(bucket)
    shutil.rmtree(two.study / f"p01/{day(4)}_0")
    two.update(), two.share(bucket)
    (conflict,) = one.share(bucket).conflicts
    assert conflict.theirs is None and "deleted" in str(conflict)
    assert len(one.share(bucket, keep=MINE).pushed) == 1
    assert len(two.share(bucket).pulled) == 1


def test_an_old_object_that_was_put_back_overwrites_nothing(labs, bucket):
    one, _ = labs
    one.share(bucket)
    old, _ = bucket.get("p01")
    add_trials(one.study / f"p01/{day(2)}_0", 3, seed=7)
    one.update(), one.share(bucket)
    assert bucket.put("p01", old, bucket.get("p01")[1])
    before = one.store.sessions("p01")
    assert len(one.share(bucket).conflicts) == 1
    pd.testing.assert_frame_equal(one.store.sessions("p01"), before)


def test_one_direction_leaves_the_other_place_alone(labs, bucket):
    one, two = labs
    one.share(bucket)
    add_session(two.study, "p01", 9)
    two.update()
    assert two.share(bucket, direction="push").pulled == () and len(two.days()) == 1
    add_session(one.study, "p01", 8)
    one.update()
    assert len(one.share(bucket, direction="pull").pulled) == 1
    assert len(bucket.get("p01")[0]) == 4


def test_an_object_is_not_replaced_by_whoever_read_an_older_one(labs, bucket):
    one, _ = labs
    one.share(bucket)
    entries, etag = bucket.get("p01")
    assert bucket.put("p01", dict(list(entries.items())[:1]), etag)
    assert not bucket.put("p01", entries, etag)
    assert not bucket.put("p01", entries, "")
    assert len(bucket.get("p01")[0]) == 1


def test_places_that_share_at_once_lose_nothing(tmp_path, bucket):
    labs = [Lab(tmp_path / name) for name in "abcd"]
    for number, lab in enumerate(labs):
        for seed in range(2):
            add_session(lab.study, "p01", number, seed=seed)
        lab.update()
    threads = [threading.Thread(target=lab.share, args=(bucket,)) for lab in labs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(bucket.get("p01")[0]) == 8
    for lab in labs:
        lab.share(bucket)
        same(lab, labs[0])


def test_without_credentials_nothing_is_done(no_credentials, server):
    with pytest.raises(NoCredentials, match="no AWS credentials, nothing was shared"):
        Bucket("s3://some-bucket", server)


def test_a_bucket_that_is_not_there_is_told(labs, bucket, server):
    with pytest.raises(UserError, match=r"s3://no-such-bucket/p01\.json\.gz.*NoSuchBucket"):
        labs[0].share(Bucket("s3://no-such-bucket", server))
    with pytest.raises(UserError, match="use s3://BUCKET"):
        Bucket("http://x")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{", "", "is damaged"),
        ('"version": 1', '"version": 2', "another version"),
        ('"subject": "p01"', '"subject": "p02"', "not the table of"),
        ('"n_trials": 4', '"n_trials": 40', "not the hash that it states"),
        ('"n_trials": 4', '"n_trials": "4"', "expected int"),
        ('"n_trials": 4', '"n_trials": 1e400', "expected int"),
        ('"faults": 0', '"falts": 0', "other columns"),
        ('"revision": 1', '"revision": -1', "states no revision"),
        ('"trials": [', '"trials": [7, ', "other columns"),
    ],
)
def test_an_object_that_makes_no_sense_is_refused(old, new, said, document):
    text = json.dumps(document)
    assert old in text
    with pytest.raises(UserError, match=said):
        share_document.from_bytes("p01", gzip.compress(text.replace(old, new).encode()), "here")


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """What an object holds."""
    study = tmp_path_factory.mktemp("document")
    path = add_session(study, "p01", 0)
    record = records.normal(Reader()(path, study=study, force=False, unreadable="raise"))
    entry = share_document.Entry(1, record)
    content = share_document.to_bytes("p01", {record.row.session_id: entry})
    assert share_document.from_bytes("p01", content, "here") == {record.row.session_id: entry}
    return json.loads(gzip.decompress(content))


def test_an_object_that_was_cut_or_unpacks_without_end_is_refused(document, monkeypatch):
    content = gzip.compress(json.dumps(document).encode())
    with pytest.raises(UserError, match="is damaged"):
        share_document.from_bytes("p01", content[:-30], "here")
    monkeypatch.setattr(share_document, "_UNPACKED", 1000)
    with pytest.raises(UserError, match="is damaged"):
        share_document.from_bytes("p01", content, "here")


def test_a_damaged_object_changes_nothing(labs, bucket):
    one, two = labs
    one.share(bucket)
    bucket._client.put_object(Bucket=bucket._bucket, Key=KEY, Body=b"nothing")
    with pytest.raises(UserError, match=r"study/p01\.json\.gz: is damaged"):
        two.share(bucket)
    assert two.store.sessions().empty


VERSIONS = st.dictionaries(
    st.sampled_from("abcd"), st.builds(Version, st.integers(1, 4), st.sampled_from("xyz"))
)


@given(mine=VERSIONS, base=VERSIONS, theirs=VERSIONS, keep=st.sampled_from(["", MINE, THEIRS]))
def test_every_session_has_one_fate_and_newer_rows_survive(mine, base, theirs, keep):
    plan = merge(mine, base, theirs, keep=keep)
    fates = [*plan.push, *plan.pull, *plan.remove, *plan.same, *plan.conflicts]
    assert sorted(fates) == sorted(mine.keys() | theirs.keys())
    for session, version in plan.push.items():
        if session in theirs:
            assert version.revision > theirs[session].revision
            unchanged = session in base and base[session].row_hash == theirs[session].row_hash
            assert unchanged or keep == MINE
    for session in (*plan.pull, *plan.remove):
        before = base.get(session, Version(0, ""))
        own = mine.get(session, Version(0, "")).row_hash
        assert keep == THEIRS or own == before.row_hash
    if keep:
        assert not plan.conflicts


def test_reading_is_not_part_of_sharing(labs, bucket):
    read = Reader()
    synchronise(labs[0].store, bucket, methods=methods(read=read))
    assert read.paths == []


def test_an_unknown_subject_is_told_and_touches_no_file(labs, bucket):
    one, _ = labs
    other = one.study / "mine.parquet"
    other.write_bytes(b"of somebody else")
    with pytest.raises(UserError, match=r"\.\./mine: is neither here nor in .*known here: p01"):
        synchronise(one.store, bucket, "../mine", methods=methods())
    assert other.exists()


def test_objects_that_nobody_wrote_so_are_refused(labs):
    one, _ = labs
    with one.store.reading() as rows:
        record = next(iter(rows.records("p01").values()))
    for change in ({"state": "odd"}, {"pauses": "x"}, {"rest_offset": "[1]"}, {"place": "moon"}):
        row = dataclasses.replace(record.row, **change)
        entry = share_document.Entry(1, dataclasses.replace(record, row=row))
        content = share_document.to_bytes("p01", {row.session_id: entry})
        with pytest.raises(UserError, match=f"is damaged: {next(iter(change))}"):
            share_document.from_bytes("p01", content, "s3://b/p01")
    content = share_document.to_bytes("p01", {"\0": share_document.Entry(1, None)})
    with pytest.raises(UserError, match="is no id"):
        share_document.from_bytes("p01", content, "s3://b/p01")
