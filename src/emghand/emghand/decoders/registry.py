"""Decoders by kind.

A decoder is added by adding its module to this package, or, without touching it, by an entry point
of the group ``emghand.decoders`` in any installed package: its name is the kind, and it points to
the class.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points

import emghand.decoders as package
from emghand.decoders.base import Decoder
from emghand.errors import UserError

GROUP = "emghand.decoders"

# Parts that decoders share lie here or, more of them, in sub-packages.
_HELPERS = {"base", "delays", "normaliser", "registry"}


def decoder_kinds() -> tuple[str, ...]:
    """Kinds of decoder there are, sorted."""
    return tuple(sorted(_modules() | set(_plug_ins())))


def decoder_class(kind: str) -> type[Decoder]:
    """Class of a kind of decoder.

    Raises
    ------
    UserError
        When there is no such kind, or its plug-in does not work.
    """
    if kind in _modules():
        return importlib.import_module(f"{package.__name__}.{kind}").DECODER
    found = _plug_ins().get(kind)
    if found is None:
        raise UserError(f"decoder {kind!r}: unknown, choose from: {', '.join(decoder_kinds())}")
    try:
        cls = found.load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"decoder {kind}: {found.value} cannot be loaded: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Decoder) and cls.kind == kind):
        raise UserError(
            f"decoder {kind}: {found.value} must be a class made from emghand's Decoder, with kind "
            f"{kind!r}"
        )
    return cls


def _modules() -> set[str]:
    found = {m.name for m in pkgutil.iter_modules(package.__path__) if not m.ispkg}
    return found - _HELPERS


def _plug_ins() -> dict[str, EntryPoint]:
    """Those of this package cannot be replaced."""
    return {p.name: p for p in entry_points(group=GROUP)}
