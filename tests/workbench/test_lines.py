"""The command lines of the screens are lines that the commands take, and stay in the folder."""

import runpy
import shlex
from pathlib import Path

import pytest

from tests.paths import PROJECT
from trajerr.commands.configs import compose
from trajerr.correction.compensate import STAGES
from trajerr.errors import ConfigError, DataError
from trajerr.reports.collection_report import STAGE
from trajerr.workbench import progress
from trajerr.workbench.folder import Folder
from trajerr.workbench.forms import read_form
from trajerr.workbench.learning_lines import EFFORTS
from trajerr.workbench.recipes import RECIPES

LOG = {
    "time": "t",
    "x_commanded": "x ref",
    "x_measured": "x_act",
    "y_commanded": "",
    "y_measured": "",
}
ODD, CSV = "it's ${x}.gcode", "a,b {c}.csv"
CFG = "printer.cfg"
BEST = "outputs/train/first/checkpoints/best.ckpt"
SENSORS = {"sensor_x": "a,b {c}.csv", "sensor_reference": "a,b {c}.csv"}
RIPPLES = {"x_speed_mm_s": "60", "x_ripples": "6", "x_distance_mm": "9.5"}
FORMS = {
    "printer": {"name": "mine", "base": "ender3_v2", "x": CSV},
    "printer log": {"name": "mine", "base": "corexy", "source": "log", "log": CSV, **LOG},
    "printer cfg": {"name": "mine", "base": "corexy", "source": "printer_cfg", "printer_cfg": CFG},
    "printer m503": {"name": "mine", "base": "corexy", "source": "m503", "m503": CSV},
    "printer ringing": {"name": "mine", "base": "corexy", "source": "ringing", **RIPPLES},
    "printer tower": {"name": "mine", "base": "corexy", "source": "ringing_tower"},
    "printer record": {"name": "mine", "base": "corexy", "source": "test_print"},
    "printer print": {"name": "mine", "base": "corexy", "source": "print", "gcode": ODD, **SENSORS},
    "learn": {"name": "mine", "printer": "corexy", "gcode": ODD, "epochs": "3"},
    "learn log": {"name": "mine", "source": "logged", "log": CSV, "effort": "small", **LOG},
    "learn recorded": {"name": "mine", "source": "recorded", "recordings": "data/raw"},
    "learn sensed": {
        "name": "mine",
        "source": "sensed",
        "printed": "part.gcode",
        "sensed_printer": "corexy",
        "pretrained": BEST,
        **SENSORS,
    },
    "learn machine": {
        "name": "mine",
        "source": "machine",
        "printed": "part.gcode",
        "like": "corexy",
        **SENSORS,
    },
    "correct": {"gcode": ODD, "bundle": "b 1", "board": "marlin_sd", "printer": "corexy"},
    "correct beside": {
        "gcode": "part.gcode",
        "bundle": "b 1",
        "place": "beside",
        "layers": "10-20",
    },
}


@pytest.fixture
def folder(tmp_path):
    for name in ("it's ${x}.gcode", "part.gcode", CSV, CFG, BEST, "b 1/bundle.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    part = tmp_path / "data" / "raw" / "data_simulation_boat"
    part.mkdir(parents=True)
    (part / "layer0001_a1_v1.mat").write_text("")
    return Folder(tmp_path)


def composed(form, folder):
    kind = form.partition(" ")[0]
    for line in RECIPES[kind].lines(FORMS[form], folder):
        python, _, module, *arguments = shlex.split(line)
        assert python == "python"
        plain = [text for text in arguments if not text.startswith("hydra.")]
        # A printer that is measured in the same work is there only when that is done.
        plain = [text.replace("printer=mine", "printer=corexy") for text in plain]
        yield module, compose(module.removeprefix("trajerr."), *plain)


@pytest.mark.parametrize("form", FORMS)
def test_every_line_is_one_that_its_command_composes(folder, form):
    assert list(composed(form, folder))


def test_names_with_any_letters_reach_the_command_as_they_are(folder):
    ((_, correct),) = composed("correct", folder)
    assert correct["gcode"] == "it's ${x}.gcode"
    assert correct["bundle"] == "b 1"
    ((_, calibrate),) = composed("printer", folder)
    assert calibrate["accelerometer"]["x"] == "a,b {c}.csv"
    (_, prepare), *_ = composed("learn log", folder)
    assert prepare["data_dirs"] == ["a,b {c}.csv"]
    assert prepare["log"]["x"]["commanded"] == "x ref"
    assert prepare["log"]["y"] is None


def test_the_corrected_file_goes_beside_the_original_or_into_the_works_folder(folder):
    ((_, apart),) = composed("correct", folder)
    assert apart["out"] == "work/ID/it's ${x}_corrected.gcode"
    ((_, beside),) = composed("correct beside", folder)
    assert beside["out"] == "part_corrected.gcode"


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_written_outside_the_folder(folder, form):
    for module, config in composed(form, folder):
        for key in ("out", "output_dir", "report_dir"):
            if isinstance(config.get(key), str):
                folder.inside(config[key])
        made = (config.get(key) for key in ("test_print", "ringing_tower"))
        if written := next(filter(None, made), None):
            assert folder.inside(written).parent == folder.root / "prints"
        elif module == "trajerr.calibrate":
            assert config["out"] == "conf/printer/mine.yaml"


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("learn", "name", "a/b"),
        ("learn", "name", "null"),
        ("learn", "printer", "nobody"),
        ("learn", "layers", "[1,2]"),
        ("learn", "effort", "huge"),
        ("learn", "epochs", "-1"),
        ("learn", "epochs", "1e9"),
        ("learn", "epochs", "٣"),
        ("learn", "source", "elsewhere"),
        ("correct", "gcode", "/etc/passwd"),
        ("correct", "gcode", "../part.gcode"),
        ("correct", "bundle", "data"),
        ("correct", "board", "abacus"),
        ("correct", "place", "elsewhere"),
        ("correct", "layers", "all out=/tmp/x"),
        ("printer", "name", "../../x"),
        ("printer", "x", "none.csv"),
        ("printer", "name", "a\nb"),
        ("printer", "name", "a" * 300),
    ],
)
def test_each_wrong_answer_is_refused_in_one_line(folder, kind, field, value):
    with pytest.raises((ConfigError, DataError)) as caught:
        RECIPES[kind].lines(FORMS[kind] | {field: value}, folder)
    assert "\n" not in str(caught.value)


def test_a_print_with_its_sensors_reaches_the_commands(folder):
    ((_, config),) = composed("printer print", folder)
    assert config["gcode"] == ODD
    assert (config["accelerometer"]["x"], config["accelerometer"]["y"]) == (CSV, None)
    assert config["accelerometer"]["reference"] == CSV
    (_, prepare), (_, train), _ = composed("learn sensed", folder)
    assert (prepare["log"]["gcode"], prepare["log"]["x"]) == ("part.gcode", CSV)
    assert prepare["printer"]["name"] == "corexy"
    assert train["pretrained"] == BEST


def test_a_machine_is_learnt_as_make_machine_does_it(folder):
    """The same commands in the same order, told the same; files lie in folders of their own."""
    script = runpy.run_path(str(PROJECT / "scripts" / "make_machine.py"))
    files = {"GCODE": "part.gcode", "X": CSV, "REFERENCE": CSV}
    words = [f"{key}={folder.root}/{file}" for key, file in files.items()]
    given, _ = script["options"](["NAME=mine", "PRINTER=corexy", *words])
    theirs = list(script["stages"](Path("machines"), given, []))
    form = FORMS["learn machine"]
    ours = RECIPES["learn"].steps(read_form(RECIPES["learn"].fields, form, folder), "work/ID")
    assert [step.module for step in ours] == [stage.command for stage in theirs]
    for step, stage in zip(ours, theirs, strict=True):
        assert told(step.arguments) == told(stage.arguments)


@pytest.mark.parametrize("effort", EFFORTS)
def test_a_recording_is_learnt_by_the_network_that_has_learnt_the_simulated_machine(folder, effort):
    form = FORMS["learn machine"] | {"effort": effort}
    ours = RECIPES["learn"].lines(form, folder)
    trained = [line for line in ours if "trajerr.train" in line]
    first, second = (
        compose("train", *(w for w in shlex.split(line)[3:] if not w.startswith("hydra.")))
        for line in trained
    )
    sizes = [{k: v for k, v in c["model"].items() if k != "optimizer"} for c in (first, second)]
    assert sizes[0] == sizes[1]


PLACES = {"output_dir", "out", "data_dirs", "data.root", "checkpoint", "pretrained"}
FILES = {f"{group}.{name}" for group in ("log", "accelerometer") for name in ("x", "reference")}
FILES |= {"gcode", "log.gcode"}


def told(arguments):
    """Return what a command is told: keys, and the values of those that name no file."""
    pairs = [text.split("=", 1) for text in arguments]
    own = {"overwrite", "hydra.run.dir", "model"}  # of theirs, of ours, and the default in words
    given = {key: value for key, value in pairs if value != "null" and key not in own}
    return {key: None if key in PLACES | FILES else value for key, value in given.items()}


def test_ripples_reach_the_command_as_numbers(folder):
    ((_, config),) = composed("printer ringing", folder)
    assert config["ringing"]["x"] == {"speed_mm_s": 60, "ripples": 6, "distance_mm": 9.5}
    assert config["ringing"]["y"] is None
    with pytest.raises(ConfigError, match="ripples of y: got some of three"):
        RECIPES["printer"].lines(FORMS["printer ringing"] | {"y_ripples": "3"}, folder)
    with pytest.raises(ConfigError, match="expected a number such as"):
        RECIPES["printer"].lines(FORMS["printer ringing"] | {"x_ripples": "6}"}, folder)


@pytest.mark.parametrize("named", ["/etc/passwd", "../outside.cfg", "a/../../x", "~/x", "link.cfg"])
def test_a_config_that_includes_what_lies_elsewhere_is_refused(folder, named):
    (folder.root / "uploads").mkdir()
    (folder.root / "link.cfg").write_text("[printer]\n")
    (folder.root / "uploads" / "link.cfg").symlink_to(folder.root / "link.cfg")
    (folder.root / "uploads" / "first.cfg").write_text("[include second.cfg]\n[printer]\n")
    (folder.root / "uploads" / "second.cfg").write_text(f"[mcu]\n[include {named}]\n")
    form = FORMS["printer cfg"] | {"printer_cfg": "uploads/first.cfg"}
    with pytest.raises(DataError, match="leads out of the chosen folder"):
        RECIPES["printer"].lines(form, folder)


def test_configs_that_include_each_other_are_taken(folder):
    (folder.root / "printer.cfg").write_text("[include more/*.cfg]\n")
    (folder.root / "more").mkdir()
    (folder.root / "more" / "a.cfg").write_text("[include a.cfg]\n[include b.cfg]\n")
    assert RECIPES["printer"].lines(FORMS["printer cfg"], folder)


def test_half_of_a_pair_of_columns_is_refused(folder):
    form = FORMS["learn log"] | {"x_measured": ""}
    with pytest.raises(ConfigError, match="columns of x: got one of two"):
        RECIPES["learn"].lines(form, folder)


def test_stages_are_those_that_commands_tell_of():
    assert progress.STAGES == {"correct": STAGES, "collect": (STAGE,)}
