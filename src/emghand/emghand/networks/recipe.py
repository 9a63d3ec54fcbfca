"""How a network is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from emghand.errors import UserError
from emghand.settings import check, setting


@dataclass(frozen=True)
class Recipe:
    """Settings of a fit by gradient descent (Adam with decoupled weight decay)."""

    epochs: int = setting(60, "Most passes through the examples.", low=1, high=100_000)
    patience: int = setting(
        10, "Passes without progress on the repetition held out until it stops.", low=1, high=10_000
    )
    batch: int = setting(256, "Examples per step of the descent.", low=1, high=1_000_000)
    learning_rate: float = setting(2e-3, "Length of the first steps.", low=1e-8, high=10.0)
    weight_decay: float = setting(1e-2, "Shrinkage of the weights.", low=0.0, high=100.0)
    dropout: float = setting(0.2, "Share of the units left out at random.", low=0.0, high=0.95)
    noise: float = setting(
        0.0, "Noise on the inputs in the fit, in their standard deviations.", low=0.0, high=10.0
    )
    seed: int = setting(0, "Of everything random.", low=0, high=2**31)

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Recipe:
        """From the parameters of a decoder, which may have others too."""
        return cls(**{f.name: params[f.name] for f in fields(cls)})


def require_torch(what: str) -> None:
    """Make sure that PyTorch is there; only fitting needs it.

    Raises
    ------
    UserError
        When it is not installed.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{what}: fitting it needs PyTorch, install it with: pip install 'emghand[torch]' "
            "(running it does not)"
        ) from error
