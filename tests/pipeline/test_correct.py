"""The correct command: files, report, and mistakes that end in one line."""

import json
import re
import shlex
import subprocess
import sys

import pytest

from tests.warm_python import warm_python
from trajerr import correct as command
from trajerr.gcode.reader import read_program

PRINT = "\n".join(
    [
        "G90\nM83\nM204 P1000 T1000\nM205 X8 Y8",
        ";LAYER_CHANGE\n;Z:0.2\nG1 Z0.2 F600\nG1 X40 Y40 F6000\n;TYPE:External perimeter",
        "G1 X60 Y40 E.66 F3600\nG1 X60 Y60 E.66\nG1 X40 Y60 E.66\nG1 X40 Y40 E.66",
        "G1 E-.8 F2100\nG1 X42 Y42 F6000\nG1 E.8 F2100\n;TYPE:Internal infill",
        "G1 X58 Y58 E.84 F4800\nG1 X5 Y5 F6000\nM84\n",
    ]
)

BOARD_LINE = (
    r"board: \d+ commands/s \(peak \d+ over 1 s, \d+ over 50 ms\), "
    r"[\d.]+ kB/s \(peak [\d.]+\)"
)
MACHINE = ("method=twin", "printer=ender3_v2", "printer.limits.firmware=marlin_estimated")


def correct(folder, *overrides):
    line = [*warm_python(), "-m", "trajerr.correct", *overrides]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("correct")
    (folder / "part.gcode").write_text(PRINT)
    # Beside friction, a print of two seconds takes more iterations than a layer does.
    result = correct(folder, "gcode=part.gcode", *MACHINE, "learning.planned_iterations=12")
    return folder, result


def test_writes_the_file_the_report_and_figures(done):
    folder, result = done
    assert result.returncode == 0, result.stderr
    assert "uncorrected" in result.stdout
    assert (folder / "part.gcode").read_text() == PRINT
    again = read_program(folder / "part_corrected.gcode")
    assert b"method twin" in again.text
    assert b"\n; trajerr: report part_corrected_report/correction.html\n" in again.text
    before = read_program(folder / "part.gcode")
    assert len(again.moves) > len(before.moves)
    report = folder / "part_corrected_report"
    names = {path.name for path in report.iterdir()}
    figures = {"corner.png", "error_maps.png", "spectra.png", "comparison.png"}
    assert names == {"correction.json", "correction.html", *figures}


def test_the_report_holds_the_agreed_numbers(done):
    folder, _ = done
    report = json.loads((folder / "part_corrected_report" / "correction.json").read_text())
    assert set(report["cases"]) == {"nominal", "soft", "stiff"}
    assert (report["printer"], report["shaper"]) == ("ender3_v2", None)
    for case in report["cases"].values():
        assert set(case) == {"uncorrected", "zv", "mzv", "ei", "inversion", "subtract", "twin"}
        for errors in case.values():
            assert {
                "wall_contour_rms_um",
                "wall_contour_p99_um",
                "wall_tracking_rms_um",
            } <= set(errors)
    for key in ("print_time_s", "moves", "extrusion_mm", "predicted_um"):
        assert set(report[key]) == {"before", "after"}
    load = report["board_load"]
    for when in ("before", "after"):
        assert set(load[when]) == {"commands_per_s", "bytes_per_s", "moves_per_s"}
        for rate in load[when].values():
            assert 0.0 < rate["mean"] < rate["peak_50ms"]
            assert rate["peak_1s"] <= rate["peak_50ms"]
    assert load["after"]["commands_per_s"]["peak_1s"] > load["before"]["commands_per_s"]["peak_1s"]
    assert report["rate_hz"] == 200.0
    nominal = report["cases"]["nominal"]
    assert (
        nominal["twin"]["wall_contour_rms_um"]
        < 0.15 * nominal["uncorrected"]["wall_contour_rms_um"]
    )
    assert report["seconds"] > 0.0
    assert report["config"]["gcode"] == "part.gcode"


def test_a_board_bounds_what_is_written(done, tmp_path):
    folder, _ = done
    fine = ["rate_hz=400", "across_mm=0", "along_mm=0", "most_growth=100", "small_kb=1000"]
    for name, words in {"free": fine, "serial": [*fine, "board=marlin_serial"]}.items():
        report = name == "serial"
        words = [*words, f"out={tmp_path / name}.gcode", f"report={str(report).lower()}"]
        result = correct(folder, "gcode=part.gcode", *MACHINE, *words)
        assert result.returncode == 0, result.stderr
        assert re.search(BOARD_LINE, result.stdout), result.stdout
        assert ("rate_hz" in result.stdout) == report
    free, serial = (tmp_path / f"{name}.gcode" for name in ("free", "serial"))
    assert serial.stat().st_size < free.stat().st_size
    report = json.loads((tmp_path / "serial_report" / "correction.json").read_text())
    assert report["rate_hz"] < 200.0
    assert report["board_load"]["after"]["commands_per_s"]["peak_1s"] <= 200.0


@pytest.mark.parametrize("name", ["part.gcode", 'it\'s, [b] = "q" #1 ü.gcode'])
def test_a_bare_path_is_corrected_in_place(tmp_path, name):
    path = tmp_path / name
    path.write_text(PRINT)
    words = [*MACHINE, "report=false", "in_place=true"]
    result = correct(tmp_path, *words, name)
    assert result.returncode == 0, result.stderr
    assert b"method twin" in path.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == [name]
    again = correct(tmp_path, *words, name)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "corrected already" in again.stderr


@pytest.mark.parametrize("name", ["it's.gcode", 'a,b [1] {x} = c "q" ${d} `e`.gcode'])
def test_the_advised_line_works_in_a_shell(tmp_path, name):
    (tmp_path / name).write_text(PRINT)
    words = [*MACHINE, "report=false"]
    refused = correct(tmp_path, *words, f"gcode={name}")
    assert refused.returncode == 1
    advice = re.search(
        r"(?:quotes within quotes: |with commas is )('.*?')(?:, a list|\n|$)", refused.stderr
    )
    assert advice, refused.stderr
    line = f"{shlex.join(warm_python())} -m trajerr.correct {' '.join(words)} {advice[1]}"
    done = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name.replace(".gcode", "_corrected.gcode")).exists()


def test_standard_input_is_corrected_to_a_file(tmp_path):
    line = [sys.executable, "-m", "trajerr.correct", *MACHINE]
    words = ["report=false", "out=out.gcode", "-"]
    done = subprocess.run(
        [*line, *words], input=PRINT, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "method twin" in (tmp_path / "out.gcode").read_text()


def test_a_corrected_file_is_refused(done):
    folder, _ = done
    result = correct(folder, "gcode=part_corrected.gcode", "method=twin", "printer=ender3_v2")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "corrected already" in result.stderr
    assert not (folder / "part_corrected_corrected.gcode").exists()


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["gcode=absent.gcode", "method=twin", "printer=ender3_v2"], "absent.gcode"),
        (["gcode=part.gcode", "bundle=nowhere"], "nowhere"),
        (["gcode=part.gcode", "bundle=null"], "bundle"),
        (["gcode=part.gcode", "method=magic", "bundle=null"], "method"),
        (["gcode=part.gcode", "method=twin", "bundle=null"], "printer"),
        (["gcode=part.gcode", "method=twin", "printer=ender3_v2", "layers=[999]"], "999"),
        (["gcode=part.gcode", "method=twin", "printer=ender3_v2", "feature_types=sky"], "sky"),
        (["gcode=part.gcode", "method=twin", "printer=ender3_v2", "rate_hz=-1"], "rate_hz"),
        (["gcode=far.gcode", "method=twin", "printer=ender3_v2"], "far.gcode:10: the wall leaves"),
        (["gcode=part.gcode", "method=twin", "printer=ender3_v2", "out=part.gcode"], "itself"),
        (["gcode=part.gcode", "method=twin", "printer=ender3_v2", "board=sd"], "board: got sd"),
        (["gcode=part.gcode", "method=twin", "printer=ender3_v2", "board=klipper"], "marlin_sd"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, monkeypatch, capsys, overrides, says):
    (tmp_path / "part.gcode").write_text(PRINT)
    (tmp_path / "far.gcode").write_text(PRINT.replace("X40 Y40 F6000", "X640 Y40 F6000"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(sys, "argv", ["correct", *overrides])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert says in said
    assert said.count("\n") == 1
    assert (tmp_path / "part.gcode").read_text() == PRINT


def test_a_centred_print_is_corrected_and_what_leaves_the_bed_is_told(tmp_path):
    """X0 Y0 is the bed's middle; the wipe goes where no tag of a console's markup may hide it."""
    moved = re.sub(
        r"(?<=G1 )X(\d+) Y(\d+)", lambda m: f"X{int(m[1]) - 110} Y{int(m[2]) - 110}", PRINT
    )
    wipe = moved.replace("G1 X-105 Y-105 F6000", "G1 X-130 Y0 F6000\nG1 X-110 Y0 E1")
    (tmp_path / "part[b].gcode").write_text(wipe)
    words = ["gcode='part[b].gcode'", "method=twin", "printer=ender3_v2", "report=false"]
    refused = correct(tmp_path, *words)
    assert refused.returncode == 1
    assert "the wall leaves the bed" in refused.stderr
    result = correct(tmp_path, *words, "printer.bed_origin_mm=[-110,-110]")
    assert result.returncode == 0, result.stderr
    told = result.stdout.splitlines()[0]
    assert told.startswith("part[b].gcode: 1 move leaves the bed by up to 20 mm, to X-130 (")
    assert (tmp_path / "part[b]_corrected.gcode").exists()
    assert "✓ part[b]_corrected.gcode  (" in result.stdout
