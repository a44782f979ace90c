"""One call: settings found, a file corrected in its place, a sentence on what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trajerr.errors import ConfigError, GcodeError, TrajerrError
from trajerr.gcode.files import read_bytes, unpacked
from trajerr.post.progress import stage
from trajerr.post.settings import MACHINES, Settings, read_printer, settle
from trajerr.post.slicer import Slicer, printers_in

if TYPE_CHECKING:
    from trajerr.correction.compensate import Correction
    from trajerr.correction.run import CorrectionRun, Prepared
    from trajerr.reports.correction_record import Draw

UM = 1000.0  # µm per mm


@dataclass(frozen=True)
class Call:
    """What is to be corrected, and where the result goes."""

    file: Path
    shown: str  # its name for people
    out: Path | None  # None: in place
    slicer: Slicer
    placed: bool = True  # False: it goes on through a pipe, nobody knows where to

    def settings(self, layers: Sequence[Mapping[str, Any]]) -> Settings:
        """Return the settings in force for the printer that the slicer or the file names.

        Raises
        ------
        ConfigError
            As :func:`.settings.settle`.
        GcodeError
            If the file is asked for its printer and cannot be read.
        """
        printers = self.slicer.printers
        if not printers and any(layer.get(MACHINES) for layer in layers):
            printers = printers_in(unpacked(read_bytes(self.file), self.shown)[1])
        return settle(layers, printers)

    def correct(self, settings: Settings) -> str:
        """Correct the file; return what that brings in a sentence.

        Raises
        ------
        TrajerrError
            If it cannot be corrected; it is as it was then.
        OSError
            If it cannot be replaced.
        """
        self._check(settings)
        from trajerr.commands.correcting import correction_run  # brings what takes its time
        from trajerr.dynamics.printer import Printer

        printer = settings["printer"]
        true = None if printer is None else Printer.from_dict(read_printer(str(printer)))
        run = correction_run(settings | self._places(settings), rounds=0)
        with stage(f"{self.shown}: reading and planning"):
            prepared = run.prepare(true)
        with stage(f"{self.shown}: correcting {len(prepared.settings.layers or ())} layers"):
            done = prepared.correct(lambda done: self._comments(run, prepared, done))
        if done.text is None:
            raise GcodeError(
                f"{self.shown}: left as it was: the correction is predicted to bring "
                f"{100 * done.improvement:.1f} %, less than {100 * settings['least_improvement']:g}"
                " % (least_improvement)"
            )
        outcome = f"corrected: {_what_it_brings(done)}, in {done.seconds:.0f} s"
        if not run.report:
            return outcome
        with stage(f"{self.shown}: replaying for the report"):
            return f"{outcome}; {_report(prepared, done, settings)}"

    def _check(self, settings: Settings) -> None:
        """Refuse, before anything heavy is loaded, what is seen at once."""
        if not self.file.is_file():
            read_bytes(self.file)  # says why it cannot be
            raise GcodeError(f"{self.file}: is not a regular file, expected a G-code file")
        bundle, method = settings["bundle"], settings["method"]
        if bundle is None and method != "twin":
            raise ConfigError("bundle: got none, expected the folder of an exported bundle")
        if bundle is not None and not Path(bundle).is_dir() and method != "twin":
            raise ConfigError(f"bundle: got {bundle}, expected the folder of an exported bundle")
        if settings["report"] and settings["report_pictures"]:
            _require_pictures()

    def _places(self, settings: Settings) -> dict[str, Any]:
        """Return the keys that say where things are."""
        return {
            "gcode": str(self.file),
            "out": None if self.out is None else str(self.out),
            "in_place": self.out is None,
            "report_dir": settings["report_dir"] or str(self._report_folder(settings)),
        }

    @property
    def _final(self) -> Path:
        """Where the corrected file will lie."""
        return Path(self.slicer.output_name or self.out or self.file)

    def _comments(
        self, run: "CorrectionRun", prepared: "Prepared", done: "Correction"
    ) -> list[bytes]:
        """Return what stands in the corrected file's head; to a page, where it lies beside."""
        lines = [_comment(run, prepared, done)]
        if run.report and run.report_page and self.placed and not self.slicer.is_upload:
            from trajerr.reports.correction_page import link

            lines.append(link(run.report_folder, self._final))
        return lines

    def _report_folder(self, settings: Settings) -> Path:
        """Return where a report goes: beside the final file, for an upload beside the bundle."""
        from trajerr.gcode.containers.kinds import split_name

        name = self._final
        folder = f"{split_name(name)[0]}_report"
        if self.slicer.is_upload and settings["bundle"]:
            return Path(settings["bundle"]).with_name(folder)
        return name.with_name(folder)


def _comment(run: "CorrectionRun", prepared: "Prepared", done: "Correction") -> bytes:
    model = Path(run.bundle).name if run.bundle and run.method != "twin" else "none"
    text = f"; trajerr: {_what_it_brings(done)}; bundle {model}, printer {prepared.printer.name}"
    return text.encode("utf-8", "backslashreplace")


def _what_it_brings(done: "Correction") -> str:
    before, after = (
        UM * _root_mean_square(values)
        for values in (done.predicted_before_mm, done.predicted_after_mm)
    )
    return (
        f"predicted contour error {before:.1f} to {after:.1f} µm RMS "
        f"({-100 * done.improvement:+.0f} %) in {len(done.layers)} layers, "
        f"moved by {UM * done.largest_mm:.0f} µm at most"
    )


def _root_mean_square(values: Sequence[float]) -> float:
    return float((sum(value * value for value in values) / len(values)) ** 0.5)


def _require_pictures() -> None:
    from importlib.util import find_spec

    absent = [name for name in ("matplotlib", "rich") if find_spec(name) is None]
    if absent:
        raise ConfigError(
            f"report_pictures: {' and '.join(absent)} not installed, "
            "expected: pip install trajerr[report]"
        )


def _pictures(prepared: "Prepared") -> "Draw | None":
    from trajerr.reports.correction_report import pictures  # brings rich, and matplotlib to draw

    return pictures(prepared.run)


def _report(prepared: "Prepared", done: "Correction", settings: Settings) -> str:
    """Write the report; return where it is, or why it is not: the file is corrected by then."""
    from trajerr.reports import correction_record

    try:
        draw = _pictures(prepared) if prepared.run.report_pictures else None
        correction_record.write_record(prepared, done, [], settings, draw)
    except (TrajerrError, OSError, ValueError) as error:
        return f"no report: {' '.join(str(error).split())}"
    return f"report in {prepared.run.report_folder}"
