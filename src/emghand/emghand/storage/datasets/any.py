"""One reader for every kind of recording."""

from __future__ import annotations

from pathlib import Path

from emghand.errors import UserError
from emghand.storage.datasets.jhu import GRID_RATE, read_jhu
from emghand.storage.datasets.mapped import read_mapped
from emghand.storage.datasets.myo_wrist import read_myo_wrist
from emghand.storage.datasets.ninapro import is_ninapro_name, read_ninapro
from emghand.storage.datasets.npz import read_npz
from emghand.storage.datasets.tables import read_csv
from emghand.storage.recording import Recording
from emghand.storage.repairs import NOTED, announce

FORMATS = ("auto", "npz", "csv", "map", "bag", "ninapro", "jhu", "myo_wrist")


def read_any(
    path: str | Path,
    kind: str = "auto",
    *,
    rate: float = 0.0,
    unit: str = "V",
    block_size: int | None = None,
    strict: bool = False,
    quiet: bool = False,
) -> Recording:
    """Read a recording of any kind.

    Damage is repaired or left out as the reader of the format states, listed in
    `Recording.repairs`, and announced in one line (see `emghand.storage.repairs.announce`).

    Parameters
    ----------
    path : str or Path
        Also a column map (``.yaml``) that names its file.
    kind : str
        One of `FORMATS`; ``auto`` tells it from the name and content of the path.
    rate : float
        Samples per second of a csv file, or of the grid of the JHU recording [Hz]; 0: the
        default of the format.
    unit : str
        Of a csv file: ``V`` or ``count``.
    block_size : int, optional
        Samples per block, where the format has no blocks of its own.
    strict : bool
        Refuse damage.
    quiet : bool
        Do not announce repairs.

    Raises
    ------
    UserError
        When the path does not exist, is of no known kind, or is damaged beyond repair.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"{path}: does not exist")
    kind = _guess(path) if kind == "auto" else kind
    if kind == "npz":
        recording = read_npz(path, block_size, strict=strict)
    elif kind == "csv":
        recording = read_csv(path, rate, unit, block_size=block_size, strict=strict)
    elif kind == "map":
        recording = read_mapped(path, rate=rate, block_size=block_size, strict=strict)
    elif kind == "ninapro":
        recording = read_ninapro(path, block_size=block_size, strict=strict)
    elif kind == "jhu":
        recording = read_jhu(path, rate or GRID_RATE, block_size, strict=strict)
    elif kind == "myo_wrist":
        recording = read_myo_wrist(path, block_size, strict=strict)
    elif kind == "bag":
        from emghand.storage.bags import read_recording

        recording = read_recording(path)
        damage = [r for r in recording.repairs if r.action != NOTED]
        if strict and damage:
            raise UserError(f"{damage[0]}; strict reading refuses this")
    else:
        raise UserError(f"{kind!r} is no kind of recording, choose from: {', '.join(FORMATS)}")
    if not quiet:
        announce(str(path), recording.repairs)
    return recording


def _guess(path: Path) -> str:
    if path.is_dir():
        if any(path.glob("EMG_data_*.csv*")):
            return "jhu"
        if (path / "metadata.yaml").exists() or any(path.glob("*.mcap")):
            return "bag"
        if (path / "0.txt").exists():
            return "myo_wrist"
    suffixes = "".join(path.suffixes[-2:]).lower()
    for ending, kind in (
        (".npz", "npz"),
        (".csv", "csv"),
        (".csv.gz", "csv"),
        (".yaml", "map"),
        (".yml", "map"),
        (".mcap", "bag"),
        (".tar.xz", "myo_wrist"),
        (".tar.gz", "myo_wrist"),
    ):
        if suffixes.endswith(ending):
            return kind
    if suffixes.endswith(".mat") and is_ninapro_name(path):
        return "ninapro"
    if suffixes.endswith((".mat", ".bag", ".db3")):
        raise UserError(
            f"{path}: its content is not known; write a column map (docs/datasets.md) and give that"
        )
    raise UserError(f"{path}: cannot tell what kind of recording this is, name its format")
