"""Decoders by kind. A decoder is added by adding its module to this package."""

from __future__ import annotations

import importlib
import pkgutil

import emghand.decoders as package
from emghand.decoders.base import Decoder
from emghand.errors import UserError

# Parts that decoders share lie here or, more of them, in sub-packages.
_HELPERS = {"base", "delays", "normaliser", "registry"}


def decoder_kinds() -> tuple[str, ...]:
    """Kinds of decoder there are, sorted."""
    found = {m.name for m in pkgutil.iter_modules(package.__path__) if not m.ispkg}
    return tuple(sorted(found - _HELPERS))


def decoder_class(kind: str) -> type[Decoder]:
    """Class of a kind of decoder.

    Raises
    ------
    UserError
        When there is no such kind.
    """
    if kind not in decoder_kinds():
        raise UserError(f"decoder {kind!r}: unknown, choose from: {', '.join(decoder_kinds())}")
    return importlib.import_module(f"{package.__name__}.{kind}").DECODER
