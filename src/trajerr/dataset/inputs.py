"""The files that ``prepare`` is given: found by pattern, identified by content."""

import glob
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trajerr.checks import require
from trajerr.dataset.logs import LogFormat, read_log
from trajerr.dataset.matlab import read_layer
from trajerr.dataset.quality import REPORT
from trajerr.dataset.record import LayerRecord
from trajerr.dataset.sensor_logs import SensorLog, content_sha256
from trajerr.errors import DataError
from trajerr.files import from_home

Log = LogFormat | SensorLog


@dataclass(frozen=True)
class Input:
    """One file of layers or of a log."""

    path: Path
    sha256: str


def sensor_inputs(log: Log | None) -> list[Input]:
    """Return the files that a sensor's log names, as one input; none for other logs."""
    if isinstance(log, SensorLog):
        return [Input(log.files[0], content_sha256(log.files))]
    return []


def find_inputs(patterns: Sequence[str]) -> list[Input]:
    """Find the files that patterns name; a folder stands for all ``.mat`` files below it.

    Files of equal content count once. The order depends on content and names only.

    Raises
    ------
    ConfigError
        There are no patterns.
    DataError
        A pattern finds nothing.
    """
    require("data_dirs", patterns, len(patterns) > 0, "at least one folder, file or pattern")
    paths: set[Path] = set()
    for pattern in patterns:
        # Path.glob takes no absolute pattern.
        found = glob.glob(str(from_home(pattern)), recursive=True)  # noqa: PTH207
        files = [file for name in found for file in _files_in(Path(name))]
        if not files:
            raise DataError(f"data_dirs: {pattern} finds no .mat file, nor a file of another kind")
        paths.update(files)
    unique: dict[str, Input] = {}
    for path in sorted(paths, key=lambda p: (p.name, str(p))):
        sha256 = _sha256(path)
        unique.setdefault(sha256, Input(path, sha256))
    return list(unique.values())


def read_input(source: Input, log: Log | None) -> list[LayerRecord]:
    """Read the records of one file: a layer, or the sections of a log.

    Raises
    ------
    DataError
        The file cannot be used; the message names it.
    """
    if isinstance(log, SensorLog):
        return log.records()
    if log is not None:
        return read_log(source.path, log)
    if source.path.suffix.lower() != ".mat":
        raise DataError(f"{source.path}: not a .mat file; a measured log needs log=NAME")
    return [read_layer(source.path)]


def _files_in(path: Path) -> list[Path]:
    if path.is_dir():
        files = path.rglob("*.mat")
        return [file for file in files if file.is_file() and not file.name.startswith(".")]
    # collect's report lies beside its folders, where a pattern finds it as well
    return [path] if path.is_file() and path.name != REPORT else []


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
