"""Companion files: what they keep, what they are bound to, and what is refused."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emghand.adapt import calibration as parts
from emghand.adapt import companion as module
from emghand.adapt.companion import (
    Companion,
    companion_of,
    companion_path,
    load_companion,
    save_companion,
)
from emghand.errors import UserError
from emghand.storage.archive import content_digest
from emghand.training import Dataset, TrainSettings, fit, join, train

HOSTILE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
REFERENCE = {"rest": np.arange(8.0), "patterns": np.zeros((0, 6)), "amplitude": np.array(0.7)}
SMALL = TrainSettings(decoder="ridge", max_lag_s=0.1, params={"lambdas": (0.01, 0.1)})


@pytest.fixture(scope="module")
def small(person):
    """Two recordings of 300 ticks, a day apart: small, so that every byte can be tried."""
    first = person.dataset.rows(np.arange(len(person.dataset)) < 300)
    later = person.dataset.rows((np.arange(len(person.dataset)) - 900) // 300 == 0)
    day = 86_400_000_000_000
    later = dataclasses.replace(later, stamps_ns=later.stamps_ns + day, digests=("b" * 64,))
    return join([first, later])


@pytest.fixture(scope="module")
def model(small):
    return train(small, SMALL)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, model, small):
    path = tmp_path_factory.mktemp("companions") / "m.emgadapt"
    companion = companion_of(model, small, SMALL)
    save_companion(dataclasses.replace(companion, reference=REFERENCE), path)
    return path


def rewritten(source, path, change=None, members=None, honest=True):
    """A copy with changes and, unless it is to be found out by that, with the right digest."""
    with zipfile.ZipFile(source) as archive:
        contents = {n: archive.read(n) for n in archive.namelist()}
    contents = {k: v for k, v in (contents | (members or {})).items() if v is not None}
    document = json.loads(contents["companion.json"])
    if change is not None:
        change(document)
    if honest:
        arrays = {}
        for name, content in contents.items():
            if name.endswith(".npy"):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    arrays[name[7:-4]] = safe_load(content)
        if all(v is not None for v in arrays.values()):
            document["digest"] = content_digest(document, arrays)
    contents["companion.json"] = json.dumps(document).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def safe_load(content):
    try:
        value = np.load(io.BytesIO(content))
    except (ValueError, EOFError, MemoryError):
        return None
    return value if value.dtype == np.float64 else None


def npy(value, **options):
    file = io.BytesIO()
    np.save(file, value, **options)
    return file.getvalue()


def test_a_companion_comes_back_bit_for_bit(saved, model, small):
    loaded = load_companion(saved, model)
    assert loaded.calibration is not None
    assert loaded.calibration.lag_s == model.lag_s
    assert loaded.calibration.settings == SMALL
    found = loaded.calibration.dataset
    for field in dataclasses.fields(Dataset):
        if isinstance(getattr(small, field.name), np.ndarray):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(small, field.name))
        else:
            assert getattr(found, field.name) == getattr(small, field.name)
    assert loaded.reference is not None
    assert {k: v.shape for k, v in loaded.reference.items()} == {
        k: v.shape for k, v in REFERENCE.items()
    }
    np.testing.assert_array_equal(loaded.reference["rest"], REFERENCE["rest"])


def test_what_is_loaded_fits_the_very_same_decoder(saved, model):
    calibration = load_companion(saved).calibration
    again = fit(calibration.dataset, calibration.settings)
    np.testing.assert_array_equal(again.decoder.coef_, model.decoder.coef_)
    assert again.lag_s == model.lag_s


def test_the_same_companion_gives_the_same_bytes_and_is_never_replaced_silently(
    saved, model, tmp_path
):
    path = tmp_path / "again.emgadapt"
    save_companion(load_companion(saved), path)
    assert path.read_bytes() == saved.read_bytes()
    with pytest.raises(UserError, match="exists already"):
        save_companion(Companion(model.model_id), path)
    save_companion(Companion(model.model_id), path, replace=True)
    assert load_companion(path, model).calibration is None
    assert companion_path("a/b.emgmodel").name == "b.emgadapt"


def test_what_is_missing_is_said(model, small):
    assert [text.split(":")[0] for text in Companion(model.model_id).missing] == [
        "no calibration examples",
        "no reference of the user's own use",
    ]
    whole = dataclasses.replace(companion_of(model, small, SMALL), reference=REFERENCE)
    assert whole.missing == ()


@pytest.mark.parametrize("baseline", ["mean", "rest", "none"])
@pytest.mark.parametrize("scale", ["std", "contraction"])
@pytest.mark.parametrize("discard_first", [False, True])
def test_settings_of_the_training_are_found_out_from_the_model(
    person, baseline, scale, discard_first
):
    given = TrainSettings(
        decoder="ridge", baseline=baseline, scale=scale, discard_first=discard_first, max_lag_s=0.0
    )
    model = train(person.dataset, given)
    calibration = companion_of(model, person.dataset).calibration
    assert (calibration.settings.baseline, calibration.settings.scale) == (baseline, scale)
    learned_from = (calibration.dataset.repetition[calibration.dataset.use] != 0).all()
    assert learned_from == discard_first
    again = fit(calibration.dataset, dataclasses.replace(calibration.settings, max_lag_s=0.0))
    np.testing.assert_array_equal(again.decoder.coef_, model.decoder.coef_)


def test_a_search_is_not_repeated_but_its_result_kept(small):
    searching = dataclasses.replace(SMALL, params={}, search={"lambdas": [(0.1,), (10.0,)]})
    model = train(small, searching)
    calibration = companion_of(model, small, searching).calibration
    assert calibration.settings.search == {}
    assert calibration.settings.params["lambdas"] == model.decoder.lambdas


def test_other_examples_than_those_of_the_training_are_refused(model, small):
    with pytest.raises(UserError, match="trained on other recordings"):
        companion_of(model, dataclasses.replace(small, digests=("c" * 64,)), SMALL)
    other = dataclasses.replace(
        small, feature_settings=dataclasses.replace(small.feature_settings, window_hops=5)
    )
    with pytest.raises(UserError, match="feature settings are not those of the model"):
        companion_of(model, other, SMALL)
    moved = dataclasses.replace(small, Z=small.Z + 1.0)
    with pytest.raises(UserError, match="not normalised as the model"):
        companion_of(model, moved)


def test_the_companion_of_another_model_is_refused(saved, small):
    other = train(small, dataclasses.replace(SMALL, params={"lambdas": (1.0,)}))
    with pytest.raises(UserError, match=r"m\.emgadapt: belongs to the model .*, not to") as caught:
        load_companion(saved, other)
    assert "\n" not in str(caught.value)


def test_a_companion_that_claims_a_model_but_holds_another_kind_of_examples_is_refused(
    saved, model, tmp_path
):
    def rename(document):
        document["calibration"]["dataset"]["dofs"][0]["name"] = "toe"

    path = rewritten(saved, tmp_path / "x", rename)
    with pytest.raises(UserError, match="DOFs are not those of the model"):
        load_companion(path, model)


def test_a_companion_that_would_fit_another_kind_of_decoder_is_refused(saved, model, tmp_path):
    other = set_key("calibration", "settings", "decoder", value="kalman")
    path = rewritten(saved, tmp_path / "x", other)
    with pytest.raises(UserError, match="another kind of decoder than the model"):
        load_companion(path, model)


def test_a_file_cut_anywhere_is_refused(saved, tmp_path):
    content = saved.read_bytes()
    path = tmp_path / "cut.emgadapt"
    tail = len(content) - 3000
    for length in [*range(0, tail, 4999), *range(tail, len(content), 13)]:
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=r"cut\.emgadapt: (damaged|not a companion)"):
            load_companion(path)


@given(data=st.data())
@HOSTILE
def test_any_wrong_byte_loads_the_same_companion_or_is_refused(saved, tmp_path, data):
    content = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.emgadapt"
    path.write_bytes(content)
    try:
        loaded = load_companion(path)
    except UserError as error:
        assert "\n" not in str(error)
        return
    save_companion(loaded, tmp_path / "copy", replace=True)
    assert (tmp_path / "copy").read_bytes() == saved.read_bytes()


@given(data=st.data())
@HOSTILE
def test_an_array_of_any_wrong_content_is_refused_though_its_digest_is_right(saved, tmp_path, data):
    name = data.draw(st.sampled_from([*parts.ARRAYS]))
    member = f"arrays/calibration.{name}.npy"
    with zipfile.ZipFile(saved) as archive:
        good = archive.read(member)
    value = np.load(io.BytesIO(good))
    wrong = data.draw(
        st.sampled_from(
            [
                None,
                npy(value[None]),
                npy(value[:0]),
                npy(value[:-1]),
                npy(np.full_like(value, np.nan)),
                npy(np.full_like(value, 1e300)),
                npy(np.full_like(value, -np.inf)),
                npy(value.astype(np.float32)),
                npy(np.array([{"a": 1}]), allow_pickle=True),
                good[:-3],
                b"",
            ]
        )
    )
    with pytest.raises(UserError):
        load_companion(rewritten(saved, tmp_path / "x", members={member: wrong}))


def set_key(*path, value):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


CAL = ("calibration", "dataset")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (set_key("version", value=2), "newer emghand"),
        (set_key("version", value=10**30), "newer emghand"),
        (set_key("version", value=0), "states no version"),
        (set_key("format", value="emghand model"), "not a companion file"),
        (set_key("model_id", value="../../x"), "names no model"),
        (set_key("model_id", value=7), "names no model"),
        (set_key("calibration", value=None), "names none"),
        (set_key("has_reference", value=False), "names none"),
        (set_key("calibration", value=[1]), "damaged"),
        (set_key("calibration", "lag_s", value="x"), "damaged"),
        (set_key("calibration", "settings", value={"evil": 1}), "do not fit this version"),
        (set_key("calibration", "settings", "baseline", value="x"), "do not fit this version"),
        (set_key("calibration", "settings", "max_lag_s", value=1e9), "do not fit this version"),
        (set_key(*CAL, "dofs", value=[]), "do not fit"),
        (set_key(*CAL, "dofs", 0, "high", value=9), "range"),
        (set_key(*CAL, "digests", value=[]), "first stamp"),
        (set_key(*CAL, "digests", value=["a"] * 10**4), "first stamp"),
        (set_key(*CAL, "first_stamps_ns", value=[0, 10**40]), "time in ns"),
        (set_key(*CAL, "first_stamps_ns", value=[0, 0.5]), "time in ns"),
        (set_key(*CAL, "movements", value=[]), "whole numbers"),
        (set_key(*CAL, "feature_settings", "hop", value=-1), "do not fit this version"),
        (set_key(*CAL, "stream", "rate", value=0), "states no rate"),
        (set_key(*CAL, "stream", value={}), "damaged"),
        (set_key(*CAL, "sources", value=[{"evil": 1}]), "damaged"),
        (set_key(*CAL, "sources", value=5), "damaged"),
        (lambda d: d.pop("calibration"), "damaged"),
    ],
)
def test_documents_that_do_not_fit_are_refused_in_one_sentence(saved, tmp_path, change, match):
    with pytest.raises(UserError, match=match) as caught:
        load_companion(rewritten(saved, tmp_path / "x", change))
    assert "\n" not in str(caught.value)


def test_a_change_without_the_digest_is_found(saved, tmp_path):
    change = set_key("calibration", "lag_s", value=0.3)
    with pytest.raises(UserError, match="does not match its digest"):
        load_companion(rewritten(saved, tmp_path / "x", change, honest=False))


def hostile_files(source, folder):
    """One file of each kind of attack that the format could invite."""
    first = "arrays/reference.rest.npy"
    with zipfile.ZipFile(source) as archive:
        good = archive.read(first)
    pickled = npy(np.array([print], dtype=object), allow_pickle=True)
    huge = good[:10] + good[10:128].replace(b"(8,)", b"(999999999, 999999999)")[:118]
    yield "pickle", rewritten(source, folder / "pickle", members={first: pickled})
    yield "huge header", rewritten(source, folder / "huge", members={first: huge})
    for bad in ("arrays/../../../etc/x.npy", "/etc/passwd", "arrays/..\\x.npy", "arrays/a/b.npy"):
        yield bad, rewritten(source, folder / "path", members={bad: good})
    yield "evil array", rewritten(source, folder / "evil", members={"arrays/evil.x.npy": good})
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(folder / "bomb", "w", method) as archive:
            archive.writestr("companion.json", b" " * 20_000_000)
        yield f"bomb {method}", folder / "bomb"
    many = {f"arrays/reference.a{i}.npy": good for i in range(100)}
    yield "many", rewritten(source, folder / "many", members=many)
    path = rewritten(source, folder / "twice")
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(first, good)
    yield "twice", path
    content = bytearray(source.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    for at, text in ((24, "stored size"), (20, "packed size"), (42, "offset")):
        lying = content.copy()
        lying[directory + at : directory + at + 4] = struct.pack("<I", 0x7FFFFFFF)
        (folder / "lying").write_bytes(lying)
        yield f"wrong {text}", folder / "lying"
    (folder / "zlib").write_bytes(zlib.compress(bytes(content)))
    yield "not a zip", folder / "zlib"
    for name, array in (("nan", np.full(8, np.nan)), ("infinite", np.full(8, np.inf))):
        yield name, rewritten(source, folder / name, members={first: npy(array)})


def test_hostile_files_are_refused(saved, tmp_path):
    names = []
    for name, path in hostile_files(saved, tmp_path):
        names.append(name)
        with pytest.raises(UserError) as caught:
            load_companion(path)
        assert str(path) in str(caught.value), name
        assert "\n" not in str(caught.value), name
    assert len(names) > 15


def test_a_file_larger_than_the_limit_is_not_read_and_not_written(saved, tmp_path, monkeypatch):
    small_format = dataclasses.replace(module.FORMAT, max_bytes=2**16)
    whole = load_companion(saved)
    monkeypatch.setattr(module, "FORMAT", small_format)
    with pytest.raises(UserError, match="larger than"):
        load_companion(saved)
    with pytest.raises(UserError, match="too large"):
        save_companion(whole, tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "reference",
    [
        {"x": np.array([np.nan])},
        {"x": np.zeros((2, 2, 2))},
        {"../x": np.zeros(2)},
        {"": np.zeros(2)},
        {"x" * 99: np.zeros(2)},
    ],
)
def test_a_reference_that_no_file_can_hold_is_refused_at_once(model, reference):
    with pytest.raises(UserError, match="no plain, finite array"):
        Companion(model.model_id, reference=reference)


def test_a_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match=r"x\.emgadapt: cannot be read"):
        load_companion(tmp_path / "x.emgadapt")
