"""Recordings of an accelerometer as layers with errors, each with what they are uncertain by.

A layer of the print is a layer here, so that splits hold whole layers apart. Samples that the
sensor lost are missing, as they are in any log.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from trajerr.arrays import Floats
from trajerr.checks import require, require_positive
from trajerr.dataset.record import EXCITATION, UNCERTAINTY, LayerRecord
from trajerr.dynamics.printer import Printer
from trajerr.errors import DataError
from trajerr.gcode.excitation import excitation_hz
from trajerr.gcode.program import MoveKind
from trajerr.gcode.reader import read_program
from trajerr.motion.lead_in import lead_in_row
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.motion.trajectory import Trajectory
from trajerr.recordings.accelerometer import Columns, read_recording
from trajerr.recordings.alignment import Aligned, Sensors, align
from trajerr.recordings.fusion import Fused, fuse
from trajerr.recordings.motan import INDEX, LOG, read_motan
from trajerr.recordings.signals import EVEN_HZ


@dataclass(frozen=True)
class Reading:
    """What a recording shows, and the trajectory that it was recorded along."""

    part: str
    source_sha256: str  # of the G-code
    printer: Printer  # that it was aligned and completed with
    trajectory: Trajectory  # at EVEN_HZ
    aligned: Aligned
    fused: Fused
    excitation_hz: float | None = None  # up to which the print excited the machine, if it did


@dataclass(frozen=True)
class MotanLog:
    """A log of Klipper's data logger: commanded and measured at once.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    file: str  # NAME.json.gz, beside which NAME.index.gz lies
    x: str  # sensor that moves with x, such as adxl345:adxl345
    y: str | None
    reference: str | None
    sample_rate_hz: float
    excitation_hz: float | None  # up to which the print excited the machine, if it did
    printer: Printer | None = None

    def __post_init__(self) -> None:
        require("printer", None, self.printer is not None, "one like the recorded, printer=NAME")
        require_rate(self.sample_rate_hz)
        require_positive("log.excitation_hz", self.excitation_hz, or_null=True)

    @property
    def files(self) -> tuple[Path, ...]:
        """Both files."""
        stem = self.file.removesuffix(LOG)
        return Path(stem + LOG), Path(stem + INDEX)

    @cached_property
    def reading(self) -> Reading:
        """The recording with errors.

        Raises
        ------
        DataError
            The log cannot be used.
        """
        if self.printer is None:  # refused by the constructor
            raise DataError("printer: got null, expected one like the recorded")
        log = read_motan(self.files[0])
        named = {"x": self.x, "y": self.y, "reference": self.reference}
        read = {key: log.recording(name) for key, name in named.items() if name}
        sensors = Sensors(**read)
        trajectory = log.trajectory(EVEN_HZ)
        aligned = align(sensors, trajectory, self.printer)
        part = self.files[0].name.removesuffix(LOG)
        told = fuse(aligned)
        return Reading(part, "", self.printer, trajectory, aligned, told, self.excitation_hz)

    def records(self) -> list[LayerRecord]:
        """Return the layers that were recorded."""
        return list(layers(self.reading, self.sample_rate_hz))


@dataclass(frozen=True)
class AccelerometerLog:
    """The files of one recorded print.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    gcode: str  # what was printed
    x: str  # recording of the sensor that moves with x, and with y where there is no other
    y: str | None
    reference: str | None  # of the frame
    columns: Columns
    sample_rate_hz: float  # of the layers
    printer: Printer | None = None  # like the one that printed, at best calibrated

    def __post_init__(self) -> None:
        require("printer", None, self.printer is not None, "one like the recorded, printer=NAME")
        require_rate(self.sample_rate_hz)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are read; the G-code first."""
        given = (self.gcode, self.x, self.y, self.reference)
        return tuple(Path(name) for name in given if name is not None)

    @cached_property
    def reading(self) -> Reading:
        """The recording on the plan's clock, with errors.

        Raises
        ------
        GcodeError, DataError
            A file cannot be used, or they do not belong together.
        """
        if self.printer is None:  # refused by the constructor
            raise DataError("printer: got null, expected one like the recorded")
        program = read_program(Path(self.gcode), self.printer.limits.firmware)
        planned = plan(self.printer.placed(program), self.printer.limits)
        trajectory = sample(planned, EVEN_HZ)
        named = {"x": self.x, "y": self.y, "reference": self.reference}
        read = {
            key: read_recording(Path(name), self.columns) for key, name in named.items() if name
        }
        sensors = Sensors(**read)
        aligned = align(sensors, trajectory, self.printer)
        part = Path(self.gcode).name.split(".")[0]
        told = fuse(aligned)
        excited, source = excitation_hz(program), program.sha256
        return Reading(part, source, self.printer, trajectory, aligned, told, excited)

    def records(self) -> list[LayerRecord]:
        """Return the layers that were recorded."""
        return list(layers(self.reading, self.sample_rate_hz))


def require_rate(sample_rate_hz: float) -> None:
    """Refuse a rate of layers beyond that of the fused errors."""
    require_positive("log.sample_rate_hz", sample_rate_hz)
    holds = sample_rate_hz <= EVEN_HZ
    require("log.sample_rate_hz", sample_rate_hz, holds, f"at most {EVEN_HZ:g}")


def content_sha256(files: tuple[Path, ...]) -> str:
    """Return one hash for the contents of files, in their order.

    Raises
    ------
    DataError
        A file cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def layers(reading: Reading, sample_rate_hz: float) -> Iterator[LayerRecord]:
    """Yield the recorded stretches of a reading layer by layer.

    Parameters
    ----------
    reading
        The recording.
    sample_rate_hz
        Of the records, or the next above it that EVEN_HZ is a multiple of.
    """
    fused = reading.fused
    first = round(fused.time_s[0] * EVEN_HZ) - reading.trajectory.first
    trajectory = reading.trajectory.rows(slice(first, first + len(fused.error)))
    every = int(EVEN_HZ / sample_rate_hz + 1e-9)
    for layer in np.unique(trajectory.layer):
        rows = np.flatnonzero(trajectory.layer == layer)
        begin, end = int(rows[0]), int(rows[-1]) + 1
        uncertain = fused.uncertainty(slice(begin, end)).tolist()
        led = slice(lead_in_row(trajectory.position[:, :2], begin, EVEN_HZ), end)
        error = fused.error[led].copy()
        error[~fused.measured[led]] = np.nan
        piece = trajectory.rows(led)
        skip = -piece.first % every  # onto the grid of the whole print
        record = _record(reading, piece, error, uncertain, slice(skip, None, every))
        yield replace(record, context=len(range(led.start + skip, begin, every)))


def _record(
    reading: Reading,
    piece: Trajectory,
    error: Floats,
    uncertain: list[float],
    kept: slice,
) -> LayerRecord:
    every = kept.step
    position, kind = piece.position[kept], piece.kind[kept]
    return LayerRecord(
        part=reading.part,
        layer=int(piece.layer[-1]),
        variant="measured",
        sample_rate=piece.sample_rate / every,
        time=np.arange(len(position)) * (every / piece.sample_rate),
        commanded=position,
        actual=position[:, :2] + error[kept],
        extruding=kind == MoveKind.PRINT,
        travel=kind == MoveKind.TRAVEL,
        feature=piece.feature[kept],
        temperatures=None,
        adhesion=None,
        params={
            "kind": "measured",
            "source_sha256": reading.source_sha256,
            "printer": json.dumps(reading.printer.to_dict()),
            **dict(zip(UNCERTAINTY, uncertain, strict=True)),
            **({EXCITATION: reading.excitation_hz} if reading.excitation_hz else {}),
        },
    )


SensorLog = AccelerometerLog | MotanLog
