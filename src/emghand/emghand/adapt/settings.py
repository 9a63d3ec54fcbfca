"""Settings of adaptation while the hand is used."""

from __future__ import annotations

from dataclasses import dataclass

from emghand.adapt.registry import MODES
from emghand.settings import check, setting


@dataclass(frozen=True)
class AdaptationSettings:
    """When and how the decoder follows its user."""

    enabled: bool = setting(
        False,
        "Adapt while the hand is used. Needs the companion file of the model, with the reference "
        "of the user's own use.",
    )
    mode: str = setting("template", "Rule that proposes new decoders.", choices=tuple(MODES))
    update_s: float = setting(
        120.0, "Use between two proposals; pauses do not count.", unit="s", low=1.0, high=3600.0
    )
    window_s: float = setting(
        540.0,
        "Latest use that a proposal is made from; the rule template needs 240 s.",
        unit="s",
        low=1.0,
        high=900.0,
    )
    labels: str = setting(
        "movements",
        "What the simpler rules learn from: detected movements, or the decoder's own output "
        "during them. The rule supervised learns from /task/x_d.",
        choices=("movements", "output"),
    )
    moving_dofs_only: bool = setting(
        False, "Of the simpler rules: only DOFs that moved change; the others stay to the bit."
    )
    memory: bool = setting(
        False,
        "Of the rule relabel: keep labelled use in a replay memory, a file in the folder of "
        "adapted models, and learn from it too.",
    )
    memory_ticks: int = setting(
        30_000, "Most ticks in the replay memory.", unit="ticks", low=1, high=10_000_000
    )
    margin: float = setting(
        0.05,
        "By how much a candidate must be more plausible than the one before; 0.1 is safer.",
        low=0.0,
        high=10.0,
    )
    blend_s: float = setting(
        0.5,
        "Shortest time in which the estimate goes over to that of a new decoder.",
        unit="s",
        low=0.05,
        high=10.0,
    )
    rest_zone: float = setting(
        0.2,
        "At rest, x_hat and out_x_hat are nearer to the posture of rest than this.",
        low=0.01,
        high=1.0,
    )
    rest_s: float = setting(
        0.5, "For so long the hand is at rest before a swap.", unit="s", low=0.0, high=60.0
    )
    settle_s: float = setting(
        1.0,
        "For so long the signal is good again before adaptation goes on.",
        unit="s",
        low=0.0,
        high=60.0,
    )
    forget_s: float = setting(
        20.0,
        "After a signal that was bad or missing for so long the electrodes may be on anew: use "
        "from before is not learned from, a model that waits does not take over.",
        unit="s",
        low=0.1,
        high=86400.0,
    )
    need_hand: bool = setting(
        True, "Pause while no bridge says that its hand is armed: only who sees it move uses it."
    )
    folder: str = setting(
        "", "Where adapted models are written; empty: the folder adapted beside the model."
    )
    limit_s: float = setting(
        300.0,
        "A worker that takes longer for an answer is ended and started again.",
        unit="s",
        low=1.0,
        high=3600.0,
    )
    memory_mb: float = setting(
        2048.0, "Most memory of the worker.", unit="MB", low=256.0, high=65536.0
    )

    wait: bool = setting(
        False,
        "Ask the rule within the tick instead of in a worker process: for files and tests, where "
        "the same ticks shall give the same bits. Late ticks are the price.",
        live=False,
    )

    def __post_init__(self) -> None:
        check(self)
