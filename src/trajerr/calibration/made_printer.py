"""A printer without a recording: from its own firmware's settings, or from ripples on a wall."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trajerr.calibration.printer_file import Measured, calibrated, render, render_stated
from trajerr.calibration.ripples import Reading, Ripples
from trajerr.calibration.target import refuse_existing, require_name
from trajerr.calibration.uncertainty import Estimate
from trajerr.checks import require, require_one_of
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError
from trajerr.gcode.firmware import is_klipper
from trajerr.machine_files.klipper import read_printer_cfg
from trajerr.machine_files.marlin import read_m503
from trajerr.machine_files.stated import Stated, Word
from trajerr.motion.limits import FIRMWARES

SCHEMA_VERSION = 1
KLIPPER = tuple(name for name in FIRMWARES if is_klipper(name))


@dataclass(frozen=True)
class MadePrinter:
    """A printer's config, and the report on how it came about."""

    printer: str  # as text
    report: Mapping[str, Any]
    lines: Sequence[str]  # for the console


@dataclass(frozen=True)
class MachineFile:
    """A machine's own file → its printer config.

    Raises
    ------
    ConfigError
        If a value is out of range, or both files are given.
    """

    name: str
    base: Printer
    out: str
    output_dir: str
    overwrite: bool
    printer_cfg: str | None
    m503: str | None
    firmware: str | None  # which Klipper; None: as the options tell

    def __post_init__(self) -> None:
        require_name(self.name)
        if (self.printer_cfg is None) == (self.m503 is None):
            raise ConfigError(f"m503: got {self.m503}, expected a file here or printer_cfg=FILE")
        if self.firmware is not None:
            require_one_of("firmware", self.firmware, KLIPPER)
            wanted = "null beside m503, which tells it"
            require("firmware", self.firmware, self.printer_cfg is not None, wanted)

    def make(self) -> MadePrinter:
        """Read the file and return the printer that it describes.

        Raises
        ------
        DataError
            It cannot be read, or the printer exists and ``overwrite`` is false.
        """
        refuse_existing(Path(self.out), overwrite=self.overwrite)
        stated, files = self._read()
        sources = _sources(files)
        what = "printer.cfg" if self.printer_cfg is not None else "M503"
        named = "; ".join(f"{Path(s['file']).name}, sha256 {s['sha256']}" for s in sources)
        printer = stated.applied(self.base, self.name, f"trajerr.calibrate from {what}: {named}")
        text = render_stated(printer, self.base, stated.comments(self.base), version("trajerr"))
        report = _report(printer, self.base, sources) | {
            "stated": dict(stated.sources),
            "notes": list(stated.notes),
            "understood_beside": [_word(word) for word in stated.beside],
            "not_understood": [_word(word) for word in stated.not_understood],
        }
        return MadePrinter(text, report, _said(stated))

    def _read(self) -> tuple[Stated, Sequence[Path]]:
        if self.printer_cfg is not None:
            return read_printer_cfg(Path(self.printer_cfg), self.firmware)
        path = Path(str(self.m503))
        return read_m503(path, self.base), [path]


def _said(stated: Stated) -> list[str]:
    lines = [f"understood: {key} by {words}" for key, words in stated.sources.items()]
    lines += [f"understood, but no part of a printer's config: {w.said}" for w in stated.beside]
    lines += [f"not understood: {word.said}" for word in stated.not_understood]
    return [*lines, *(f"note: {note}" for note in stated.notes)]


def _word(word: Word) -> dict[str, str]:
    return {"place": word.place, "name": word.name, "value": word.value}


@dataclass(frozen=True)
class RingingTest:
    """Ripples on a printed tower's walls → a printer with its frequencies.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    name: str
    base: Printer
    out: str
    output_dir: str
    overwrite: bool
    ringing: Mapping[str, Any]  # by "x" and "y": what was counted and measured, or None
    reading: Reading

    def __post_init__(self) -> None:
        require_name(self.name)
        counted = any(values is not None for values in self.ringing.values())
        require("ringing", dict(self.ringing), counted, "x or y, or both")

    def make(self) -> MadePrinter:
        """Return the base printer with the frequencies found.

        Raises
        ------
        ConfigError
            What was counted is out of range.
        DataError
            The printer exists and ``overwrite`` is false.
        """
        refuse_existing(Path(self.out), overwrite=self.overwrite)
        given = {axis: values for axis, values in self.ringing.items() if values is not None}
        found = {axis: self._frequency(axis, values) for axis, values in given.items()}
        measured = {axis: Measured(frequency) for axis, frequency in found.items()}
        printer = calibrated(self.base, self.name, measured, f"ripples on a tower: {given}")
        text = render(printer, self.base, measured, version("trajerr"))
        axes = {axis: {"natural_freq_hz": one.to_dict()} for axis, one in found.items()}
        report = _report(printer, self.base, []) | {"ringing": given, "axes": axes}
        return MadePrinter(text, report, [_line(axis, one) for axis, one in found.items()])

    def _frequency(self, axis: str, values: object) -> Estimate:
        damping = getattr(self.base, axis).damping_ratio
        return Ripples.read(axis, values).natural_frequency(damping, self.reading)


def _line(axis: str, found: Estimate) -> str:
    return (
        f"{axis}: natural frequency {found.value:.1f} Hz (95 %: {found.low:.1f} to "
        f"{found.high:.1f}); damping ratio and friction are the base printer's"
    )


def _report(
    printer: Printer, base: Printer, sources: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "name": printer.name,
        "base": base.name,
        "version": version("trajerr"),
        "sources": list(sources),
        "printer": printer.to_dict(),
        "identity": printer.identity,
    }


def _sources(files: Sequence[Path]) -> list[dict[str, str]]:
    return [
        {"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in dict.fromkeys(files)
    ]
