"""The CSV that Klipper's accelerometers are written to, plain or packed by gzip.

What Klipper's own scripts take is taken: comments and blank lines anywhere, no header at all.
Knows rows of numbers and their names; does not know what they measure.
"""

import gzip
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from trajerr.arrays import Floats
from trajerr.errors import DataError

RAW = ("time", "accel_x", "accel_y", "accel_z")  # s, mm/s²
GZIP = b"\x1f\x8b"


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a text file, packed by gzip or not; say in one line what cannot be read."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    try:
        with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig") as text:
            yield text
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file, expected Klipper's CSV") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the gzip archive is damaged: {error}; copy it again") from None


def read_header(path: Path, delimiter: str = ",") -> tuple[tuple[str, ...], int]:
    """Return the columns' names, and how many lines stand before the rows of data.

    The last comment that begins with a time column names raw data's columns; where none does,
    four numbers a row are raw data, as they are to Klipper.
    """
    commented: tuple[str, ...] = ()
    with opened(path) as file:
        for number, line in enumerate(file):
            cells = tuple(cell.strip() for cell in line.strip().lstrip("#").split(delimiter))
            if line.lstrip().startswith("#"):
                commented = cells if cells[0] == RAW[0] else commented
            elif line.strip():
                if not _all_numbers(cells):
                    return cells, number + 1
                headless = RAW if len(cells) == len(RAW) else cells
                return commented or headless, number
    if not commented:
        raise DataError(f"{path}: is empty, expected Klipper's accelerometer CSV")
    return commented, 0


def _all_numbers(cells: tuple[str, ...]) -> bool:
    try:
        return bool([float(cell) for cell in cells])
    except ValueError:
        return False


def read_table(path: Path, columns: Sequence[int], rows_from: int, delimiter: str = ",") -> Floats:
    """Return some columns, by number, of the rows below the header, all finite."""
    try:
        with opened(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "contained no data": worded below
            for _ in range(rows_from):
                next(file)
            rows = (line for line in file if line.strip())
            table = np.loadtxt(rows, delimiter=delimiter, usecols=columns, ndmin=2)
    except ValueError as error:
        raise DataError(f"{path}: {_plain(error)}") from error
    if not len(table):
        raise DataError(f"{path}: has no rows of data")
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(bad):
        raise DataError(f"{path}: row {bad[0] + 1} of the data holds NaN or infinity")
    return np.asarray(table, np.float64)


def _plain(error: Exception) -> str:
    """Return what NumPy says about a cell, without its advice on its own arguments."""
    return str(error).split("; use")[0].rstrip(".")
