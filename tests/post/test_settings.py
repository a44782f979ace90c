"""Options before one's own file before what is shipped; the machine that the slicer names."""

from pathlib import Path

import pytest

from trajerr.errors import ConfigError
from trajerr.post.command import run
from trajerr.post.settings import (
    own_file,
    read_printer,
    read_settings,
    settle,
    shipped_settings,
    stated_pairs,
)
from trajerr.post.slicer import Slicer, printers_in
from trajerr.shipped import shipped

OWN = """
bundle: bundles/mine
printer: machines/mine.yaml
board: klipper
learning: {iterations: 3}
machines:
  Voron: {bundle: /abs/voron, board: null, max_correction_mm: 0.2}
  "A \\"B\\"": {strict: true}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(OWN, encoding="utf-8")
    return path


def test_the_shipped_settings_are_those_of_correct_yaml():
    settings = shipped_settings()
    assert settings["max_correction_mm"] == shipped("correct")["max_correction_mm"]
    assert settings["bundle"] is None
    assert not {"gcode", "out", "in_place", "refine", "defaults", "help_text"} & set(settings)


def test_the_nearest_statement_counts(own: Path):
    read = read_settings(own)
    options = stated_pairs(["learning.gain=0.5", "strict=false", "layers=[1, 2]"])
    plain = settle([read, options], ())
    assert plain["bundle"] == str(own.parent / "bundles" / "mine")
    assert plain["printer"] == str(own.parent / "machines" / "mine.yaml")
    assert plain["board"] == "klipper"
    assert (plain["learning"]["iterations"], plain["learning"]["gain"]) == (3, 0.5)
    assert plain["learning"]["batch"] == shipped("correct")["learning"]["batch"]
    assert plain["layers"] == [1, 2]
    voron = settle([read, options], ("Unknown", "Voron", 'A "B"'))
    assert voron["bundle"] == str(Path("/abs/voron"))
    assert (voron["board"], voron["max_correction_mm"], voron["strict"]) == (None, 0.2, False)
    assert settle([read, {}], ('A "B"',))["strict"] is True
    assert settle([read, {"bundle": "x"}], ("Voron",))["bundle"] == "x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "got list, expected key: value pairs"),
        ("bundle: [", "not YAML"),
        ("bundel: x", "bundel: unknown, expected one of"),
        ("strict: 1", "strict: got 1, expected true or false"),
        ("threads: 1.5", "threads: got 1.5, expected a whole number"),
        ("learning: {gian: 1}", "learning.gian: unknown"),
        ("machines: [a]", "machines: got .*expected names and their keys"),
        ("machines: {a: 5}", "machines.a: got 5, expected key: value pairs"),
        ("machines: {a: {refine: {}}}", "refine: unknown"),
        ("machines: {a: {machines: {}}, b: {bundle: {}}}", "bundle: got {}, expected"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, text: str, says: str):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"own\.yaml: .*{says}") as error:
        read_settings(path)
    assert "\n" not in str(error.value)


def test_a_python_object_in_a_file_is_not_made(tmp_path: Path):
    path = tmp_path / "own.yaml"
    path.write_text("bundle: !!python/object/apply:os.system ['touch /tmp/no']")
    with pytest.raises(ConfigError, match="not YAML"):
        read_settings(path)


def test_printers_by_name_and_by_file(tmp_path: Path):
    assert read_printer("corexy")["kinematics"] == "corexy"
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nbed_mm: [1, 2, 3]\n")
    assert read_printer(str(file))["name"] == "mine"
    file.write_text("defaults: [ender3_v2]\n")
    with pytest.raises(ConfigError, match="expected a printer's values alone"):
        read_printer(str(file))
    for name in ("nowhere", "../printer/corexy", str(tmp_path)):
        with pytest.raises(ConfigError, match=r"printer: got .*ender3_v2.*or a YAML file"):
            read_printer(name)


def test_what_slicers_say():
    slicer = Slicer.of(
        {
            "SLIC3R_PP_HOST": "OctoPrint",
            "SLIC3R_PP_OUTPUT_NAME": "parts/cube.gcode",
            "SLIC3R_PRINTER_MODEL": "MK4",
            "SLIC3R_PRINTER_SETTINGS_ID": '"My MK4"',
            "SLIC3R_PHYSICAL_PRINTER_SETTINGS_ID": "",
        }
    )
    assert slicer == Slicer("parts/cube.gcode", "OctoPrint", ("My MK4", "MK4"))
    assert slicer.is_upload
    assert not Slicer.of({"SLIC3R_PP_HOST": "File"}).is_upload
    assert Slicer.of({}) == Slicer()
    text = b"G1 X1\n; printer_model = MK4\r\n;printer_settings_id = My \xc3\xbc\n"
    assert printers_in(text) == ("My ü", "MK4")


def test_the_own_file_of_the_system_is_read(home, part, options, capsys):
    path = own_file()
    assert home in path.parents
    path.parent.mkdir(parents=True)
    path.write_text("machines: {Mine: {max_correction_mm: -1}}\n")
    assert run([*options, str(part)], {}) == 0
    assert "corrected: " in capsys.readouterr().err
    path.write_text("printer: corexy\nmachines: {Mine: {max_correction_mm: -1}}\n")
    part.write_bytes(part.read_bytes().replace(b"; trajerr corrected", b"; x"))
    assert run([*options, str(part)], {"SLIC3R_PRINTER_MODEL": "Mine"}) == 0
    assert "max_correction_mm: got -1" in capsys.readouterr().err


def test_a_file_that_names_its_printer_needs_no_slicer(tmp_path, part, options, capsys):
    config = tmp_path / "own.yaml"
    config.write_text("machines: {'Ender ü': {max_correction_mm: -1}}\n", encoding="utf-8")
    part.write_bytes(part.read_bytes() + "; printer_model = Ender ü\n".encode())
    assert run([*options, "--config", str(config), str(part)], {}) == 0
    assert "max_correction_mm: got -1" in capsys.readouterr().err
