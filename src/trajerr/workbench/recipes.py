"""The screens' forms, and the command lines that do what they ask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from trajerr.correction.boards import BOARDS
from trajerr.workbench import command_lines
from trajerr.workbench.command_lines import (
    APART,
    EFFORTS,
    LOG,
    LOGGED,
    RECORDED,
    RESONANCE,
    SIMULATED,
)
from trajerr.workbench.folder import WORK, Folder
from trajerr.workbench.forms import (
    CHOICE,
    FILE,
    NUMBER,
    TEXT,
    Field,
    Form,
    read_form,
)
from trajerr.workbench.work import Step, Work

BOARD_NAMES = {
    "klipper": "Klipper (Raspberry Pi or the like beside the board)",
    "marlin_sd": "Marlin, from the SD card",
    "marlin_serial": "Marlin, by USB at 115,200 baud",
}


@dataclass(frozen=True)
class Recipe:
    """One screen: what is asked there, and what is done then."""

    kind: str
    title: str
    lead: str
    button: str
    fields: tuple[Field, ...]
    steps: Callable[[Form, str], Sequence[Step]]  # of a form and the work's own folder
    named: str  # the field that the work is called by
    results: Callable[[Form, str], Mapping[str, str]]

    def work(self, form: Form, folder: Folder) -> Work:
        """Return the work that a form asks for.

        Raises
        ------
        ConfigError, DataError
            If it asks for what cannot be.
        """
        said = read_form(self.fields, form, folder)
        new = Work.new(self.kind, PurePosixPath(said[self.named]).name, (), said)
        place = f"{WORK}/{new.id}"
        steps, results = tuple(self.steps(said, place)), self.results(said, place)
        return Work(new.id, new.kind, new.title, steps, new.began, said, results)

    def lines(self, form: Form, folder: Folder) -> list[str]:
        """Return the command lines that do what a form asks for."""
        said = read_form(self.fields, form, folder)
        return [step.line for step in self.steps(said, f"{WORK}/ID")]


def _gcode(folder: Folder) -> list[tuple[str, str]]:
    return [(name, name) for name in folder.gcode()]


def _recordings(folder: Folder) -> list[tuple[str, str]]:
    return [(name, name) for name in folder.recordings()]


def _bundles(folder: Folder) -> list[tuple[str, str]]:
    return [(name, name) for name in folder.bundles()]


def _printers(folder: Folder) -> list[tuple[str, str]]:
    return [(name, name) for name in folder.printers()]


def _collections(folder: Folder) -> list[tuple[str, str]]:
    return [(name, name) for name in folder.collections()]


def _some(**labels: str) -> Callable[[Folder], list[tuple[str, str]]]:
    return lambda folder: list(labels.items())


def _or_none(
    label: str, options: Callable[[Folder], list[tuple[str, str]]]
) -> Callable[[Folder], list[tuple[str, str]]]:
    return lambda folder: [("", label), *options(folder)]


_COLUMN = "the name that stands above the column in the CSV file"


def _columns(only: str) -> tuple[Field, ...]:
    names = (("x_commanded", "x_ref"), ("x_measured", "x_act"), ("y_commanded", "y_ref"))
    told = {"commanded": "where it should be", "measured": "where it was"}
    fields = [Field("time", "Column of the time (s)", TEXT, _COLUMN, None, "time")]
    for name, usual in (*names, ("y_measured", "y_act")):
        axis, what = name.split("_")
        fields.append(
            Field(name, f"Column of {axis}: {told[what]} (mm)", TEXT, "", None, usual, False)
        )
    return tuple(
        Field(f.name, f.label, f.kind, f.hint, None, f.value, f.needed, ("source", only))
        for f in fields
    )


_FILE = Field("gcode", "G-code file", FILE, "as your slicer writes it, in any container", _gcode)

RECIPES: Mapping[str, Recipe] = {
    recipe.kind: recipe
    for recipe in (
        Recipe(
            "file",
            "Look at a file",
            "Drop a file of your slicer. You see what was understood of it, and every layer, "
            "coloured by how fast the nozzle moves there or how far it will miss its path.",
            "Look at it",
            (
                _FILE,
                Field("printer", "Printer", CHOICE, "whose firmware plans the motion", _printers),
                Field(
                    "bundle",
                    "What was learnt of the printer",
                    CHOICE,
                    "with a bundle, the error that it predicts is shown as well",
                    _or_none("none: speed and acceleration only", _bundles),
                    needed=False,
                ),
            ),
            command_lines.look,
            "gcode",
            command_lines.look_results,
        ),
        Recipe(
            "printer",
            "Measure a printer",
            "A printer swings when it brakes, like a weight on a spring. From a recording we find "
            "how fast it swings, how soon that dies down, and how sure that is.",
            "Measure",
            (
                Field("name", "Name of the new printer", TEXT, "letters, digits, _ and -"),
                Field("base", "Most like it", CHOICE, "gives what is not measured", _printers),
                Field(
                    "source",
                    "What you have recorded",
                    CHOICE,
                    "",
                    _some(
                        resonance="Klipper's resonance test (TEST_RESONANCES … OUTPUT=raw_data)",
                        log="positions: where it should be and where it was, a CSV file",
                    ),
                    RESONANCE,
                ),
                Field(
                    "x",
                    "Recording along x",
                    FILE,
                    "raw_data_x_….csv",
                    _recordings,
                    needed=False,
                    only=("source", RESONANCE),
                ),
                Field(
                    "y",
                    "Recording along y",
                    FILE,
                    "raw_data_y_….csv",
                    _recordings,
                    needed=False,
                    only=("source", RESONANCE),
                ),
                Field("log", "CSV file", FILE, "", _recordings, only=("source", LOG)),
                *_columns(LOG),
            ),
            command_lines.calibrate,
            "name",
            command_lines.calibrate_results,
        ),
        Recipe(
            "learn",
            "Learn a printer",
            "A network learns how far the nozzle misses its path, from recordings of your printer "
            "or from a simulated one. What comes out is a bundle, which corrects files.",
            "Learn",
            (
                Field("name", "Name of the bundle", TEXT, "letters, digits, _ and -"),
                Field(
                    "source",
                    "Learn from",
                    CHOICE,
                    "",
                    _some(
                        simulated="a simulated print on a printer of the list",
                        recorded="recorded layers in the folder (.mat files)",
                        logged="a log of positions (CSV file)",
                    ),
                    SIMULATED,
                ),
                Field("printer", "Printer", CHOICE, "", _printers, "", True, ("source", SIMULATED)),
                Field(
                    "gcode",
                    "Part to print",
                    FILE,
                    "none: four test parts that come with trajerr",
                    _gcode,
                    needed=False,
                    only=("source", SIMULATED),
                ),
                Field(
                    "layers",
                    "Layers",
                    TEXT,
                    "all, sampled:5 for every fifth, 10-20, or 7",
                    None,
                    "sampled:5",
                    only=("source", SIMULATED),
                ),
                Field(
                    "recordings",
                    "Folder of recordings",
                    CHOICE,
                    "",
                    _collections,
                    only=("source", RECORDED),
                ),
                Field("log", "CSV file", FILE, "", _recordings, only=("source", LOGGED)),
                *_columns(LOGGED),
                Field(
                    "effort",
                    "Size of the network",
                    CHOICE,
                    "",
                    _some(**{name: label for name, (label, _) in EFFORTS.items()}),
                    "base",
                ),
                Field(
                    "epochs",
                    "Epochs at most",
                    NUMBER,
                    "how often all recordings are gone through; empty: as usual",
                    needed=False,
                ),
            ),
            command_lines.learn,
            "name",
            command_lines.learn_results,
        ),
        Recipe(
            "correct",
            "Correct a file",
            "The walls of the corrected file are moved by as much as the printer would miss them, "
            "the other way. The original stays as it is.",
            "Correct it",
            (
                _FILE,
                Field(
                    "bundle",
                    "What was learnt of the printer",
                    CHOICE,
                    "a bundle: made under Learn, or added below",
                    _bundles,
                ),
                Field(
                    "printer",
                    "Printer",
                    CHOICE,
                    "",
                    _or_none("the one that the bundle was made for", _printers),
                    needed=False,
                ),
                Field(
                    "board",
                    "The printer's board",
                    CHOICE,
                    "the file asks for no more than it takes",
                    _or_none(
                        "any: no limit on moves a second",
                        _some(**{name: BOARD_NAMES.get(name, name) for name in BOARDS}),
                    ),
                    needed=False,
                ),
                Field(
                    "layers",
                    "Layers",
                    TEXT,
                    "all, sampled:5 for every fifth, 10-20, or 7",
                    None,
                    "all",
                ),
                Field(
                    "place",
                    "The corrected file",
                    CHOICE,
                    "",
                    _some(
                        apart="to download from here",
                        beside="is written beside the original, and to download",
                    ),
                    APART,
                ),
            ),
            command_lines.correct,
            "gcode",
            command_lines.correct_results,
        ),
    )
}
