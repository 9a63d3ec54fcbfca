"""Cutting a stream of bytes into frames of fixed length."""

from __future__ import annotations

from collections.abc import Callable


class FixedFrames:
    """Finds frames of one length in bytes that come in pieces of any size.

    In step, a frame is taken as soon as it is complete. After bytes that fit no frame the next
    candidate must be confirmed by the frame behind it, because its header may be a value inside
    of a payload. Every byte is either in a frame, or counted as junk, or still pending.

    Parameters
    ----------
    length : int
        Bytes of a frame.
    head : bytes
        First bytes of every frame.
    is_frame : callable
        Whether `length` bytes that start with `head` are a possible frame.
    confirms : callable, optional
        Gets two frames and says whether the second confirms the first. By default any possible
        frame confirms the one before it.
    """

    def __init__(
        self,
        length: int,
        head: bytes,
        is_frame: Callable[[bytes], bool],
        confirms: Callable[[bytes, bytes], bool] = lambda first, second: True,
    ) -> None:
        self._length = length
        self._head = head
        self._is_frame = is_frame
        self._confirms = confirms
        self._buffer = bytearray()
        self._in_step = True
        self.frames = 0
        self.junk_bytes = 0
        self.resyncs = 0

    @property
    def pending(self) -> int:
        """Bytes that wait for more."""
        return len(self._buffer)

    def push(self, data: bytes) -> list[bytes]:
        """Frames that are complete with these bytes, in order."""
        self._buffer += data
        found = []
        while (frame := self._next()) is not None:
            found.append(frame)
        self.frames += len(found)
        return found

    def _next(self) -> bytes | None:
        buffer, length = self._buffer, self._length
        while True:
            self._skip_to_head()
            if len(buffer) < length:
                return None
            frame = bytes(buffer[:length])
            if self._is_frame(frame):
                if self._in_step:
                    break
                if len(buffer) < 2 * length:
                    return None
                second = bytes(buffer[length : 2 * length])
                if self._possible(second) and self._confirms(frame, second):
                    self._in_step = True
                    break
            self._skip(1)
        del buffer[:length]
        return frame

    def _possible(self, frame: bytes) -> bool:
        return frame.startswith(self._head) and self._is_frame(frame)

    def _skip_to_head(self) -> None:
        at = self._buffer.find(self._head)
        if at < 0:
            # The last bytes may be the beginning of a head.
            at = len(self._buffer)
            for keep in range(min(len(self._head) - 1, at), 0, -1):
                if self._buffer.endswith(self._head[:keep]):
                    at -= keep
                    break
        if at:
            self._skip(at)

    def _skip(self, n: int) -> None:
        del self._buffer[:n]
        self.junk_bytes += n
        self.resyncs += self._in_step
        self._in_step = False
