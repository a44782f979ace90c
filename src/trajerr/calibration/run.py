"""One calibration: from files to a printer and how sure it is."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trajerr.calibration.findings import AxisFindings
from trajerr.calibration.identify import Unknowns, identify
from trajerr.calibration.print_fit import FittedAxis
from trajerr.calibration.printer_file import Measured, calibrated, render
from trajerr.calibration.recommendation import ShaperChoice, recommend
from trajerr.calibration.recorded_print import fit_recorded_print
from trajerr.calibration.recordings import read_spectrum
from trajerr.calibration.resonance import Sweep, fit_resonance, model_spectrum
from trajerr.calibration.stretches import read_axes
from trajerr.calibration.target import refuse_existing, require_name
from trajerr.calibration.uncertainty import Estimate
from trajerr.checks import is_number, require, require_one_of
from trajerr.dataset.logs import LogFormat
from trajerr.dynamics.printer import Printer
from trajerr.dynamics.second_mode import SecondMode
from trajerr.errors import ConfigError

SCHEMA_VERSION = 1
SENSOR_AXES = ("x", "y", "z")
SHAPED_HZ = (8.0, 150.0)  # natural frequencies that a shaper is recommended for


@dataclass(frozen=True)
class Accelerometer:
    """Files of Klipper's resonance tests, and which way the sensor was mounted; or of a print.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    x: str | None  # file of the test of x; of a print, of the sensor that moves with x
    y: str | None  # of a print: null where the sensor moves with both
    reference: str | None  # of a print: of a sensor on the frame
    x_column: str  # the sensor's axis along the printer's x
    y_column: str
    sweep: Sweep

    def __post_init__(self) -> None:
        for key in ("x_column", "y_column"):
            require_one_of(f"accelerometer.{key}", getattr(self, key), SENSOR_AXES)

    @property
    def files(self) -> dict[str, Path]:
        """By axis, the files given."""
        named = {"x": self.x, "y": self.y, "reference": self.reference}
        return {axis: Path(file) for axis, file in named.items() if file is not None}


@dataclass(frozen=True)
class Calibrated:
    """What a calibration has found."""

    axes: Mapping[str, AxisFindings]  # by "x" and "y"
    printer: str | None  # its config, as text; None where no plant is like what was found
    report: Mapping[str, Any]  # the same for programs


@dataclass(frozen=True)
class CalibrationRun:
    """What to calibrate from, and where the printer goes.

    Raises
    ------
    ConfigError
        A value is out of range, or inputs contradict each other.
    """

    name: str
    base: Printer
    out: str
    output_dir: str
    accelerometer: Accelerometer
    gcode: str | None  # what was printed while the accelerometer recorded
    log_file: str | None
    fit: Unknowns
    test_share: float
    overwrite: bool
    plot: bool
    log: LogFormat | None = None  # needed where log_file is given

    def __post_init__(self) -> None:
        require_name(self.name)
        share = self.test_share
        require("test_share", share, is_number(share) and 0.0 <= share < 0.9, "0 to below 0.9")
        recorded, logged = bool(self.accelerometer.files), self.log_file is not None
        wanted = "a file here or accelerometer.x=FILE (and accelerometer.y=FILE), not both"
        require("log_file", self.log_file, recorded != logged, wanted)
        sensor, told = self.accelerometer, self.gcode is not None
        wanted = "null without gcode=PRINT: a resonance test needs none"
        require("accelerometer.reference", sensor.reference, told or not sensor.reference, wanted)
        wanted = "a file, of the sensor that moved with x while gcode was printed"
        require("accelerometer.x", sensor.x, not told or sensor.x is not None, wanted)
        wanted = "false without log_file: a drive is told by a log of positions"
        require("fit.integral", self.fit.integral, logged or not self.fit.integral, wanted)
        wanted = "csv, or another format of the group log, as log_file is given"
        require("log", self.log, self.log is not None or not logged, wanted)

    def calibrate(self) -> Calibrated:
        """Measure each axis and return the printer that has what was found.

        Raises
        ------
        DataError
            An input cannot be used, or the printer exists and ``overwrite`` is false.
        """
        out = Path(self.out)
        refuse_existing(out, overwrite=self.overwrite)
        axes, alignment = self._findings()
        sources = {str(path): _sha256(path) for path in self._files}
        if self.fit.integral:  # which no printer's axis has
            return Calibrated(axes, None, self._report(axes, sources))
        measured = {axis: _measured(found) for axis, found in axes.items()}
        said = "; ".join(f"{Path(p).name}, sha256 {digest}" for p, digest in sources.items())
        source = f"trajerr.calibrate from {said}"
        printer = calibrated(self.base, self.name, measured, source, list(sources.values()))
        text = render(printer, self.base, measured, version("trajerr"))
        made = {"printer": printer.to_dict(), "identity": printer.identity}
        return Calibrated(axes, text, self._report(axes, sources) | made | alignment)

    def _findings(self) -> tuple[dict[str, AxisFindings], dict[str, Any]]:
        """Return what was found of each axis, and of clock and mounting where there was a print."""
        if self.log_file is not None:
            return self._from_log(), {}
        if self.gcode is None:
            return self._from_accelerometer(), {}
        return self._from_print(Path(self.gcode))

    @property
    def _files(self) -> list[Path]:
        if self.log_file is not None:
            return [Path(self.log_file)]
        printed = [] if self.gcode is None else [Path(self.gcode)]
        return list(dict.fromkeys([*printed, *self.accelerometer.files.values()]))

    def _from_accelerometer(self) -> dict[str, AxisFindings]:
        sensor = self.accelerometer
        axes = {}
        for axis, file in sensor.files.items():
            spectrum = read_spectrum(file)
            column = SENSOR_AXES.index(getattr(sensor, f"{axis}_column"))
            found = fit_resonance(spectrum, column, sensor.sweep, str(file))
            best, others = recommend(spectrum)
            axes[axis] = AxisFindings(
                found.natural_freq_hz,
                found.damping_ratio,
                resonance=found,
                spectrum=spectrum,
                column=column,
                best=best,
                shapers=others,
            )
        return axes

    def _from_print(self, gcode: Path) -> tuple[dict[str, AxisFindings], dict[str, Any]]:
        found = fit_recorded_print(
            gcode,
            self.accelerometer.files,
            self.base,
            viscous=self.fit.viscous,
            second_mode=self.fit.second_mode,
        )
        axes = {}
        for axis, fitted in found.axes.items():
            natural, damping = (fitted.estimates[n] for n in ("natural_freq_hz", "damping_ratio"))
            best, others = _shapers(natural, damping)
            axes[axis] = AxisFindings(
                natural,
                damping,
                recorded=fitted,
                delay_s=found.delays.get(axis),
                best=best,
                shapers=others,
            )
        return axes, {"alignment": found.to_dict()}

    def _from_log(self) -> dict[str, AxisFindings]:
        if self.log_file is None or self.log is None:  # refused by the constructor
            raise ConfigError("log_file and log are expected together")
        path = Path(self.log_file)
        axes = {}
        for axis, log in read_axes(path, self.log, float(self.test_share)).items():
            found = identify(log, self.fit, self.base, axis, f"{path}, {axis}")
            natural, damping = (found.estimates[n] for n in ("natural_freq_hz", "damping_ratio"))
            is_drive = self.fit.integral or found.servo.drag_share > 0.0
            best, others = (None, []) if is_drive else _shapers(natural, damping)
            axes[axis] = AxisFindings(natural, damping, identified=found, best=best, shapers=others)
        return axes

    def _report(
        self, axes: Mapping[str, AxisFindings], sources: Mapping[str, str]
    ) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "base": self.base.name,
            "version": version("trajerr"),
            "sources": [{"file": file, "sha256": digest} for file, digest in sources.items()],
            "axes": {axis: _axis_report(found) for axis, found in axes.items()},
        }


def _shapers(
    natural: Estimate, damping: Estimate
) -> tuple[ShaperChoice | None, list[ShaperChoice]]:
    """Return shapers for a belt's ringing; none for far off frequencies."""
    if not SHAPED_HZ[0] < natural.value < SHAPED_HZ[1]:
        return None, []
    return recommend(model_spectrum(natural.value, damping.value))


def _measured(found: AxisFindings) -> Measured:
    if found.recorded is not None:
        return _measured_in_print(found, found.recorded)
    if found.identified is None:
        return Measured(found.natural_freq_hz, found.damping_ratio)
    told, servo = found.identified.estimates, found.identified.servo
    decay = 4.0 * math.pi * servo.natural_freq_hz * servo.damping_ratio
    viscous = told["drag_share"].scaled(decay) if "drag_share" in told else None
    if viscous is None and servo.drag_share > 0.0:
        viscous = found.damping_ratio.scaled(4.0 * math.pi * servo.natural_freq_hz)
    friction, delay = told.get("friction_mm_s2"), told.get("delay_s")
    return Measured(found.natural_freq_hz, found.damping_ratio, friction, viscous, delay)


def _measured_in_print(found: AxisFindings, fitted: FittedAxis) -> Measured:
    told = fitted.estimates
    keys = [f.name for f in fields(SecondMode)]
    second = {key: told[f"second_{key}"] for key in keys if f"second_{key}" in told}
    return Measured(
        found.natural_freq_hz,
        found.damping_ratio,
        told["friction_mm_s2"],
        told.get("viscous_per_s"),
        found.delay_s,
        second,
    )


def _axis_report(found: AxisFindings) -> dict[str, Any]:
    report: dict[str, Any] = {
        "natural_freq_hz": found.natural_freq_hz.to_dict(),
        "damping_ratio": found.damping_ratio.to_dict(),
    }
    if found.resonance is not None:
        report["misfit_ln"] = found.resonance.misfit
        report["friction_equals_command_hz"] = found.resonance.friction_hz
    if found.spectrum is not None and found.spectrum.timing is not None:
        report["recording"] = found.spectrum.timing.to_dict() | {"clock": found.spectrum.clock}
    if found.identified is not None:
        log = found.identified
        report |= {name: estimate.to_dict() for name, estimate in log.estimates.items()}
        report["drag_share"] = log.servo.drag_share
        report["fitted"] = _rms(log.rms(held_out=False))
        if log.fitted < len(log.times):
            report["held_out"] = _rms(log.rms(held_out=True))
    if found.recorded is not None:
        report |= _print_report(found, found.recorded)
    if found.best is not None:
        report["shaper"] = found.best.to_dict()
        report["shapers"] = [choice.to_dict() for choice in found.shapers]
    return report


def _print_report(found: AxisFindings, fitted: FittedAxis) -> dict[str, Any]:
    band = [float(fitted.frequency[0]), float(fitted.frequency[-1])]
    said = {"band_hz": band, "explained": fitted.explained, "second_mode": fitted.second_mode}
    said["from_peak"] = fitted.from_peak
    late = {} if found.delay_s is None else {"delay_s": found.delay_s.to_dict()}
    return {name: told.to_dict() for name, told in fitted.estimates.items()} | said | late


def _rms(pair: tuple[float, float]) -> dict[str, float]:
    return {"error_rms_um": 1e3 * pair[0], "left_rms_um": 1e3 * pair[1]}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
