"""Settings of the two nodes themselves; those of the pipelines live in `emghand`."""

from __future__ import annotations

from dataclasses import dataclass

from emghand.settings import check, setting

SNAPSHOT_TEXT = "Time between two snapshots of the state, where a replay can start."


@dataclass(frozen=True)
class FeatureNodeSettings:
    """Settings of feature_node beside `FeatureSettings`."""

    snapshot_period: float = setting(5.0, SNAPSHOT_TEXT, unit="s", low=0.1, high=3600.0, live=False)
    envelope_rate: float = setting(
        30.0, "Messages per second on /emg/envelope.", unit="Hz", low=1.0, high=60.0, live=False
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class DecoderNodeSettings:
    """Settings of decoder_node beside `OutputSettings`."""

    model: str = setting(
        "", "Model file to start with; empty: wait for the service load_model.", live=False
    )
    output_source: str = setting(
        "model",
        "Output filters to start with: those the model was tuned with, or the parameters output.*. "
        "Later changes of output.* count in both cases.",
        choices=("model", "parameters"),
        live=False,
    )
    snapshot_period: float = setting(5.0, SNAPSHOT_TEXT, unit="s", low=0.1, high=3600.0, live=False)

    def __post_init__(self) -> None:
        check(self)
