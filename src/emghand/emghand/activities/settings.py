"""Settings of activities."""

from __future__ import annotations

from dataclasses import dataclass

from emghand.settings import check, setting


@dataclass(frozen=True)
class SessionSettings:
    """How prompts are shown and runs recorded."""

    prompt_rate: float = setting(
        60.0, "Messages per second on /task/x_d.", unit="Hz", low=10.0, high=200.0
    )
    lead: float = setting(
        1.0,
        "From the start of the recording to the start of the prompts, so that every topic is "
        "found by then.",
        unit="s",
        low=0.0,
        high=60.0,
    )
    tail: float = setting(
        0.3,
        "From the end of the prompts to the end of the recording.",
        unit="s",
        low=0.0,
        high=60.0,
    )
    decoder_wait: float = setting(
        3.0, "How long a test waits for the decoder's first output.", unit="s", low=0.0, high=60.0
    )
    recorder: str = setting("bag_recorder", "Name of the recorder node.", live=False)
    study: str = setting(
        "auto",
        "Folder of the study whose progress is computed after each run; auto: the one that the "
        "session lies in, if any; empty: none.",
    )
    database: str = setting("", "URL of the study database; empty: SQLite within the study.")

    def __post_init__(self) -> None:
        check(self)
