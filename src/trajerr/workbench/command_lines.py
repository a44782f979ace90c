"""From a filled-in form to the command lines that do the same; ``place`` is the work's folder."""

import re
from pathlib import PurePosixPath

from trajerr.commands.quoting import stated
from trajerr.errors import ConfigError
from trajerr.gcode.containers.kinds import split_name
from trajerr.workbench.folder import PRINTERS
from trajerr.workbench.forms import Form
from trajerr.workbench.work import Step

PRINTER_NAME = re.compile(r"(?!(?:null|true|false)$)[A-Za-z_][A-Za-z0-9_-]{0,60}")
LAYERS = re.compile(r"all|sampled:[1-9]\d{0,5}|\d{1,6}(-\d{1,6})?")
RESONANCE, LOG, RINGING, PRINT = "resonance", "log", "ringing", "print"
PRINTER_CFG, M503 = "printer_cfg", "m503"  # keys of calibrate that take a file
PRINTS = "prints"
TO_RUN = {  # keys of calibrate that write a file, and how that is called
    "ringing_tower": "tower",
    "test_print": "record",
}
BESIDE, APART = "beside", "apart"


def look(form: Form, place: str) -> list[Step]:
    """Return what reads and plans a file."""
    file = form["gcode"]
    arguments = [f"./{file}" if file.startswith("-") else file]
    arguments += ["--printer", form["printer"], "--out", place]
    arguments += ["--bundle", form["bundle"]] if form["bundle"] else []
    return [Step("Reading and planning the file", "workbench.look", tuple(arguments))]


def look_results(form: Form, place: str) -> dict[str, str]:
    """Return where that is written."""
    return {"understood": f"{place}/understood.json", "viewer": f"{place}/layers.html"}


def calibrate(form: Form, place: str) -> list[Step]:
    """Return what measures a printer, or writes what it is to be measured by."""
    name, source = printer_name(form["name"]), form["source"]
    if source in TO_RUN:
        arguments = [f"printer={form['base']}", f"{source}={_to_run(form)}", "overwrite=true"]
        return [Step("Writing the file to run", "calibrate", tuple(arguments))]
    arguments = [f"name={name}", f"printer={form['base']}", f"output_dir={place}"]
    if source == LOG:
        arguments += [stated("log_file", form["log"]), *log_columns(form)]
    elif source in (PRINTER_CFG, M503):
        arguments.append(stated(source, form[source]))
    elif source == RINGING:
        arguments += _ripples(form)
    elif source == PRINT:
        arguments += [stated("gcode", form["gcode"]), *sensors(form, "accelerometer")]
    else:
        if not form["x"] and not form["y"]:
            raise ConfigError("recording along x: nothing is given, expected a file for x or y")
        files = {axis: form[axis] for axis in "xy" if form[axis]}
        arguments += [stated(f"accelerometer.{axis}", file) for axis, file in files.items()]
    return [Step("Measuring the printer", "calibrate", tuple(arguments))]


def sensors(form: Form, group: str) -> list[str]:
    """Return the files of a print's sensors as keys of a group."""
    return [stated(f"{group}.{key}", file) for key, file in sensor_files(form).items()]


def sensor_files(form: Form) -> dict[str, str]:
    """Return the files of a print's sensors, by x, y and reference; those that there are."""
    given = {key: form[f"sensor_{key}"] for key in ("x", "y", "reference")}
    return {key: file for key, file in given.items() if file}


def _ripples(form: Form) -> list[str]:
    arguments = []
    for axis in "xy":
        values = {key: form[f"{axis}_{key}"] for key in ("speed_mm_s", "ripples", "distance_mm")}
        if values["ripples"] and values["distance_mm"] and values["speed_mm_s"]:
            inner = ",".join(f"{key}:{value}" for key, value in values.items())
            arguments.append(f"ringing.{axis}={{{inner}}}")
        elif values["ripples"] or values["distance_mm"]:
            raise ConfigError(f"ripples of {axis}: got some of three, expected all or none")
    if not arguments:
        raise ConfigError("ripples: nothing is given, expected those of one wall at least")
    return arguments


def _to_run(form: Form) -> str:
    return f"{PRINTS}/{form['name']}_{TO_RUN[form['source']]}.gcode"


def calibrate_results(form: Form, place: str) -> dict[str, str]:
    """Return where what was found, or the file to run, is written."""
    if form["source"] in TO_RUN:
        return {"to_run": _to_run(form)}
    return {
        "found": f"{place}/calibration.json",
        "pictures": place,
        "printer": f"{PRINTERS.as_posix()}/{form['name']}.yaml",
    }


def log_columns(form: Form) -> list[str]:
    """Return the columns of a log of positions.

    Raises
    ------
    ConfigError
        If an axis has one of two.
    """
    arguments = ["log=csv", stated("log.time", form["time"])]
    for axis in "xy":
        commanded, measured = form[f"{axis}_commanded"], form[f"{axis}_measured"]
        if not commanded and not measured:
            arguments.append(f"log.{axis}=null")
            continue
        if not commanded or not measured:
            raise ConfigError(f"columns of {axis}: got one of two, expected both or none")
        arguments.append(stated(f"log.{axis}.commanded", commanded))
        arguments.append(stated(f"log.{axis}.measured", measured))
    return arguments


def correct(form: Form, place: str) -> list[Step]:
    """Return what corrects a file."""
    arguments = [stated("gcode", form["gcode"]), stated("bundle", form["bundle"])]
    arguments += [f"layers={layers(form['layers'])}"]
    arguments += [f"printer={form['printer']}"] if form["printer"] else []
    arguments += [f"board={form['board']}"] if form["board"] else []
    arguments += [stated("out", _corrected(form, place))]
    arguments += [stated("report_dir", f"{place}/report"), "report_pictures=false"]
    return [Step("Correcting", "correct", tuple(arguments))]


def correct_results(form: Form, place: str) -> dict[str, str]:
    """Return where the corrected file and its report go."""
    return {"corrected": _corrected(form, place), "report": f"{place}/report"}


def _corrected(form: Form, place: str) -> str:
    """Return where the corrected file goes: beside the original, or into the work's folder."""
    path = PurePosixPath(form["gcode"])
    stem, ending = split_name(path)  # type: ignore[arg-type]
    name = f"{stem}_corrected{ending}"
    return str(path.with_name(name)) if form["place"] == BESIDE else f"{place}/{name}"


def layers(said: str) -> str:
    """Return which layers are meant, as commands take it.

    Raises
    ------
    ConfigError
        If it says none.
    """
    if not LAYERS.fullmatch(said):
        raise ConfigError(
            f"layers: got {said!r}, expected all, sampled:5 (every fifth), 10-20, or 7"
        )
    return said


def printer_name(said: str) -> str:
    """Return a name that a printer or a bundle can have.

    Raises
    ------
    ConfigError
        If none can.
    """
    if not PRINTER_NAME.fullmatch(said):
        raise ConfigError(
            f"name: got {said!r}, expected letters a to z, digits, _ and -, a letter first"
        )
    return said
