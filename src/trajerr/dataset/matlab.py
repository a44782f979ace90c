"""Layer files in MATLAB's format: one struct ``simulation_data`` a file.

Knows the fields and what they mean. Reads what MATLAB's own simulator wrote as well:
other struct names, field orders and number types, without temperatures. What the
samples are worth is judged in ``trajerr.dataset.repair``.
"""

import io
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import NDArray

from trajerr.dataset.matfile import Value, as_doubles, read_matfile
from trajerr.dataset.record import LayerRecord
from trajerr.dataset.resample import FASTEST_HZ, SLOWEST_HZ, measure_sample_rate
from trajerr.errors import DataError
from trajerr.files import write_atomically
from trajerr.gcode.program import FeatureType
from trajerr.motion.features import TEMPERATURES, compute_features

STRUCT = "simulation_data"
KNOWN_STRUCTS = (STRUCT, "trajectory_data", "sim_data", "data", "error_sources")
CONTEXT = "context_samples"  # in params: how many of the first rows are the lead-in
HEADER = b"MATLAB 5.0 MAT-file, written by trajerr"
HEADER_TEXT_BYTES = 116  # MAT-File Format (MathWorks, R2019b), section 1: descriptive text
HEADER_BYTES = 128
COMPRESSED_TYPE = 15  # miCOMPRESSED, same source
COMPRESSION = 1  # zlib's fastest

# Other names for the same columns, as MATLAB's simulator spells them in other structs.
ALIASES = {
    "x_ref": ("x",),
    "y_ref": ("y",),
    "z_ref": ("z",),
    "error_x": ("total_error_x",),
    "error_y": ("total_error_y",),
}
LAST_LAYER = 10**6  # no printer lays more: 10 m at 10 µm
AGREEMENT = 1e-3  # mm; how far x_act − x_ref may be from error_x in one file

Columns = dict[str, NDArray[np.float64]]


def write_layer(path: Path, record: LayerRecord) -> None:
    """Write one layer; the same record gives the same bytes, and no half file is ever seen.

    Raises
    ------
    DataError
        The record's arrays differ in length, or ``path`` is not a regular file.
    OSError
        The disk is full or the folder cannot be written.
    """
    _require_equal_lengths(record, path)
    columns = {name: np.reshape(column, (-1, 1)) for name, column in _columns(record).items()}
    params = {
        **record.params,
        "part": record.part,
        "variant": record.variant,
        "sample_rate_hz": record.sample_rate,
        CONTEXT: float(record.context),
    }
    buffer = io.BytesIO()
    scipy.io.savemat(
        buffer,  # type: ignore[arg-type]  # the stubs know paths only
        {STRUCT: {**columns, "params": params}},
        do_compression=False,
        long_field_names=True,
    )
    write_atomically(path, _packed(buffer.getvalue()))


def read_layer(path: Path) -> LayerRecord:
    """Read one layer from a MATLAB file of version 5, 7 or 7.3, ours or MATLAB's.

    Returns
    -------
    LayerRecord
        The samples as they are in the file; ``temperatures`` and ``adhesion`` are ``None``
        where it has none, and ``context`` is 0 where it names no lead-in. The sample rate is
        the file's own, or that of its time column.

    Raises
    ------
    DataError
        The file is unreadable, lacks a field, or its fields contradict each other; the
        message names file and field.
    """
    content = read_matfile(path)
    struct = _find_struct(content, path)
    params = _plain_params(struct.get("params"))
    columns = _Columns(struct, path)
    time, commanded = columns.required("time"), columns.commanded()
    actual = columns.actual(commanded)
    temperatures = [columns.optional(name) for name in TEMPERATURES]
    feature = columns.optional("feature_type")
    return LayerRecord(
        part=str(params.get("part", _part_of(path))),
        layer=columns.layer(),
        variant=str(params.get("variant", _variant_of(path))),
        sample_rate=_sample_rate(params.get("sample_rate_hz"), time, path),
        time=time,
        commanded=commanded,
        actual=actual,
        extruding=columns.logical("is_extruding"),
        travel=columns.logical("is_travel"),
        feature=_features(feature, len(time)),
        temperatures=_stack(temperatures),
        adhesion=columns.optional("adhesion_ratio"),
        params=params,
        stated_speed=columns.optional("v_mag_ref"),
        context=_context(params.get(CONTEXT, 0.0), len(time), path),
    )


def _packed(content: bytes) -> bytes:
    """Return a file of one variable with that compressed, and without the date.

    SciPy compresses at zlib's default level, which takes three times as long for files a
    few per cent smaller, and writes the date, which would make equal layers differ.
    """
    header = HEADER.ljust(HEADER_TEXT_BYTES) + content[HEADER_TEXT_BYTES:HEADER_BYTES]
    body = zlib.compress(content[HEADER_BYTES:], COMPRESSION)
    return header + struct.pack("<II", COMPRESSED_TYPE, len(body)) + body


def _require_equal_lengths(record: LayerRecord, path: Path) -> None:
    for field in fields(record):
        column = getattr(record, field.name)
        if isinstance(column, np.ndarray) and len(column) != len(record.time):
            raise DataError(
                f"{path}: {field.name} has {len(column)} rows but time has {len(record.time)}; "
                "the layer is not written"
            )


def _columns(record: LayerRecord) -> dict[str, NDArray[np.float64] | NDArray[np.bool_]]:
    features = compute_features(record.commanded, record.sample_rate)
    error = record.error
    magnitude = np.hypot(error[:, 0], error[:, 1])
    optional: Columns = {}
    if record.temperatures is not None:
        optional |= dict(zip(TEMPERATURES, record.temperatures.T, strict=True))
    if record.adhesion is not None:
        optional["adhesion_ratio"] = record.adhesion
    return {
        "time": record.time,
        **dict(zip(("x_ref", "y_ref", "z_ref"), record.commanded.T, strict=True)),
        "x_act": record.actual[:, 0],
        "y_act": record.actual[:, 1],
        "z_act": record.commanded[:, 2],
        **dict(zip(("vx_ref", "vy_ref", "vz_ref", "v_mag_ref"), features[:, 3:7].T, strict=True)),
        **dict(zip(("ax_ref", "ay_ref", "az_ref", "a_mag_ref"), features[:, 7:11].T, strict=True)),
        **dict(zip(("jx_ref", "jy_ref", "jz_ref"), features[:, 11:14].T, strict=True)),
        "jerk_mag": np.linalg.norm(features[:, 11:14], axis=1),
        "error_x": error[:, 0],
        "error_y": error[:, 1],
        "error_magnitude": magnitude,
        "error_direction": np.arctan2(error[:, 1], error[:, 0]),
        "is_extruding": record.extruding.astype(np.bool_),
        "is_travel": record.travel.astype(np.bool_),
        "layer_num": np.full(len(record.time), float(record.layer)),
        "curvature": features[:, 14],
        "feature_type": record.feature.astype(np.float64),
        **optional,
    }


class _Columns:
    """The columns of one struct, checked for shape and equal length."""

    def __init__(self, fields: Mapping[str, Value], path: Path) -> None:
        self._fields = fields
        self._path = path
        self._length = len(self.required("time"))

    def optional(self, name: str) -> NDArray[np.float64] | None:
        for candidate in (name, *ALIASES.get(name, ())):
            value = self._fields.get(candidate)
            if isinstance(value, np.ndarray) and value.size:
                return self._flatten(value, candidate)
        return None

    def required(self, name: str) -> NDArray[np.float64]:
        column = self.optional(name)
        if column is None:
            raise DataError(f"{self._path}: field {name} is missing; it is needed")
        return column

    def commanded(self) -> NDArray[np.float64]:
        """Return (N, 3) mm; a file without z moves in the plane z = 0."""
        x, y, z = self.required("x_ref"), self.required("y_ref"), self.optional("z_ref")
        return np.column_stack([x, y, np.zeros_like(x) if z is None else z])

    def actual(self, commanded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, 2) mm from the actual positions, or else from the errors."""
        found = [self._actual_axis(axis, commanded[:, i]) for i, axis in enumerate("xy")]
        missing = [
            f"{axis}_act or error_{axis}"
            for axis, values in zip("xy", found, strict=True)
            if values is None
        ]
        if missing:
            raise DataError(
                f"{self._path}: targets are missing: field {' and field '.join(missing)}; "
                "a commanded trajectory alone cannot be learned from"
            )
        return np.column_stack([values for values in found if values is not None])

    def layer(self) -> int:
        column = self.optional("layer_num")
        if column is None:
            return _layer_of(self._path)
        numbers = np.unique(column[np.isfinite(column)])
        if len(numbers) != 1:
            raise DataError(
                f"{self._path}: field layer_num holds {len(numbers)} layers "
                f"{numbers[:5].tolist()}, expected one layer a file"
            )
        number = float(numbers[0])
        if not (number.is_integer() and 0 <= number <= LAST_LAYER):
            raise DataError(
                f"{self._path}: field layer_num is {number:g}, expected a whole number from 0 "
                f"to {LAST_LAYER}"
            )
        return int(number)

    def logical(self, name: str) -> NDArray[np.bool_]:
        column = self.optional(name)
        return np.zeros(self._length, np.bool_) if column is None else column > 0.5

    def _actual_axis(self, axis: str, commanded: NDArray[np.float64]) -> NDArray[np.float64] | None:
        actual, error = self.optional(f"{axis}_act"), self.optional(f"error_{axis}")
        if actual is None:
            return None if error is None else commanded + error
        if error is not None:
            known = np.isfinite(actual) & np.isfinite(commanded) & np.isfinite(error)
            with np.errstate(over="ignore", invalid="ignore"):
                gap = np.max(np.abs(actual - commanded - error)[known], initial=0.0)
            if gap > AGREEMENT:
                raise DataError(
                    f"{self._path}: field error_{axis} differs from {axis}_act − {axis}_ref "
                    f"by up to {gap:.3g} mm, expected at most {AGREEMENT:g} mm"
                )
        return actual

    def _flatten(self, value: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        if value.ndim != 2 or 1 not in value.shape:
            raise DataError(
                f"{self._path}: field {name} has shape {value.shape}, expected one column"
            )
        column = as_doubles(value)
        if name == "time":
            return column
        if name == "layer_num" and len(column) == 1:
            return np.repeat(column, self._length)
        if len(column) != self._length:
            raise DataError(
                f"{self._path}: field {name} has {len(column)} rows but time has "
                f"{self._length}; expected equal lengths"
            )
        return column


def _find_struct(content: Mapping[str, Value], path: Path) -> Mapping[str, Value]:
    """Return the struct that holds the samples: by its name, or else by its fields."""
    for name in KNOWN_STRUCTS:
        found = content.get(name)
        if isinstance(found, dict):
            return found
    structs = [value for value in content.values() if isinstance(value, dict)]
    for candidate in (*structs, content):
        if {"time", "x_ref"} <= candidate.keys():
            return candidate
    raise DataError(
        f"{path}: no struct {STRUCT}; the file holds {sorted(content) or 'nothing readable'}"
    )


def _plain_params(value: Value | None) -> dict[str, str | float]:
    """Return the text and the single numbers of ``params``; nested structs are left out."""
    plain: dict[str, str | float] = {}
    for name, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, str):
            plain[name] = item
        elif isinstance(item, np.ndarray) and item.size == 1:
            plain[name] = float(item.reshape(-1)[0])
    return plain


def _sample_rate(stated: str | float | None, time: NDArray[np.float64], path: Path) -> float:
    """Return the stated rate in Hz, or that of the time column."""
    if isinstance(stated, float) and stated > 0.0:
        if not SLOWEST_HZ <= stated <= FASTEST_HZ:
            raise DataError(
                f"{path}: params.sample_rate_hz is {stated:g}, expected {SLOWEST_HZ:g} to "
                f"{FASTEST_HZ:g}"
            )
        return stated
    rate = measure_sample_rate(time)
    if rate is None:
        raise DataError(
            f"{path}: field time never increases by steps of 1 µs to 10 s, so there is no "
            "sample rate"
        )
    return rate


def _context(stated: str | float, length: int, path: Path) -> int:
    holds = isinstance(stated, float) and stated.is_integer() and 0 <= stated < max(length, 1)
    if not holds:
        raise DataError(
            f"{path}: params.{CONTEXT} is {stated}, expected a whole number from 0 to less than "
            f"the {length} rows"
        )
    return int(stated)


def _features(column: NDArray[np.float64] | None, length: int) -> NDArray[np.uint8]:
    """Return feature types; what is not one of ours is unknown."""
    if column is None:
        return np.zeros(length, np.uint8)
    known = np.isin(column, list(FeatureType))
    return np.where(known, column, float(FeatureType.UNKNOWN)).astype(np.uint8)


def _stack(columns: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    present = [column for column in columns if column is not None]
    return np.column_stack(present) if len(present) == len(columns) else None


def _part_of(path: Path) -> str:
    return path.resolve().parent.name.removeprefix("data_simulation_")


def _variant_of(path: Path) -> str:
    return re.sub(r"^layer_?\d+_?", "", path.stem) or "default"


def _layer_of(path: Path) -> int:
    match = re.search(r"layer_?(\d+)", path.stem)
    if match is None:
        raise DataError(f"{path}: field layer_num is missing and the file's name has no layer")
    return int(match[1])
