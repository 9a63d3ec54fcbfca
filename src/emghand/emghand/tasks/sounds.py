"""Tones that tell the subject when a movement starts and ends."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.settings import check, setting
from emghand.storage.recording import PeriodKind

RATE_HZ = 48000
EDGE_S = 0.01
"""Duration of the raised-cosine ramps at both ends of a tone: without them it clicks."""

START, END = "start", "end"
MOVING = (PeriodKind.MOVE, PeriodKind.HOLD)


@dataclass(frozen=True)
class ToneSettings:
    """The two tones."""

    high: float = setting(
        1000.0, "Frequency of the tone at movement start.", unit="Hz", low=100.0, high=8000.0,
        live=False,
    )  # fmt: skip
    low: float = setting(
        500.0, "Frequency of the tone at movement end.", unit="Hz", low=100.0, high=8000.0,
        live=False,
    )  # fmt: skip
    duration: float = setting(0.15, "Duration of a tone.", unit="s", low=0.03, high=1.0, live=False)
    volume: float = setting(
        0.3, "Peak of a tone, as a share of full scale.", low=0.0, high=1.0, live=False
    )

    def __post_init__(self) -> None:
        check(self)

    def waves(self) -> dict[str, bytes]:
        """WAV files of the tones, by `START` and `END`."""
        tones = {START: self.high, END: self.low}
        return {
            name: wav_bytes(self.volume * tone(frequency, self.duration))
            for name, frequency in tones.items()
        }


def tone(frequency: float, duration: float, rate: float = RATE_HZ) -> NDArray[np.float64]:
    """A sine of amplitude 1 with smooth ends.

    Parameters
    ----------
    frequency : float
        Below half of `rate` [Hz].
    duration : float
        At least twice `EDGE_S` [s].
    rate : float
        Samples per second [Hz].

    Returns
    -------
    ndarray, shape (round(duration * rate),)
    """
    n = round(duration * rate)
    edge = 0.5 - 0.5 * np.cos(np.pi * np.arange(round(EDGE_S * rate)) / round(EDGE_S * rate))
    envelope = np.ones(n)
    envelope[: edge.size] = edge
    envelope[n - edge.size :] = edge[::-1]
    return envelope * np.sin(2.0 * np.pi * frequency / rate * np.arange(n))


def wav_bytes(samples: NDArray[np.float64], rate: int = RATE_HZ) -> bytes:
    """One channel of 16-bit PCM as a WAV file; samples in [-1, 1], shape (n,)."""
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


class SoundCues:
    """Tells from the periods of a session when which tone is due."""

    def __init__(self) -> None:
        self._moving = False
        self._trial = -1

    def step(self, period: PeriodKind, trial: int) -> str:
        """`START` when a movement begins, `END` when it is over, else an empty text.

        A movement is MOVE and HOLD of one trial. Where the next follows without a rest, only its
        start sounds.
        """
        was_moving, before = self._moving, self._trial
        self._moving, self._trial = period in MOVING, trial
        if self._moving and not (was_moving and trial == before):
            return START
        return END if was_moving and not self._moving else ""
