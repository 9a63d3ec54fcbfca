"""Decoders of other packages."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from emghand.decoders import RidgeDecoder, decoder_class, decoder_kinds
from emghand.errors import UserError

DOCS = Path(__file__).resolve().parents[4] / "docs" / "decoders.md"


@pytest.fixture
def install(tmp_path, monkeypatch):
    def make(entries, module=""):
        info = tmp_path / "some_decoders-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-decoders\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[emghand.decoders]\n{entries}\n")
        (tmp_path / "some_decoders.py").write_text(module)
        monkeypatch.syspath_prepend(tmp_path)

    yield make
    sys.modules.pop("some_decoders", None)


def test_the_decoder_of_the_docs_is_found_once_it_is_installed(install):
    with pytest.raises(UserError, match="unknown"):
        decoder_class("pls")
    blocks = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    text = next(b for b in blocks if "class PlsDecoder" in b)
    install("pls = some_decoders:PlsDecoder", text)
    assert "pls" in decoder_kinds()
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(200, 6))
    decoder = decoder_class("pls")(n_components=4).fit(Z, Z[:, :2])
    assert np.abs(decoder.predict(Z) - Z[:, :2]).mean() < 0.2


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("other = not_there:Decoder", "cannot be loaded"),
        ("other = some_decoders:Missing", "cannot be loaded"),
        ("other = some_decoders:VALUE", "must be a class"),
        ("other = emghand.decoders.ridge:RidgeDecoder", "with kind 'other'"),
    ],
)
def test_a_plug_in_that_does_not_work_is_a_clear_error(install, entry, match):
    install(entry, "VALUE = 1")
    with pytest.raises(UserError, match=match):
        decoder_class("other")


def test_a_plug_in_does_not_replace_a_decoder_of_the_package(install):
    install("ridge = some_decoders:Ridge", "Ridge = None")
    assert decoder_class("ridge") is RidgeDecoder
