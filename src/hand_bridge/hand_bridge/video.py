"""Writing pictures to a video, GIF or PNG file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError


def _imageio() -> Any:
    try:
        import imageio.v2 as imageio
    except ImportError as error:
        raise UserError(
            f"pictures need imageio: pip install imageio imageio-ffmpeg ({error})"
        ) from error
    return imageio


class VideoWriter:
    """Writes frames one by one; the file appears under its name when it is closed.

    Parameters
    ----------
    path : str or Path
        ``.mp4`` or ``.gif``.
    fps : float
        Frames per second.

    Raises
    ------
    UserError
        When the file exists, cannot be written or has another suffix.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path = Path(path)
        check_new(self.path, (".mp4", ".gif"))
        self._temporary = temporary_name(self.path)
        imageio = _imageio()
        if self.path.suffix == ".gif":
            options: dict[str, Any] = {"mode": "I", "duration": 1000.0 / fps, "loop": 0}
        else:
            options = {"fps": fps, "codec": "libx264", "quality": 7, "macro_block_size": 2}
            options["output_params"] = ["-preset", "veryfast", "-threads", "1"]
            options["ffmpeg_log_level"] = "error"
        try:
            self._writer = imageio.get_writer(self._temporary, **options)
        except (OSError, RuntimeError, ValueError, ImportError) as error:
            raise UserError(f"{self.path}: cannot be written: {error}") from error

    def append(self, frame: NDArray[np.uint8]) -> None:
        """Add one picture, shape (height, width, 3).

        Raises
        ------
        UserError
            When it cannot be written.
        """
        try:
            self._writer.append_data(frame)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{self.path}: cannot be written: {error}") from error

    def close(self) -> None:
        """Finish the file.

        Raises
        ------
        UserError
            When it cannot be written.
        """
        try:
            self._writer.close()
            publish(self._temporary, self.path)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{self.path}: cannot be written: {error}") from error


def write_png(path: str | Path, picture: NDArray[np.uint8]) -> None:
    """Write one picture, shape (height, width, 3), as PNG.

    Raises
    ------
    UserError
        When the file exists or cannot be written.
    """
    path = Path(path)
    check_new(path, (".png",))
    temporary = temporary_name(path)
    try:
        _imageio().imwrite(temporary, picture)
        publish(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error}") from error


def check_new(path: Path, suffixes: tuple[str, ...]) -> None:
    """Check that a file may be written.

    Raises
    ------
    UserError
        For another suffix, a missing folder, or a file that is there already.
    """
    if path.suffix not in suffixes:
        raise UserError(f"{path}: the name must end in {' or '.join(suffixes)}")
    if path.exists():
        raise UserError(f"{path}: exists already, choose another name")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist")


def temporary_name(path: Path) -> Path:
    """Name beside `path` with the same suffix, to write to before renaming."""
    return path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")


def publish(temporary: Path, path: Path) -> None:
    """Flush a finished file to disk and give it its name."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.rename(path)
