"""Model files with encoders and networks: old, newer, damaged and hostile ones.

The networks are not trained but random: none of this needs PyTorch.
"""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_plans import random_decoder, random_encoder

from emghand.control.decoder_pipeline import DecoderPipeline
from emghand.decoders import RidgeDecoder
from emghand.decoders.normaliser import Normaliser
from emghand.dofs import Dof
from emghand.encoders import fit_encoder
from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import Model, load_model, save_model

GOLDEN = Path(__file__).parent / "golden"
N, SIZE, DOFS = 4, 3, (Dof("index_flex"), Dof("grip", 0.0, 1.0))
HOSTILE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def make_model(decoder, encoder=None):
    Z = np.random.default_rng(2).normal(size=(100, N))
    return Model(
        decoder=decoder,
        normaliser=Normaliser.fit(Z),
        dofs=DOFS,
        features=FeatureSettings(),
        n_channels=N,
        rate=1000.0,
        channel_names=("a", "b", "c", "d"),
        encoder=encoder,
        created="2026-01-01T00:00:00+00:00",
    )


def ridge(n):
    rng = np.random.default_rng(3)
    return RidgeDecoder().fit(rng.normal(size=(200, n)), rng.uniform(0.0, 1.0, size=(200, 2)))


def linear_encoder():
    return fit_encoder(np.random.default_rng(4).normal(size=(50, N)), "linear", SIZE)


MODELS = {
    "ridge, linear": lambda: make_model(ridge(SIZE), linear_encoder()),
    "ridge, nonlinear": lambda: make_model(ridge(SIZE), random_encoder(N, SIZE)),
    "mlp": lambda: make_model(random_decoder("mlp", N, feedback=True)),
    "tcn": lambda: make_model(random_decoder("tcn", N, feedback=True)),
    "lstm, linear": lambda: make_model(
        random_decoder("lstm", SIZE, feedback=True), linear_encoder()
    ),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, make in MODELS.items():
        save_model(make(), folder / f"{name}.emgmodel")
    return {name: folder / f"{name}.emgmodel" for name in MODELS}


def rewritten(source, path, change=None, members=None):
    with zipfile.ZipFile(source) as archive:
        contents = {n: archive.read(n) for n in archive.namelist()}
    if change is not None:
        document = json.loads(contents["model.json"])
        change(document)
        contents["model.json"] = json.dumps(document).encode()
    contents |= members or {}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def npy(value, **options):
    file = io.BytesIO()
    np.save(file, value, **options)
    return file.getvalue()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_networks_comes_back_and_runs_the_same(saved, name):
    model, loaded = MODELS[name](), load_model(saved[name])
    assert loaded.model_id == model.model_id
    assert loaded.n_features == N
    Z = np.random.default_rng(5).normal(size=(30, N))
    a, b = (DecoderPipeline(m) for m in (model, loaded))
    for tick, z in enumerate(Z):
        np.testing.assert_array_equal(a.step(z, tick).out_x_hat, b.step(z, tick).out_x_hat)


RUN_WITHOUT_EXTRAS = """
import sys

class NoExtras:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "sklearn"):
            raise ModuleNotFoundError(f"{name} is an extra", name=name)

sys.meta_path.insert(0, NoExtras())
import numpy as np
from emghand.control.decoder_pipeline import DecoderPipeline
from emghand.storage.models import load_model

for path in sys.argv[1:]:
    pipeline = DecoderPipeline(load_model(path))
    Z = np.random.default_rng(5).normal(size=(30, pipeline.model.n_features))
    print(np.array([pipeline.step(z, tick).x_hat for tick, z in enumerate(Z)]).tobytes().hex())
"""


def test_a_process_that_has_no_pytorch_runs_the_same_bits(saved):
    command = [sys.executable, "-c", RUN_WITHOUT_EXTRAS, *map(str, saved.values())]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    Z = np.random.default_rng(5).normal(size=(30, N))
    for name, line in zip(saved, run.stdout.split(), strict=True):
        pipeline = DecoderPipeline(MODELS[name]())
        here = np.array([pipeline.step(z, tick).x_hat for tick, z in enumerate(Z)])
        assert here.std() > 1e-3
        assert line == here.tobytes().hex(), name


def test_a_file_of_version_1_still_loads_with_the_id_that_bags_name(tmp_path):
    """Written by emghand 0.1.0; settings that came later do not change its id, nor its copy's."""
    model = load_model(GOLDEN / "version1.emgmodel")
    assert model.model_id == "c5d741fe4c264225fc75e61437150ac5b80ce08dc45b416138ae49b0d6f2ebce"
    assert model.encoder is None
    save_model(model, tmp_path / "again.emgmodel")
    assert load_model(tmp_path / "again.emgmodel").model_id == model.model_id


def test_settings_that_a_file_does_not_name_yet_have_their_defaults_and_keep_its_id(
    saved, tmp_path
):
    """As if `dropout` and `transform` had been added after the file was written."""
    import hashlib

    from emghand.settings import to_json
    from emghand.storage.models import _arrays

    def older(document):
        del document["settings"]["params"]["dropout"]
        del document["settings"]["features"]["transform"]
        digest = hashlib.sha256(to_json(document["settings"]).encode())
        for name, value in sorted(_arrays(MODELS["mlp"]()).items()):
            digest.update(f"{name}{value.shape}".encode() + value.astype("<f8").tobytes())
        document["model_id"] = digest.hexdigest()
        ids.append(document["model_id"])

    ids = []
    model = load_model(rewritten(saved["mlp"], tmp_path / "old.emgmodel", older))
    assert [model.model_id] == ids
    assert model.features.transform == "none"
    assert model.model_id != load_model(saved["mlp"]).model_id
    save_model(model, tmp_path / "copy.emgmodel")
    assert load_model(tmp_path / "copy.emgmodel").model_id == model.model_id


def test_a_file_cut_at_any_byte_is_refused(tmp_path):
    content = (GOLDEN / "version1.emgmodel").read_bytes()
    path = tmp_path / "cut.emgmodel"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=r"cut\.emgmodel: (damaged|not a model)"):
            load_model(path)


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
@HOSTILE
def test_any_wrong_byte_loads_the_same_model_or_is_refused(saved, tmp_path, name, data):
    content = bytearray(saved[name].read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.emgmodel"
    path.write_bytes(content)
    try:
        loaded = load_model(path)
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert loaded.model_id == load_model(saved[name]).model_id


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
@HOSTILE
def test_an_array_of_any_wrong_content_is_refused(saved, tmp_path, name, data):
    """With correct checksums: neither zip nor hash is what finds a wrong shape or a NaN first."""
    with zipfile.ZipFile(saved[name]) as archive:
        members = {n: archive.read(n) for n in archive.namelist() if n.endswith(".npy")}
    victim = data.draw(st.sampled_from(sorted(members)))
    value = np.load(io.BytesIO(members[victim]))
    wrong = data.draw(
        st.sampled_from(
            [
                None,
                npy(value[None]),
                npy(value[:0]),
                npy(value[:-1]),
                npy(np.concatenate([value, value])),
                npy(np.full_like(value, np.nan)),
                npy(np.full_like(value, 1e300)),
                npy(value + 1.0),
                npy(value.astype(np.float32)),
                npy(np.array([{"a": 1}]), allow_pickle=True),
                members[victim][:-3],
                b"",
            ]
        )
    )
    with pytest.raises(UserError):
        load_model(rewritten(saved[name], tmp_path / "x.emgmodel", members={victim: wrong}))


def set_key(*path, value):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


def long_window(document):
    document["settings"]["features"] |= {"hop": 4096, "window_hops": 4096}


def many_pairs(document):
    names = [str(i) for i in range(2000)]
    document["settings"] |= {"n_channels": len(names), "channel_names": names}
    document["settings"]["features"]["montage"] = "both"


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("ridge, linear", long_window, "than can be held"),
        ("ridge, linear", many_pairs, "than can be held"),
        ("ridge, linear", set_key("version", value=3), "newer emghand"),
        ("ridge, linear", set_key("version", value=10**30), "newer emghand"),
        ("ridge, linear", set_key("version", value=1), "version 1 has no encoder"),
        ("ridge, linear", set_key("settings", "encoder", value=None), "names none"),
        ("ridge, linear", set_key("settings", "encoder", value=[]), "damaged"),
        ("ridge, linear", set_key("settings", "encoder", "kind", value="os"), "unknown"),
        ("ridge, linear", set_key("settings", "encoder", "kind", value="../base"), "unknown"),
        ("ridge, linear", set_key("settings", "encoder", "kind", value="nonlinear"), "encoder"),
        ("ridge, linear", set_key("settings", "encoder", "params", "size", value=2), "shape"),
        ("ridge, linear", set_key("settings", "encoder", "params", "size", value=1e9), "size"),
        ("ridge, linear", set_key("settings", "encoder", "params", "x", value=1), "unknown param"),
        ("ridge, linear", set_key("settings", "evil", value=1), "unknown setting 'evil'"),
        ("ridge, nonlinear", set_key("settings", "encoder", "params", "hidden", value=6), "shape"),
        ("mlp", set_key("settings", "encoder", value={"kind": "linear", "params": {}}), "expects"),
        ("mlp", set_key("settings", "kind", value="tcn"), "shape"),
        ("mlp", set_key("settings", "params", "hidden", value=[10**9]), "sizes of layers"),
        ("mlp", set_key("settings", "params", "hidden", value=[3] * 10**5), "sizes of layers"),
        ("mlp", set_key("settings", "params", "members", value=1), "shape"),
        ("mlp", set_key("settings", "params", "members", value=10**12), "members"),
        ("mlp", set_key("settings", "params", "feedback", value=False), "shape"),
        ("mlp", set_key("settings", "params", "low", value=["a"]), "numbers"),
        ("mlp", set_key("settings", "params", "seed", value=5), "does not match its model_id"),
        ("tcn", set_key("settings", "params", "kernel", value=4), "shape"),
        ("tcn", set_key("settings", "params", "kernel", value=10**9), "kernel"),
        ("lstm, linear", set_key("settings", "kind", value="mlp"), "shape"),
    ],
)
def test_documents_that_do_not_fit_are_refused(saved, tmp_path, name, change, match):
    with pytest.raises(UserError, match=match):
        load_model(rewritten(saved[name], tmp_path / "x.emgmodel", change))


def hostile_files(source, folder):
    """One file of each kind of attack that the format could invite."""
    first = "arrays/encoder.components_.npy"
    with zipfile.ZipFile(source) as archive:
        good = archive.read(first)
    pickled = npy(np.array([print], dtype=object), allow_pickle=True)
    huge = good[:10] + good[10:128].replace(b"(3, 4)", b"(999999999, 999999999)")[:118]
    yield "pickle", rewritten(source, folder / "pickle", members={first: pickled})
    yield "huge header", rewritten(source, folder / "huge", members={first: huge})
    for bad in ("arrays/../../../etc/x.npy", "/etc/passwd", "arrays/..\\x.npy", "arrays/a/b.npy"):
        yield bad, rewritten(source, folder / "path", members={bad: good})
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(folder / "bomb", "w", method) as archive:
            archive.writestr("model.json", b" " * 20_000_000)
        yield f"bomb {method}", folder / "bomb"
    for member in ("model.json", first):
        path = rewritten(source, folder / "twice")
        with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
            warnings.simplefilter("ignore")
            archive.writestr(member, good)
        yield f"{member} twice", path
    content = bytearray(source.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    for at, text in ((24, "stored size"), (20, "packed size"), (42, "offset")):
        lying = content.copy()
        lying[directory + at : directory + at + 4] = struct.pack("<I", 0x7FFFFFFF)
        (folder / "lying").write_bytes(lying)
        yield f"wrong {text}", folder / "lying"
    # Two entries of the directory that share one stored member.
    size = len(content)
    entry = bytes(content[directory : content.rindex(b"PK\x05\x06")])
    end = bytearray(content[content.rindex(b"PK\x05\x06") :])
    counts = struct.unpack("<HHII", end[8:20])
    end[8:20] = struct.pack(
        "<HHII", counts[0] + 1, counts[1] + 1, counts[2] + len(entry), counts[3]
    )
    (folder / "overlap").write_bytes(bytes(content[: size - len(end)]) + entry + bytes(end))
    yield "overlap", folder / "overlap"
    (folder / "zlib").write_bytes(zlib.compress(bytes(content)))
    yield "not a zip", folder / "zlib"


def test_hostile_files_are_refused_and_the_running_model_is_untouched(saved, tmp_path):
    """What a node does on request: load, then exchange. The exchange is never reached."""
    exchanged = []

    class Watched(DecoderPipeline):
        def set_model(self, model):
            exchanged.append(model)
            super().set_model(model)

    model = load_model(saved["lstm, linear"])
    running, alone = Watched(model), DecoderPipeline(model)
    Z = np.random.default_rng(6).normal(size=(40, N))
    tried = 0
    for tick, (what, path) in enumerate(hostile_files(saved["ridge, linear"], tmp_path)):
        with pytest.raises(UserError) as refused:
            running.set_model(load_model(path))
        assert "\n" not in str(refused.value), what
        a, b = running.step(Z[tick], tick), alone.step(Z[tick], tick)
        np.testing.assert_array_equal(a.out_x_hat, b.out_x_hat)
        tried += 1
    assert tried == 16
    assert not exchanged
    assert running.model is model
    running.set_model(load_model(saved["ridge, linear"]))
    assert len(exchanged) == 1
