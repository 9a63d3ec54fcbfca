"""Plays short sounds with a player that the machine has, without ever waiting for it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emghand.tasks.sounds import RATE_HZ, wav_bytes

PLAYERS: dict[str, tuple[str, ...]] = {
    "pw-play": ("pw-play",),
    "paplay": ("paplay",),
    "aplay": ("aplay", "-q"),
    "afplay": ("afplay",),
}
"""Commands of PipeWire, PulseAudio, ALSA and macOS; the file to play is their last word."""

TRY_S = 3.0
POLL_S = 0.02
AT_ONCE = 4
"""Players that may run side by side; more means that the device hangs."""
MAX_REASON = 120


class Player:
    """Plays sounds by name.

    A silent sound is tried first, in a thread: a machine may have a player but no audio device.
    Until one is found, and where none is, `play` does nothing.

    Parameters
    ----------
    sounds : mapping of str to bytes
        WAV files.
    player : str
        One of `PLAYERS`; ``auto``: the first that works.

    Attributes
    ----------
    command : tuple of str
        What plays; empty: nothing.
    reason : str
        Why nothing plays, or why the last sound did not; empty: all is well.
    played, dropped : int
        Sounds that were started, and that were left out since the device hangs.
    """

    def __init__(self, sounds: Mapping[str, bytes], player: str = "auto") -> None:
        self.command: tuple[str, ...] = ()
        self.reason = "no player has been tried yet"
        self.played = self.dropped = 0
        self._running: list[subprocess.Popen[bytes]] = []
        self._closed = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="emghand-sounds-")
        silence = wav_bytes(np.zeros(RATE_HZ // 50))
        for name, wave in {**sounds, "silence": silence}.items():
            self._file(name).write_bytes(wave)
        names = list(PLAYERS) if player == "auto" else [player]
        self._search = threading.Thread(
            target=self._find, args=(names,), name="sound player", daemon=True
        )
        self._search.start()

    def play(self, name: str) -> None:
        """Start a sound; returns at once."""
        self._reap()
        if not self.command:
            return
        if len(self._running) >= AT_ONCE:
            self.dropped += 1
            self.reason = f"{self.command[0]} does not end"
            return
        try:
            self._running.append(self._start(self.command, name))
        except OSError as error:
            self.reason = f"{self.command[0]}: {error.strerror or error}"
            return
        self.played += 1

    def wait(self, timeout: float) -> bool:
        """Wait until the search for a player is over; whether it is."""
        self._search.join(timeout)
        return not self._search.is_alive()

    def close(self) -> None:
        """End what still plays and remove the files."""
        self._closed.set()
        self._search.join()
        for process in self._running:
            process.kill()
            process.wait()
        self._running.clear()
        self._folder.cleanup()

    def _file(self, name: str) -> Path:
        return Path(self._folder.name, f"{name}.wav")

    def _start(
        self, command: tuple[str, ...], name: str, stderr: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, str(self._file(name))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )

    def _find(self, names: list[str]) -> None:
        reasons = []
        for name in names:
            if self._closed.is_set():
                return
            if shutil.which(PLAYERS[name][0]) is None:
                continue
            problem = self._try(PLAYERS[name])
            if not problem:
                self.reason = ""
                self.command = PLAYERS[name]
                return
            reasons.append(f"{name}: {problem}")
        if reasons:
            self.reason = f"no audio device ({'; '.join(reasons)})"
        else:
            self.reason = f"no player is installed ({', '.join(names)})"

    def _try(self, command: tuple[str, ...]) -> str:
        try:
            process = self._start(command, "silence", subprocess.PIPE)
        except OSError as error:
            return str(error.strerror or error)
        assert process.stderr is not None
        deadline = time.monotonic() + TRY_S
        with process.stderr:
            while process.poll() is None:
                if time.monotonic() > deadline or self._closed.wait(POLL_S):
                    process.kill()
                    process.wait()
                    return "does not end"
            if process.returncode == 0:
                return ""
            said = process.stderr.read1(1 << 16)
        # The libraries below complain first, at length; the player itself says it at the end.
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[-1][:MAX_REASON] if lines else f"exit status {process.returncode}"

    def _reap(self) -> None:
        for process in [p for p in self._running if p.poll() is not None]:
            self._running.remove(process)
            failed = process.returncode != 0
            self.reason = f"{self.command[0]}: exit status {process.returncode}" if failed else ""
