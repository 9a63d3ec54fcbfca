"""Degrees of freedom of the hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emghand.errors import UserError


@dataclass(frozen=True)
class Dof:
    """One controlled degree of freedom, normalised: 0 rest, + flexion, - extension.

    Parameters
    ----------
    name : str
        For example ``thumb_flex``.
    low, high : float
        Range: [-1, 1], or [0, 1] for a one-sided DOF.
    """

    name: str
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.name or not self.name.replace("_", "").isalnum():
            raise UserError(f"DOF name {self.name!r}: use letters, digits and underscores")
        if not -1.0 <= self.low <= 0.0 <= self.high <= 1.0 or self.low == self.high:
            raise UserError(
                f"DOF {self.name}: range [{self.low}, {self.high}] must lie in [-1, 1] and hold 0"
            )


DEFAULT_DOFS = tuple(
    Dof(name)
    for name in (
        "thumb_flex",
        "index_flex",
        "middle_flex",
        "ring_flex",
        "little_flex",
        "wrist_flex",
    )
)


def parse_dofs(texts: Sequence[str]) -> tuple[Dof, ...]:
    """DOFs from texts such as ``index_flex`` or, with a range, ``index_flex:0:1``.

    Raises
    ------
    UserError
        For a malformed text or a name given twice.
    """
    dofs = []
    for text in texts:
        name, *bounds = text.split(":")
        try:
            low, high = (float(b) for b in bounds) if bounds else (-1.0, 1.0)
        except ValueError:
            raise UserError(f"DOF {text!r}: write NAME or NAME:LOW:HIGH") from None
        dofs.append(Dof(name, low, high))
    names = [d.name for d in dofs]
    if not names or len(set(names)) != len(names):
        raise UserError(f"DOFs must be named once each, got: {', '.join(names) or 'none'}")
    return tuple(dofs)


def dof_names(dofs: Sequence[Dof]) -> tuple[str, ...]:
    """Names of the DOFs, in order."""
    return tuple(d.name for d in dofs)
