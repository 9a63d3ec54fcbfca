"""One reader for every kind of recording."""

from __future__ import annotations

from pathlib import Path

from emghand.errors import UserError
from emghand.storage.datasets.jhu import GRID_RATE, read_jhu
from emghand.storage.datasets.myo_wrist import read_myo_wrist
from emghand.storage.datasets.tables import read_csv, read_npz
from emghand.storage.recording import Recording

FORMATS = ("auto", "npz", "csv", "bag", "jhu", "myo_wrist")


def read_any(
    path: str | Path,
    kind: str = "auto",
    *,
    rate: float = 0.0,
    unit: str = "V",
    block_size: int | None = None,
) -> Recording:
    """Read a recording of any kind.

    Parameters
    ----------
    path : str or Path
    kind : str
        One of `FORMATS`; ``auto`` tells it from the name and content of the path.
    rate : float
        Samples per second of a csv file, or of the grid of the JHU recording [Hz]; 0: the
        default of the format.
    unit : str
        Of a csv file: ``V`` or ``count``.
    block_size : int, optional
        Samples per block, where the format has no blocks of its own.

    Raises
    ------
    UserError
        When the path does not exist, is of no known kind, or is damaged.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"{path}: does not exist")
    kind = _guess(path) if kind == "auto" else kind
    if kind == "npz":
        return read_npz(path, block_size)
    if kind == "csv":
        return read_csv(path, rate, unit, block_size=block_size)
    if kind == "jhu":
        return read_jhu(path, rate or GRID_RATE, block_size)
    if kind == "myo_wrist":
        return read_myo_wrist(path, block_size)
    if kind == "bag":
        from emghand.storage.bags import read_recording

        return read_recording(path)
    raise UserError(f"{kind!r} is no kind of recording, choose from: {', '.join(FORMATS)}")


def _guess(path: Path) -> str:
    if path.is_dir():
        if any(path.glob("EMG_data_*.csv*")):
            return "jhu"
        if (path / "metadata.yaml").exists() or any(path.glob("*.mcap")):
            return "bag"
        if (path / "0.txt").exists():
            return "myo_wrist"
    suffixes = "".join(path.suffixes[-2:])
    for ending, kind in (
        (".npz", "npz"),
        (".csv", "csv"),
        (".csv.gz", "csv"),
        (".mcap", "bag"),
        (".tar.xz", "myo_wrist"),
        (".tar.gz", "myo_wrist"),
    ):
        if suffixes.endswith(ending):
            return kind
    raise UserError(f"{path}: cannot tell what kind of recording this is, name its format")
