"""MATLAB files as plain containers: version 5/7 by SciPy, 7.3 (HDF5) by h5py.

Knows the containers, not what they mean. Numeric arrays, text and scalar structs come
through; cells, objects and struct arrays are left out. Nothing here unpickles.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from trajerr.dataset.mat5 import LARGEST_BYTES, unpacked
from trajerr.errors import DataError

MOST_SAID = 200  # characters of a library's own words
Value = NDArray[Any] | str | dict[str, "Value"]

# What SciPy and h5py raise on damaged files, found by cutting and flipping bytes of real ones.
UNREADABLE = (
    MatReadError,
    NotImplementedError,
    OSError,
    EOFError,
    MemoryError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RuntimeError,
    OverflowError,
    ZeroDivisionError,
    UserWarning,
    RuntimeWarning,
    UnboundLocalError,  # SciPy's for a class that MATLAB has not
    struct.error,
    zlib.error,
)


def read_matfile(path: Path) -> dict[str, Value]:
    """Read all variables of a MATLAB file of version 5, 7 or 7.3.

    Returns
    -------
    dict
        By variable name: arrays with at least two dimensions, as MATLAB shapes them; text
        as ``str``; structs as dictionaries.

    Raises
    ------
    DataError
        The file is missing, damaged, or not MATLAB's.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        return _read_hdf5(path) if h5py.is_hdf5(path) else _read_version_5(path)
    except UNREADABLE as error:
        raise DataError(
            f"{path}: not a readable MATLAB file of version 5, 7 or 7.3 "
            f"({type(error).__name__}: {_in_one_line(error)})"
        ) from error


def as_doubles(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return all values in one row; those beyond a double's range become infinite."""
    with np.errstate(over="ignore"):
        return values.reshape(-1).astype(np.float64)


def _in_one_line(error: Exception) -> str:
    """Return what a library says, without the damaged names that it quotes."""
    plain = "".join(c if c.isprintable() else " " for c in str(error))
    return " ".join(plain.split())[:MOST_SAID]


def _read_version_5(path: Path) -> dict[str, Value]:
    raw = path.read_bytes()
    if 0 not in raw[:4]:  # else version 4, which has neither structs nor compression
        raw = unpacked(raw)
    with warnings.catch_warnings():
        for category in (UserWarning, RuntimeWarning):  # SciPy's "may be corrupt", and overflow
            warnings.simplefilter("error", category)
        content = scipy.io.loadmat(io.BytesIO(raw))  # type: ignore[arg-type]  # stubs know paths only
    return _convert_all({k: v for k, v in content.items() if not k.startswith("__")})


def _convert_all(items: Mapping[str, Any]) -> dict[str, Value]:
    converted = {name: _convert(item) for name, item in items.items()}
    return {name: value for name, value in converted.items() if value is not None}


def _convert(item: Any) -> Value | None:  # noqa: ANN401 - whatever SciPy finds in the file
    if not isinstance(item, np.ndarray):
        return None
    if item.dtype.names is not None:
        if item.size != 1:
            return None
        record = item.reshape(-1)[0]
        return _convert_all({name: record[name] for name in item.dtype.names})
    if item.dtype.kind == "U":
        return "\n".join(str(line) for line in item.reshape(-1))
    return item if item.dtype.kind in "biuf" else None


def _read_hdf5(path: Path) -> dict[str, Value]:
    with h5py.File(path, "r") as file:
        return _Hdf5Content().group(file)


class _Hdf5Content:
    """Reads a file's groups, each once, within the bounds of what one file may hold."""

    def __init__(self) -> None:
        self._room = LARGEST_BYTES
        self._seen: set[int] = set()  # addresses of groups: links may lead round in circles

    def group(self, group: Any) -> dict[str, Value]:  # noqa: ANN401 - h5py has no types
        address = h5py.h5o.get_info(group.id).addr
        if address in self._seen:
            return {}
        self._seen.add(address)
        own = [name for name in group if not name.startswith("#") and _is_inside(group, name)]
        items = {name: self._item(group[name]) for name in own}
        return {name: value for name, value in items.items() if value is not None}

    def _item(self, item: Any) -> Value | None:  # noqa: ANN401 - h5py has no types
        if isinstance(item, h5py.Group):
            return self.group(item)
        if item.dtype.kind not in "biuf" or item.is_virtual or item.external:
            return None
        self._room -= item.nbytes
        if self._room < 0:
            raise ValueError(f"more than {LARGEST_BYTES >> 20} MiB")
        return _convert_dataset(item)


def _is_inside(group: Any, name: str) -> bool:  # noqa: ANN401 - h5py has no types
    """Return whether a name is the file's own: a link could lead to any other file."""
    return not isinstance(group.get(name, getlink=True), h5py.ExternalLink)


def _convert_dataset(item: Any) -> Value | None:  # noqa: ANN401 - h5py has no types
    kind = item.attrs.get("MATLAB_class", b"double")
    if kind == b"cell":
        return None
    if item.attrs.get("MATLAB_empty", 0):
        return "" if kind == b"char" else np.empty((0, 0))
    # HDF5 lists dimensions slowest first and MATLAB fastest first.
    values: NDArray[Any] = np.atleast_2d(item[()]).T
    if kind == b"char":
        return "\n".join("".join(map(chr, row)) for row in values)
    return values
