"""Measured logs, CSV or MATLAB, whose columns, units and axes a config maps.

Knows how to find commanded and measured positions of one or two axes in a table; CSV may be packed
by gzip. An axis that a log does not have stands still at 0 and has no error.
"""

import csv
import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trajerr.checks import require, require_count, require_one_of, require_positive
from trajerr.dataset.matfile import Value, as_doubles, read_matfile
from trajerr.dataset.record import EXCITATION, LayerRecord
from trajerr.dataset.resample import measure_sample_rate
from trajerr.dataset.stats import SPLITS
from trajerr.errors import ConfigError, DataError
from trajerr.motion.lead_in import lead_in_row

TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}  # in s
LENGTH_UNITS = {"mm": 1.0, "m": 1e3, "cm": 10.0, "um": 1e-3, "in": 25.4}  # in mm
PACKED = ".gz"

Column = NDArray[np.float64]


@dataclass(frozen=True)
class LogAxis:
    """The two columns of one axis."""

    commanded: str
    measured: str


@dataclass(frozen=True)
class LogSection:
    """A stretch of rows that is treated as one layer; rows before it become its lead-in.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    start: int  # first row, from 0
    stop: int  # row after the last
    split: str = ""  # where split.by=section puts it

    def __post_init__(self) -> None:
        require_count("log.sections.start", self.start, at_least=0)
        require_count("log.sections.stop", self.stop)
        rises = self.start < self.stop
        require("log.sections.stop", self.stop, rises, f"more than start, {self.start}")
        if self.split:
            require_one_of("log.sections.split", self.split, SPLITS)


@dataclass(frozen=True)
class LogFormat:
    """How to read one kind of log.

    Columns are names of a CSV header or of a MATLAB file's variables (``struct.field``
    for a field), or numbers of CSV columns from 0 where there is no header.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    x: LogAxis | None = None
    y: LogAxis | None = None
    z: str | None = None  # commanded height; 0 without it
    time: str | None = None
    time_unit: str = "s"
    length_unit: str = "mm"
    sample_rate_hz: float | None = None  # where there is no time column, or to overrule it
    delimiter: str = ","
    header: bool = True
    part: str | None = None  # the file's stem by default
    sections: tuple[LogSection, ...] = ()  # the whole file by default
    excitation_hz: float | None = None  # up to which what was printed excited the machine

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", tuple(self.sections))
        has_axis = self.x is not None or self.y is not None
        require("log.x", self.x, has_axis, "an axis here or in log.y")
        has_clock = self.time is not None or self.sample_rate_hz is not None
        require("log.time", self.time, has_clock, "a column here or log.sample_rate_hz")
        for key in ("sample_rate_hz", "excitation_hz"):
            require_positive(f"log.{key}", getattr(self, key), or_null=True)
        for key, units in (("time_unit", TIME_UNITS), ("length_unit", LENGTH_UNITS)):
            require_one_of(f"log.{key}", getattr(self, key), units)


def read_log(path: Path, log: LogFormat) -> list[LayerRecord]:
    """Read a measured log: one record a section, numbered from 1 as layers.

    Raises
    ------
    DataError
        The file is unreadable, lacks a column, or its columns differ in length.
    """
    table = _read_table(path, log)
    time = _time(table, log, path)
    commanded, actual = np.zeros((len(time), 3)), np.zeros((len(time), 2))
    for index, axis in enumerate((log.x, log.y)):
        if axis is not None:
            commanded[:, index] = _length(table, axis.commanded, log, path, len(time))
            actual[:, index] = _length(table, axis.measured, log, path, len(time))
    if log.z is not None:
        commanded[:, 2] = _length(table, log.z, log, path, len(time))
    whole = _record(path, log, time, commanded, actual)
    sections = log.sections or (LogSection(0, len(time)),)
    return [_section(whole, number, section, path) for number, section in enumerate(sections, 1)]


def _record(
    path: Path, log: LogFormat, time: Column, commanded: Column, actual: Column
) -> LayerRecord:
    n = len(time)
    moves = np.any(np.diff(commanded, axis=0, prepend=commanded[:1]) != 0.0, axis=1)
    excited = {} if log.excitation_hz is None else {EXCITATION: log.excitation_hz}
    return LayerRecord(
        part=log.part or path.stem,
        layer=1,
        variant="measured",
        sample_rate=log.sample_rate_hz or _rate(time, path),
        time=time,
        commanded=commanded,
        actual=actual,
        extruding=np.zeros(n, np.bool_),
        travel=moves,
        feature=np.zeros(n, np.uint8),
        temperatures=None,
        adhesion=None,
        params={"kind": "measured", **excited},
    )


def _section(whole: LayerRecord, number: int, section: LogSection, path: Path) -> LayerRecord:
    if section.stop > len(whole.time):
        raise DataError(
            f"{path}: section {number} ends at row {section.stop}, but the file has "
            f"{len(whole.time)} rows"
        )
    first = lead_in_row(whole.commanded[:, :2], section.start, whole.sample_rate)
    part = whole.select(slice(first, section.stop))
    params = {**whole.params, **({"split": section.split} if section.split else {})}
    return replace(part, layer=number, params=params, context=section.start - first)


def _time(table: Mapping[str, Column], log: LogFormat, path: Path) -> Column:
    if log.time is not None:
        return _column(table, log.time, path) * TIME_UNITS[log.time_unit]
    axis = log.x or log.y
    if axis is None or log.sample_rate_hz is None:  # refused by LogFormat
        raise ConfigError("log has neither time nor sample rate")
    return np.arange(len(_column(table, axis.commanded, path))) / log.sample_rate_hz


def _length(
    table: Mapping[str, Column], name: str, log: LogFormat, path: Path, rows: int
) -> Column:
    column = _column(table, name, path)
    if len(column) != rows:
        raise DataError(f"{path}: column {name} has {len(column)} rows but time has {rows}")
    return column * LENGTH_UNITS[log.length_unit]


def _column(table: Mapping[str, Column], name: str, path: Path) -> Column:
    if name not in table:
        raise DataError(f"{path}: column {name} is missing; the file has {sorted(table)}")
    return table[name]


def _rate(time: Column, path: Path) -> float:
    rate = measure_sample_rate(time)
    if rate is None:
        raise DataError(
            f"{path}: time never increases by steps of 1 µs to 10 s, so there is no sample rate; "
            "is log.time_unit right?"
        )
    return rate


def _read_table(path: Path, log: LogFormat) -> dict[str, Column]:
    if path.suffix.lower() == ".mat":
        return dict(_numeric_columns(read_matfile(path)))
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    unpacked = gzip.open if path.suffix.lower() == PACKED else open
    try:
        with unpacked(path, "rt", newline="", encoding="utf-8-sig") as file:
            return _parse_csv(list(csv.reader(file, delimiter=log.delimiter)), log, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the gzip archive is damaged: {error}; copy it again") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV file: {error}") from error


def _numeric_columns(content: Mapping[str, Value], prefix: str = "") -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            columns |= _numeric_columns(value, f"{prefix}{name}.")
        elif isinstance(value, np.ndarray) and 1 in value.shape and value.size > 1:
            columns[prefix + name] = as_doubles(value)
    return columns


def _parse_csv(lines: Sequence[Sequence[str]], log: LogFormat, path: Path) -> dict[str, Column]:
    rows = [(number, row) for number, row in enumerate(lines, 1) if any(c.strip() for c in row)]
    if len(rows) < 1 + log.header:
        raise DataError(f"{path}: has no rows of data")
    first = rows[0][1]
    names = [c.strip() for c in first] if log.header else [str(i) for i in range(len(first))]
    data = rows[1:] if log.header else rows
    table = np.array([_parse_row(row, names, f"{path}:{number}") for number, row in data])
    return {name: table[:, i] for i, name in enumerate(names)}


def _parse_row(row: Sequence[str], names: Sequence[str], where: str) -> list[float]:
    if len(row) != len(names):
        raise DataError(f"{where}: {len(row)} columns, expected {len(names)}")
    return [_parse_cell(cell.strip(), name, where) for cell, name in zip(row, names, strict=True)]


def _parse_cell(cell: str, name: str, where: str) -> float:
    """Return the number in a cell; an empty cell is a missing sample, NaN."""
    try:
        return float(cell) if cell else float("nan")
    except ValueError:
        raise DataError(f"{where}: column {name} holds {cell!r}, expected a number") from None
