"""Overrides of the wrong kind end in one line that names the key, in every command."""

import importlib
import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig, ListConfig

from trajerr.commands.overrides import expected_kind

PART = "G1 Z.2\n;TYPE:External perimeter\nG1 X40 Y40\nG1 X60 Y40 E1\n"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (True, False, ""),
        (True, 1, "true or false"),
        (False, "perhaps", "true or false"),
        (1, 2.5, "a whole number"),
        (1, 1e30, "a whole number"),
        (1.5, 2, ""),
        (0.5, None, ""),
        (3, "three", "a whole number"),
        (3, True, "a whole number"),
        (3.0, "three", "a number"),
        (ListConfig(["a"]), "b", ""),
        (ListConfig(["a"]), 5, "a list"),
        (ListConfig(["a"]), None, "a list"),
        (ListConfig([1, 2]), ListConfig([3.5]), ""),
        (ListConfig([1, 2]), "fast", "a list of numbers"),
        (ListConfig([1, 2]), ListConfig(["fast"]), "a list of numbers"),
        (DictConfig({"a": 1}), 5, "key: value pairs"),
        (DictConfig({"a": 1}), None, ""),
        ("text", 5, ""),
        ("text", None, ""),
        (None, "anything", ""),
    ],
)
def test_kinds(before, after, expected):
    assert expected_kind("key", before, after) == expected


def test_a_folder_is_named():
    for wrong in (None, 7.5, ListConfig([])):
        assert expected_kind("output_dir", "data", wrong).startswith("a folder")
    assert expected_kind("output_dir", "data", "7.5") == ""


def test_a_key_with_a_unit_takes_a_number_though_it_is_open():
    assert expected_kind("sample_rate_hz", None, ListConfig([])) == "a number"
    assert expected_kind("max_speed_mm_s", None, "fast") == "a number"
    assert expected_kind("max_speed_mm_s", None, 300) == ""
    assert expected_kind("max_speed_mm_s", None, None) == ""


def test_a_point_takes_numbers_though_it_is_open():
    assert expected_kind("bed_origin_mm", None, ListConfig([-110, -110.5])) == ""
    assert expected_kind("bed_origin_mm", None, None) == ""
    for wrong in (5, "middle", ListConfig(["left", 0])):
        assert expected_kind("bed_origin_mm", None, wrong) == "a list of numbers"


def test_limits_of_axes_may_leave_the_extruder_open():
    own = ListConfig([300.0, 300.0, 15.0, 120.0])
    assert expected_kind("max_velocity_mm_s", own, ListConfig([300, 300, 15, None])) == ""
    for name, wrong in (("max_velocity_mm_s", "fast"), ("bed_mm", ListConfig([300, None, 15]))):
        assert expected_kind(name, own, wrong) == "a list of numbers"


def test_several_checkpoints_are_compared_and_nothing_else():
    assert expected_kind("checkpoint", None, ListConfig(["a.ckpt", "b.ckpt"])) == ""
    assert expected_kind("data_root", None, ListConfig([])) == "a path"


@pytest.mark.parametrize(
    ("command", "override", "says"),
    [
        ("collect", "variants=5", "variants: got 5, expected a list"),
        ("collect", "sample_rate_hz=fast", "sample_rate_hz: got fast, expected a number"),
        ("collect", "strict=maybe", "strict: got maybe, expected true or false"),
        ("collect", "out=null", "out: got null, expected a folder"),
        ("collect", "parts=null", "parts: got null, expected a list"),
        ("collect", "gcode=5", "gcode: got 5, expected a file, a pattern or a list"),
        ("collect", "workers=x", "workers: got x, expected a whole number from 1 on"),
        ("collect", "quality=5", "quality: got 5, expected key: value pairs"),
        ("collect", "quality.rms_error_um=5", "quality.rms_error_um: got 5, expected a list of"),
        ("collect", "printer.limits.max_velocity_mm_s=fast", "max_velocity_mm_s: got fast"),
        ("collect", "printer=5", "Config group override must be a string or a list"),
        ("prepare", "data_dirs=5", "data_dirs: got 5, expected a list"),
        ("prepare", "output_dir=null", "output_dir: got null, expected a folder"),
        ("train", "trainer.max_epochs=x", "trainer.max_epochs: got x, expected a whole number"),
        ("train", "data.root=null", "data.root: got null, expected a folder"),
        ("evaluate", "visualize=perhaps", "visualize: got perhaps, expected true or false"),
        ("evaluate", "burn_in=x", "burn_in: got x, expected a whole number from 0 on, or null"),
        ("evaluate", "checkpoint=[5]", "checkpoint: got [5], expected a path"),
        ("train", "checkpoint=5", "checkpoint: got 5, expected a path"),
        ("train", "resume=[a,b]", "resume: got ['a', 'b'], expected a path"),
        ("export", "format=5", "format: got 5, expected a list"),
        ("export", "quantize=maybe", "quantize: got maybe, expected true or false"),
        ("correct", "rate_hz=x", "rate_hz: got x, expected a number"),
        ("correct", "gcode=[a,b]", "gcode: got [a, b], expected one file"),
        ("correct", "gcode=???", "gcode: not given, expected gcode=VALUE"),
        ("correct", "gcode=null", "gcode: got null, expected one file"),
    ],
)
def test_each_command_names_the_key(tmp_path: Path, monkeypatch, capsys, command, override, says):
    (tmp_path / "part.gcode").write_text(PART)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    given = [override]
    if command == "correct" and not override.startswith("gcode"):
        given.append("gcode=part.gcode")
    monkeypatch.setattr(sys, "argv", [command, *given])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"trajerr.{command}").main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (1, "")
    assert said.err.startswith(f"{command}: ")
    assert says in said.err
    assert said.err.count("\n") == 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"part.gcode", "outputs"}
