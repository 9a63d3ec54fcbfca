"""OpenBCI Cyton on its USB dongle, with or without the Daisy module."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emg_driver.device import DeviceError, DeviceKind, Reading
from emg_driver.protocols import cyton
from emghand.devices.serial_port import SerialPort
from emghand.settings import check, setting
from emghand.storage.datasets import default_block_size
from emghand.storage.recording import Stream


@dataclass(frozen=True)
class Settings:
    """Port and amplifier of a Cyton."""

    port: str = setting("/dev/ttyUSB0", "Serial port of the dongle", live=False)
    baud: int = setting(115200, "Speed of the port", unit="Bd", low=9600, high=4000000, live=False)
    daisy: bool = setting(False, "16 channels at 125 Hz through the Daisy module", live=False)
    gain: float = setting(
        24.0, "Gain of the amplifier", choices=(1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0), live=False
    )
    banner_s: float = setting(
        5.0, "How long the board may take to start", unit="s", low=0.5, high=60.0, live=False
    )
    silence_s: float = setting(
        1.0, "A board that is silent for so long is gone", unit="s", low=0.1, high=60.0, live=False
    )

    def __post_init__(self) -> None:
        check(self)


class CytonDevice:
    """A Cyton: reset, wait for its banner, start, parse."""

    speed = 1.0

    def __init__(self, settings: Settings, block_size: int = 0) -> None:
        self._settings = settings
        self._scale = cyton.volts_per_count(settings.gain)
        self._rate = cyton.RATE / 2 if settings.daisy else cyton.RATE
        self._block = block_size or default_block_size(self._rate)
        self._port: SerialPort | None = None
        self._parser = cyton.CytonParser()
        self._unwrapper = cyton.Unwrapper(cyton.RATE)
        self._pairs = cyton.DaisyPairs()
        self._ready: list[Reading] = []
        self._last = -1
        self._totals = {"packets": 0, "junk_bytes": 0, "repeated_packets": 0, "unpaired": 0}
        self._repeated = 0

    def open(self) -> Stream:
        """Reset the board, check that it is one, and start it."""
        s = self._settings
        # Booting is silent, so the limit to silence counts from the start of the stream.
        port = SerialPort(s.port, s.baud, max(s.silence_s, s.banner_s))
        self._port = port
        port.write(cyton.STOP)
        port.read(0.05)
        port.discard_input()
        port.write(cyton.RESET)
        banner = port.read_until(cyton.BANNER_END, s.banner_s)
        if b"OpenBCI" not in banner and b"ADS1299" not in banner:
            raise DeviceError(f"{s.port}: answers, but is no Cyton: {banner[:40]!r}")
        self._parser = cyton.CytonParser()
        self._unwrapper = cyton.Unwrapper(cyton.RATE)
        self._pairs = cyton.DaisyPairs()
        self._ready, self._last, self._repeated = [], -1, 0
        port.silence_s = s.silence_s
        port.write(cyton.START)
        n = 2 * cyton.N_CHANNELS if s.daisy else cyton.N_CHANNELS
        return Stream(
            device="cyton",
            stream="",
            channel_names=tuple(f"ch{i + 1:02d}" for i in range(n)),
            rate=self._rate,
            block_size=self._block,
            unit="V",
            full_scale=self._scale * (2**23 - 1),
        )

    def read(self, timeout_s: float) -> Reading | None:
        """Samples that arrived together and follow each other on the counter."""
        if self._port is None:
            raise DeviceError("the port is closed")
        if not self._ready:
            data = self._port.read(timeout_s)
            arrival_ns = time.monotonic_ns()
            self._ready = self._readings(self._parser.push(data), arrival_ns)
        return self._ready.pop(0) if self._ready else None

    def close(self) -> None:
        """Stop the board as well as it goes, and let go of the port."""
        port, self._port = self._port, None
        if port is None:
            return
        self._totals = dict(self.counters())
        self._parser, self._pairs, self._repeated = cyton.CytonParser(), cyton.DaisyPairs(), 0
        try:
            port.write(cyton.STOP)
        except DeviceError:
            pass
        finally:
            port.close()

    def counters(self) -> Mapping[str, int]:
        """Packets, bytes outside of packets, packets that came twice or without their half."""
        t = self._totals
        return {
            "packets": t["packets"] + self._parser.packets,
            "junk_bytes": t["junk_bytes"] + self._parser.junk_bytes,
            "repeated_packets": t["repeated_packets"] + self._repeated,
            "unpaired": t["unpaired"] + self._pairs.unpaired,
        }

    def _readings(self, packets: list[cyton.Packet], arrival_ns: int) -> list[Reading]:
        indices = self._unwrapper.unwrap([p.number for p in packets], arrival_ns * 1e-9)
        runs: list[tuple[int, list[NDArray[np.int32]]]] = []
        for index, packet in zip(indices, packets, strict=True):
            if index == self._last:
                self._repeated += 1
                continue
            self._last = index
            sample: tuple[int, NDArray[np.int32]] | None = (index, packet.counts)
            if self._settings.daisy:
                sample = self._pairs.push(index, packet.counts)
            if sample is None:
                continue
            if runs and runs[-1][0] + len(runs[-1][1]) == sample[0]:
                runs[-1][1].append(sample[1])
            else:
                runs.append((sample[0], [sample[1]]))
        # Everything in one piece arrived by now; earlier samples were acquired a little earlier.
        end = runs[-1][0] + len(runs[-1][1]) if runs else 0
        return [
            Reading(
                first,
                (np.array(counts) * self._scale).astype(np.float32),
                arrival_ns - round((end - first - len(counts)) * 1e9 / self._rate),
            )
            for first, counts in runs
        ]


DEVICE = DeviceKind("OpenBCI Cyton on its serial dongle", Settings, CytonDevice)
