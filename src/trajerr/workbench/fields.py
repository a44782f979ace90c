"""What each screen asks for: its fields, in order."""

from collections.abc import Callable

from trajerr.correction.boards import BOARDS
from trajerr.workbench.command_lines import (
    APART,
    LOG,
    M503,
    PRINT,
    PRINTER_CFG,
    RESONANCE,
    RINGING,
)
from trajerr.workbench.folder import Folder
from trajerr.workbench.forms import AMOUNT, CHOICE, FILE, NUMBER, TEXT, Field
from trajerr.workbench.includes import require_includes_inside
from trajerr.workbench.learning_lines import (
    EFFORTS,
    LOGGED,
    MACHINE,
    RECORDED,
    SENSED,
    SIMULATED,
)

BOARD_NAMES = {
    "klipper": "Klipper (Raspberry Pi or the like beside the board)",
    "marlin_sd": "Marlin, from the SD card",
    "marlin_serial": "Marlin, by USB at 115,200 baud",
}


Options = Callable[[Folder], list[tuple[str, str]]]  # (value, what it is called) to choose from


def _named(listed: Callable[[Folder], list[str]]) -> Options:
    return lambda folder: [(name, name) for name in listed(folder)]


_gcode, _recordings = _named(Folder.gcode), _named(Folder.recordings)
_bundles, _printers = _named(Folder.bundles), _named(Folder.printers)
_collections, _trainings = _named(Folder.collections), _named(Folder.trainings)


def _some(**labels: str) -> Options:
    return lambda folder: list(labels.items())


def _or_none(label: str, options: Options) -> Options:
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


def _when(*sources: str) -> tuple[str, ...]:
    return ("source", *sources)


def _sensors(*sources: str) -> tuple[Field, ...]:
    told = {
        "x": ("Sensor that moves with x", "Klipper's raw data, such as adxl345-….csv", True),
        "y": ("Sensor that moves with y", "none where the first moves with y as well", False),
        "reference": ("Sensor on the frame", "none, or what its sway is told by", False),
    }
    return tuple(
        Field(f"sensor_{key}", label, FILE, hint, _recordings, "", needed, _when(*sources))
        for key, (label, hint, needed) in told.items()
    )


def _ripples() -> tuple[Field, ...]:
    asked = {
        "speed_mm_s": ("speed of the walls (mm/s)", "60"),
        "ripples": ("ripples counted", ""),
        "distance_mm": ("from the first to the last of them (mm)", ""),
    }
    walls = {"x": "Walls along y", "y": "Walls along x"}
    return tuple(
        Field(f"{axis}_{key}", f"{wall}: {label}", AMOUNT, "", None, usual, False, _when(RINGING))
        for axis, wall in walls.items()
        for key, (label, usual) in asked.items()
    )


_FILE = Field("gcode", "G-code file", FILE, "as your slicer writes it, in any container", _gcode)

FILE_FIELDS = (
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
)

PRINTER_FIELDS = (
    Field("name", "Name of the new printer", TEXT, "letters, digits, _ and -"),
    Field("base", "Most like it", CHOICE, "gives what is not measured", _printers),
    Field(
        "source",
        "What you have",
        CHOICE,
        "",
        _some(
            resonance="Klipper's resonance test (TEST_RESONANCES … OUTPUT=raw_data)",
            log="positions: where it should be and where it was, a CSV file",
            print="an accelerometer's recording of a print",
            printer_cfg="no recording, but Klipper's printer.cfg",
            m503="no recording, but what Marlin answers to M503, as a text",
            ringing="ripples, counted and measured on the walls of a ringing tower",
            ringing_tower="nothing yet: make the ringing tower to print and measure",
            test_print="nothing yet: make the motion to record, without filament",
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
    Field("gcode", "What was printed", FILE, "the G-code file", _gcode, only=_when(PRINT)),
    *_sensors(PRINT),
    Field(
        "printer_cfg",
        "printer.cfg",
        FILE,
        "what it includes is dropped beside it",
        _recordings,
        only=_when(PRINTER_CFG),
        check=require_includes_inside,
    ),
    Field("m503", "Answer to M503", FILE, "", _recordings, only=_when(M503)),
    *_ripples(),
)

LEARN_FIELDS = (
    Field("name", "Name of the bundle", TEXT, "letters, digits, _ and -; of a new printer as well"),
    Field(
        "source",
        "Learn from",
        CHOICE,
        "",
        _some(
            simulated="a simulated print on a printer of the list",
            recorded="recorded layers in the folder (.mat files)",
            logged="a log of positions (CSV file)",
            machine="an accelerometer's recording of a print: measure, simulate, learn in one go",
            sensed="an accelerometer's recording of a print, of a printer that is measured already",
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
        "printed",
        "What was printed",
        FILE,
        "the G-code file, of several layers",
        _gcode,
        only=_when(SENSED, MACHINE),
    ),
    *_sensors(SENSED, MACHINE),
    Field(
        "like",
        "Most like it",
        CHOICE,
        "gives what is not measured; best one that was made of your printer.cfg or M503",
        _printers,
        only=_when(MACHINE),
    ),
    Field(
        "sensed_printer",
        "Printer",
        CHOICE,
        "like the one that printed; best one that was measured by this recording",
        _printers,
        only=_when(SENSED),
    ),
    Field(
        "pretrained",
        "Begin with",
        CHOICE,
        "what was learnt of another printer saves most of the work; of the size below",
        _or_none("nothing: a new network", _trainings),
        needed=False,
    ),
    Field(
        "effort",
        "Size of the network",
        CHOICE,
        "",
        _some(**{name: label for name, (label, *_) in EFFORTS.items()}),
        "base",
    ),
    Field(
        "epochs",
        "Epochs at most",
        NUMBER,
        "how often all recordings are gone through; empty: as usual",
        needed=False,
    ),
)

CORRECT_FIELDS = (
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
)
