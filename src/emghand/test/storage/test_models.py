"""Model files: what is written comes back, and nothing hostile or broken gets in."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emghand.control.settings import OutputSettings
from emghand.decoders import KalmanDecoder, RidgeDecoder
from emghand.decoders.normaliser import Normaliser
from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import Model, load_model, save_model

DOFS = (Dof("index_flex"), Dof("grip", 0.0, 1.0))


def make_model(decoder=None):
    rng = np.random.default_rng(0)
    Z, X = rng.normal(size=(200, 4)), rng.uniform(0.0, 1.0, size=(200, 2))
    decoder = RidgeDecoder(delays=(2,)) if decoder is None else decoder
    return Model(
        decoder=decoder.fit(Z, X),
        normaliser=Normaliser.fit(Z),
        dofs=DOFS,
        features=FeatureSettings(bad_channels=("ch9",)),
        n_channels=4,
        rate=1000.0,
        channel_names=("a", "b", "c", "d"),
        output=OutputSettings(gain_positive=(1.5, 1.0)),
        lag_s=0.12,
        training_hash="ab" * 32,
        scores={"r2": {"index_flex": 0.5}},
        created="2026-01-01T00:00:00+00:00",
        code_version="0.1.0",
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m.emgmodel"
    save_model(make_model(), path)
    return path


def rewritten(saved, path, change=None, members=None, drop=()):
    """A copy of a model file with its document or members changed."""
    with zipfile.ZipFile(saved) as archive:
        contents = {n: archive.read(n) for n in archive.namelist() if n not in drop}
    if change is not None:
        document = json.loads(contents["model.json"])
        change(document)
        contents["model.json"] = json.dumps(document).encode()
    contents |= members or {}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def npy(value, **options):
    file = io.BytesIO()
    np.save(file, value, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "decoder", [RidgeDecoder(), KalmanDecoder(delays=(1, 3), low=(-1.0, 0.0))], ids=lambda d: d.kind
)
def test_a_model_comes_back_as_it_was(tmp_path, decoder):
    model = make_model(decoder)
    save_model(model, tmp_path / "m.emgmodel")
    loaded = load_model(tmp_path / "m.emgmodel")
    assert loaded.model_id == model.model_id
    for item in dataclasses.fields(Model):
        if item.compare and item.name not in ("decoder", "normaliser"):
            assert getattr(loaded, item.name) == getattr(model, item.name)
    assert loaded.decoder.get_params() == model.decoder.get_params()
    Z = np.random.default_rng(1).normal(size=(50, 4))
    np.testing.assert_array_equal(loaded.decoder.predict(Z), model.decoder.predict(Z))
    np.testing.assert_array_equal(loaded.normaliser.apply(Z), model.normaliser.apply(Z))


def test_the_same_model_gives_the_same_bytes(tmp_path, saved):
    save_model(make_model(), tmp_path / "again.emgmodel")
    assert (tmp_path / "again.emgmodel").read_bytes() == saved.read_bytes()


def test_the_id_depends_on_arrays_and_settings_but_not_on_the_date():
    model = make_model()
    assert dataclasses.replace(model, created="later", scores={}).model_id == model.model_id
    assert dataclasses.replace(model, output=OutputSettings()).model_id != model.model_id
    assert make_model(RidgeDecoder(delays=(2,), lambdas=(1.0,))).model_id != model.model_id


def test_a_model_is_never_replaced_silently_and_leaves_nothing_unfinished(tmp_path):
    path = tmp_path / "m.emgmodel"
    save_model(make_model(), path)
    before = path.read_bytes()
    with pytest.raises(UserError, match="exists already"):
        save_model(make_model(KalmanDecoder()), path)
    assert path.read_bytes() == before
    save_model(make_model(KalmanDecoder()), path, replace=True)
    assert load_model(path).decoder.kind == "kalman"
    assert [p.name for p in tmp_path.iterdir()] == ["m.emgmodel"]
    with pytest.raises(UserError, match="cannot be written"):
        save_model(make_model(), tmp_path / "nowhere" / "m.emgmodel")


def test_scores_that_are_not_plain_are_refused(tmp_path):
    for scores in ({"r2": float("nan")}, {"r2": np.zeros(2)}):
        with pytest.raises(UserError, match="scores"):
            save_model(dataclasses.replace(make_model(), scores=scores), tmp_path / "m.emgmodel")
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match=r"x\.emgmodel: cannot be read"):
        load_model(tmp_path / "x.emgmodel")


@given(st.data())
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cut_or_flipped_byte_is_noticed_or_harmless(saved, tmp_path, data):
    content = bytearray(saved.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.emgmodel"
    path.write_bytes(content)
    try:
        loaded = load_model(path)
    except UserError:
        return
    assert loaded.model_id == load_model(saved).model_id


@given(st.binary(max_size=300))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_is_refused(tmp_path, junk):
    path = tmp_path / "junk.emgmodel"
    path.write_bytes(junk)
    with pytest.raises(UserError, match="not a model file"):
        load_model(path)


def set_key(*path, value):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (set_key("version", value=3), "newer emghand"),
        (set_key("version", value="1"), "states no version"),
        (set_key("format", value="other"), "not a model file"),
        (set_key("settings", "kind", value="os"), "unknown"),
        (set_key("settings", "kind", value="../ridge"), "unknown"),
        (set_key("settings", "params", value={"lambdas": [1.0], "evil": 1}), "unknown parameter"),
        (set_key("settings", "params", value=[1]), "damaged"),
        (set_key("settings", "params", "delays", value=[10**9]), "delays"),
        (set_key("settings", "params", "delays", value=["x"]), "delays"),
        (set_key("settings", "params", "delays", value=2), "delays"),
        (set_key("settings", "features", "hop", value=-3), "hop"),
        (set_key("settings", "features", "shape", value=1), "unknown setting"),
        (set_key("settings", "features", value=3), "damaged"),
        (set_key("settings", "output", "mode", value=["fly"]), "mode"),
        (set_key("settings", "dofs", value=[]), "DOFs"),
        (set_key("settings", "dofs", 0, "high", value=7.0), "range"),
        (set_key("settings", "n_channels", value=10**30), "channels"),
        (set_key("settings", "rate", value=0), "rate"),
        (set_key("settings", "rate", value=1e999), "not valid JSON"),
        (set_key("settings", "lag_s", value=None), "damaged"),
        (set_key("settings", "unit", value="count"), "does not match its model_id"),
        (set_key("model_id", value="0" * 64), "does not match its model_id"),
        (lambda d: d.pop("settings"), "damaged"),
        (lambda d: d["settings"].pop("output"), "damaged"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(saved, tmp_path, change, match):
    with pytest.raises(UserError, match=match):
        load_model(rewritten(saved, tmp_path / "x.emgmodel", change))


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({"arrays/../../x.npy": npy(np.zeros(2))}, "unexpected member"),
        ({"/etc/x": b""}, "unexpected member"),
        ({"arrays/decoder.coef_.npy": npy(np.zeros((2, 8)))}, "does not match its model_id"),
        ({"arrays/decoder.coef_.npy": npy(np.zeros((2, 9)))}, "do not fit 1 delays"),
        ({"arrays/decoder.coef_.npy": npy(np.zeros((3, 8)))}, "shape"),
        ({"arrays/decoder.coef_.npy": npy(np.full((2, 8), np.nan))}, "no use"),
        ({"arrays/decoder.coef_.npy": npy(np.zeros((2, 8), np.float32))}, "float64"),
        ({"arrays/decoder.coef_.npy": npy(np.zeros((2, 8))[:, ::-1].T.copy().T)}, "float64"),
        ({"arrays/decoder.coef_.npy": npy(np.array([{}]), allow_pickle=True)}, "float64"),
        ({"arrays/decoder.coef_.npy": npy(np.zeros((2, 8)))[:-4]}, "length"),
        ({"arrays/decoder.coef_.npy": b"junk"}, "must be a plain"),
        ({"arrays/decoder.other.npy": npy(np.zeros(2))}, "expects the arrays"),
        ({"arrays/other.coef_.npy": npy(np.zeros(2))}, "unexpected array"),
        ({"model.json": b"[" * 100000}, "not valid JSON"),
        ({"model.json": b"{}"}, "not a model file"),
        ({f"arrays/a{i}.npy": b"" for i in range(100)}, "too many members"),
    ],
)
def test_members_that_do_not_fit_are_refused(saved, tmp_path, members, match):
    with pytest.raises(UserError, match=match):
        load_model(rewritten(saved, tmp_path / "x.emgmodel", members=members))


def header(shape, dtype="<f8"):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "content",
    [
        header("(1000000000000, 8)"),
        header("(-1, 8)"),
        header("(" * 90 + ")" * 20),
        header("(2, 8)", dtype="|O"),
        b"\x93NUMPY\x01\x00\xff\xff" + b"[" * 65535,
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    ],
)
def test_headers_that_promise_too_much_take_no_memory(saved, tmp_path, content):
    members = {"arrays/decoder.coef_.npy": content}
    with pytest.raises(UserError, match="coef_"):
        load_model(rewritten(saved, tmp_path / "x.emgmodel", members=members))


def test_packed_members_are_refused_before_they_are_unpacked(tmp_path):
    path = tmp_path / "bomb.emgmodel"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", b" " * 50_000_000)
    with pytest.raises(UserError, match="neither packed"):
        load_model(path)


def test_a_member_given_twice_is_refused(tmp_path, saved):
    path = rewritten(saved, tmp_path / "x.emgmodel")
    with (
        zipfile.ZipFile(path, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        archive.writestr("model.json", b"{}")
    with pytest.raises(UserError, match="same name"):
        load_model(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_channels": 5},
        {"dofs": (Dof("a"), Dof("a"))},
        {"dofs": (Dof("a"),)},
        {"rate": float("nan")},
        {"output": OutputSettings(gain_positive=(1.0, 1.0, 1.0))},
        {"normaliser": Normaliser(np.zeros(3), np.ones(3))},
    ],
)
def test_parts_that_do_not_fit_make_no_model(changes):
    with pytest.raises(UserError):
        dataclasses.replace(make_model(), **changes)
