"""trajerr-post as slicers call it: corrected in place, or left byte for byte, and told."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.correction.cases import small_print
from tests.gcode.containers.test_archive import PLATE, made
from tests.paths import CONTAINERS
from tests.test_public_face import BLOCKED, NOT_TO_CORRECT
from trajerr.gcode.reader import read_program
from trajerr.post import job
from trajerr.post.command import run

TEXT = small_print().text
NAMES = [
    "a b.gcode",
    "größe #2 (1), [x] {y} = 'q' \"d\" `t` $z %TMP%.gcode.pp",
    "back\\slash;semi&colon|.g",
    "--strict.gcode",
    ".12345.gcode",
    "no ending",
]


def log_of(tmp_path: Path) -> str:
    return (tmp_path / "post.log").read_text(encoding="utf-8")


def test_a_file_is_corrected_in_place(part, options, tmp_path, capsys):
    part.chmod(0o640)
    output = {"SLIC3R_PP_OUTPUT_NAME": "/somewhere/Würfel 1.gcode", "SLIC3R_PP_HOST": "File"}
    assert run([*options, str(part)], output) == 0
    program = read_program(part)
    lines = program.text.splitlines()
    assert lines[1].startswith(b"; trajerr corrected by")
    assert lines[2].startswith(b"; trajerr: predicted contour error ")
    assert lines[2].endswith(b"bundle none, printer ender3_v2")
    assert len(program.moves) > len(small_print().moves)
    assert part.stat().st_mode & 0o777 == 0o640
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("trajerr-post: Würfel 1.gcode: corrected: predicted contour error")
    assert said.err.count("\n") == 1
    assert "Würfel 1.gcode: corrected" in log_of(tmp_path)
    assert sorted(tmp_path.iterdir()) == [part, tmp_path / "post.log"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_taken(tmp_path, options, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(TEXT)
    assert run([*options, "--", name], {}) == 0
    assert read_program(Path(name)).text != TEXT


def test_a_relative_link_is_followed(part, options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("link.gcode").symlink_to("part.gcode")
    assert run([*options, "link.gcode"], {}) == 0
    assert Path("link.gcode").is_symlink()
    assert part.read_bytes() != TEXT


REFUSED = [
    ([], "bundle: got none, expected the folder"),
    (["--bundle", "nowhere"], "bundle: got nowhere, expected the folder"),
    (["--set", "method=twin"], "printer: got null and no bundle"),
    (["--set", "method=magic", "--bundle", "."], "method: got magic, expected one of inverse"),
    (["--set", "method=twin", "--printer", "mine"], "printer: got mine, expected one of corexy"),
    (["--set", "method"], "--set: got method, expected KEY=VALUE"),
    (["--set", "methods=twin"], "methods: unknown, expected one of"),
    (["--set", "gcode=x"], "gcode: unknown, expected one of"),
    (["--set", "learning.gain=[1]"], "learning.gain: got [1], expected a number"),
    (["--set", "learning=5"], "learning: got 5, expected key: value pairs"),
    (["--set", "rate_hz=-1"], "rate_hz: got -1"),
    (["--config", "absent.yaml"], "absent.yaml: cannot be read: No such file"),
    (["--board", "sd"], "board: got sd"),
    (["--set", "layers=999"], "layers: got [999]"),
    (["--set", "least_improvement=0.99999"], "predicted to bring"),
]


@pytest.mark.parametrize(("given", "says"), REFUSED)
@pytest.mark.parametrize("strict", [False, True])
def test_a_refusal_leaves_the_file_as_it_was(
    part, tmp_path, capsys, monkeypatch, given, says, strict
):
    monkeypatch.chdir(tmp_path)
    if any("=" in word and "method" not in word for word in given) or "--board" in given:
        given = ["--printer", "ender3_v2", "--set", "method=twin", *given]
    words = [*given, "--log", "post.log", *(["--strict"] if strict else []), "part.gcode"]
    assert run(words, {}) == (1 if strict else 0)
    assert part.read_bytes() == TEXT
    said = capsys.readouterr().err
    assert said.startswith("trajerr-post: ")
    assert says in said
    assert said.count("\n") == 1
    assert said.endswith("; the file stays as it was\n") == (not strict)
    assert "part.gcode: refused: " in log_of(tmp_path)
    assert says in log_of(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.gcode", "post.log"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"solid cube\n", "an STL model"),
        ((CONTAINERS / "cube_3_2.bgcode").read_bytes()[:900], "breaks off"),
        (gzip.compress(TEXT)[:-9], "gzip archive"),
        (made({}), "expected a sliced plate"),
        (TEXT.replace(b"G1 X", b"G1 X999", 9), "leaves the bed|reaches|off"),
    ],
    ids=["empty", "stl", "bgcode", "gzip", "3mf", "bed"],  # compressed files hold the time
)
def test_what_is_no_print_stays_as_it_was(part, options, content, says, capsys):
    part.write_bytes(content)
    assert run([*options, str(part)], {}) == 0
    assert part.read_bytes() == content
    said = capsys.readouterr().err
    assert any(words in said for words in says.split("|"))
    assert said.count("\n") == 1


def test_a_second_call_changes_nothing(part, options, capsys):
    assert run([*options, str(part)], {}) == 0
    once = part.read_bytes()
    assert run([*options, str(part)], {}) == 0
    assert part.read_bytes() == once
    assert "corrected already" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["absent.gcode", "."])
def test_what_is_no_file_is_refused(tmp_path, options, monkeypatch, capsys, path):
    monkeypatch.chdir(tmp_path)
    assert run(["--strict", *options, path], {}) == 1
    assert f"{path}: " in capsys.readouterr().err


@pytest.mark.parametrize("error", [RuntimeError("odd\nthing"), MemoryError()])
def test_a_fault_of_ours_costs_nobody_a_print(part, options, tmp_path, monkeypatch, capsys, error):
    def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr(job.Call, "correct", fail)
    assert run([*options, str(part)], {}) == 0
    assert run(["--strict", *options, str(part)], {}) == 1
    assert part.read_bytes() == TEXT
    assert capsys.readouterr().err.count("\n") == 2
    assert f"a fault of trajerr's: {type(error).__name__}" in log_of(tmp_path)
    assert "Traceback" in log_of(tmp_path)


def test_a_folder_that_cannot_be_written_leaves_the_file(
    part, options, tmp_path, monkeypatch, capsys
):
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    assert run([*options, str(part)], {}) == 0
    assert part.read_bytes() == TEXT
    assert "part.gcode: Permission denied; the file stays" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [part, tmp_path / "post.log"]


def test_a_read_only_file_or_folder_is_refused_before_any_work(part, options, monkeypatch, capsys):
    for target, what in ((part, "file"), (part.parent, "folder")):
        monkeypatch.setattr("os.access", lambda path, mode, t=target: Path(path) != t)
        assert run([*options, str(part)], {}) == 0
        assert f"in_place: the {what} {target} is read-only" in capsys.readouterr().err
    assert part.read_bytes() == TEXT


def test_an_interrupt_leaves_the_file(part, options, monkeypatch, capsys):
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(job.Call, "correct", interrupted)
    assert run([*options, str(part)], {}) == 130
    assert part.read_bytes() == TEXT
    assert "interrupted; part.gcode is as it was" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["part.gcode", "part.gcode.gz", "part.gcode.3mf", "cube.bgcode"])
def test_a_note_is_one_comment_of_the_latest_refusal(tmp_path, name):
    contents = {
        "part.gcode": TEXT,
        "part.gcode.gz": gzip.compress(TEXT),
        "part.gcode.3mf": made({PLATE: TEXT}),
        "cube.bgcode": (CONTAINERS / "cube_3_2.bgcode").read_bytes(),
    }
    path, log = tmp_path / name, ["--log", str(tmp_path / "log")]
    path.write_bytes(contents[name])
    before = read_program(path)
    for bundle in ("first", "größe"):
        assert run(["--note", *log, "--bundle", bundle, str(path)], {}) == 0
    after = read_program(path)
    lines = after.text.splitlines()
    (own,) = [line for line in lines if line.startswith(b"; trajerr left this file as it was: ")]
    assert "bundle: got größe" in own.decode()
    lines.remove(own)
    assert lines == before.text.splitlines()
    strict = path.read_bytes()
    assert run(["--note", "--strict", *log, "--bundle", "third", str(path)], {}) == 1
    assert path.read_bytes() == strict


@pytest.mark.parametrize(
    ("option", "environment", "noted"),
    [
        ([], {"SLIC3R_PP_OUTPUT_NAME": "cube.gcode"}, True),
        (["--no-note"], {"SLIC3R_PP_OUTPUT_NAME": "cube.gcode"}, False),
        ([], {}, False),
        (["--note"], {}, True),
    ],
)
def test_a_refusal_is_noted_where_a_slicer_hides_what_is_said(
    part, tmp_path, option, environment, noted
):
    log = ["--log", str(tmp_path / "log")]
    assert run([*option, *log, "--bundle", "none", str(part)], environment) == 0
    assert (part.read_bytes() != TEXT) == noted
    assert (b"; trajerr left this file as it was: bundle: got none" in part.read_bytes()) == noted


def test_another_file_on_demand(part, options, tmp_path, capsys):
    out = tmp_path / "out.gcode.gz"
    assert run([*options, "-o", str(out), str(part)], {}) == 0
    assert part.read_bytes() == TEXT
    assert b"; trajerr corrected" in gzip.decompress(out.read_bytes())
    assert run([*options, "-o", str(tmp_path / "x.bgcode"), str(part)], {}) == 1  # no slicer waits
    assert "out: got x.bgcode" in capsys.readouterr().err


def test_a_report_is_written_where_the_file_goes(part, options, tmp_path):
    place = tmp_path / "card"
    place.mkdir()
    environment = {"SLIC3R_PP_OUTPUT_NAME": str(place / "cube.gcode"), "SLIC3R_PP_HOST": "File"}
    few = ["--set", "report_layers=1", "--set", "compare=[]"]
    assert run([*options, "--report", *few, str(part)], environment) == 0
    report = json.loads((place / "cube_report" / "correction.json").read_text())
    assert report["config"]["method"] == "twin"
    assert not (tmp_path / "part_report").exists()


def test_a_page_is_written_without_pictures_and_linked_from_the_files_head(options, tmp_path):
    part = tmp_path / "it's\na part #1.gcode"
    part.write_bytes(TEXT)
    code = BLOCKED + "from trajerr.post.command import main\nmain()"
    few = ["--set", "report_layers=1", "--set", "compare=[]", "--report"]
    line = [sys.executable, "-c", code, *options, *few, str(part)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (link,) = re.findall(rb"\n; trajerr: report ([^\n]+)\n", part.read_bytes())
    page = part.parent / unquote(link.decode())
    assert "What was wrong." in page.read_text(encoding="utf-8")
    assert {path.name for path in page.parent.iterdir()} == {"correction.html", "correction.json"}


def test_a_report_that_fails_does_not_unsay_the_correction(part, options, monkeypatch, capsys):
    from trajerr.reports import correction_record

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(correction_record, "write_record", full)
    assert run(["--report", *options, str(part)], {}) == 0
    assert b"; trajerr corrected" in part.read_bytes()
    said = capsys.readouterr().err
    assert "corrected: predicted" in said
    assert "no report: [Errno 28]" in said


def test_it_runs_without_hydra_torch_and_pictures_from_a_pipe_to_a_pipe(options):
    code = BLOCKED + "from trajerr.post.command import main\nmain()"
    line = [sys.executable, "-c", code, *options, "-"]
    done = subprocess.run(line, input=gzip.compress(TEXT), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"; trajerr corrected" in gzip.decompress(done.stdout)
    refused = subprocess.run([*line[:3], "-"], input=b"G1 X1\n", capture_output=True, check=False)
    assert (refused.returncode, refused.stdout) == (0, b"G1 X1\n")


def test_its_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from trajerr.post.command import parser\n"
        "parser().format_help()\n"
        f"heavy = {(*NOT_TO_CORRECT, 'numba', 'scipy', 'onnxruntime')}\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_wrong_option_is_told_at_once(part, capsys):
    with pytest.raises(SystemExit) as ended:
        run(["--bundel", "x", str(part)], {})
    assert ended.value.code == 2
    assert "--bundel" in capsys.readouterr().err
    assert part.read_bytes() == TEXT
