"""A corrected file comes out in the container it came in, or in the one its name asks for."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.correction.cases import linear_printer, small_print
from tests.gcode.containers.test_archive import PLATE, made
from tests.gcode.containers.test_bgcode import blocks
from tests.paths import CONTAINERS
from trajerr.correction.compensate import apply_correction
from trajerr.correction.error_models import TwinModel
from trajerr.correction.run import CorrectionRun
from trajerr.correction.settings import CorrectionSettings
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.reader import read_program

TEXT = small_print().text
CUBE = (CONTAINERS / "cube_3_2.bgcode").read_bytes()
FILES = {
    "part.gcode": TEXT,
    "part.gcode.gz": gzip.compress(TEXT, mtime=5),
    "part.gcode.3mf": made({PLATE: TEXT}),
    "part.bgcode": CUBE,
}


@pytest.fixture(scope="module")
def printer():
    return linear_printer()


def run(path: Path, **changes) -> CorrectionRun:
    values = {
        "gcode": str(path),
        "bundle": None,
        "out": None,
        "in_place": False,
        "layers": "all",
        "report": False,
        "report_dir": None,
        "report_layers": 1,
        "report_page": False,
        "report_pictures": False,
        "page_layers": 1,
        "compare": [],
        "force": False,
        "other_machine": False,
        "sample_rate_hz": 200.0,
        "rounds": 0,
        "accelerator": "cpu",
        "settings": CorrectionSettings.shipped(method="twin"),
    }
    return CorrectionRun(**(values | changes))


@pytest.mark.parametrize("name", FILES)
def test_in_place_by_whatever_name(printer, tmp_path, name):
    path = tmp_path / "it's [1], {a} = b # ü.gcode.pp"  # slicers' temporary files have any name
    path.write_bytes(FILES[name])
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    before = read_program(path)
    done = run(link, in_place=True).prepare(printer).correct()
    assert done.text is not None
    after = read_program(path)
    assert after.text == after.container.as_read(done.text)
    assert type(after.container) is type(before.container)
    assert len(after.moves) > len(before.moves)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [path, link]
    with pytest.raises(GcodeError, match="it is corrected already"):
        run(path, in_place=True).prepare(printer)
    assert read_program(path).text == after.text


def test_out_of_a_plate_and_a_gzip_comes_what_comes_out_of_the_text(printer, tmp_path):
    texts = set()
    for name in ("part.gcode", "part.gcode.gz", "part.gcode.3mf"):
        path = tmp_path / name
        path.write_bytes(FILES[name])
        own = run(path)
        done = own.prepare(printer).correct()
        assert own.target == tmp_path / name.replace("part", "part_corrected")
        assert own.report_folder == tmp_path / "part_corrected_report"
        assert read_program(own.target).text == done.text
        texts.add(done.text)
        assert path.read_bytes() == FILES[name]
    assert len(texts) == 1


def test_binary_gcode_keeps_its_metadata_and_thumbnail(printer, tmp_path):
    path, out, text = (tmp_path / name for name in ("cube.bgcode", "out.bgcode", "out.gcode"))
    path.write_bytes(CUBE)
    for target in (out, text):
        apply_correction(path, target, TwinModel(printer), printer)
    written = read_program(out)
    others = [block for kind, block in blocks(CUBE) if kind != 1]
    assert [block for kind, block in blocks(out.read_bytes()) if kind != 1] == others
    assert b"; trajerr corrected" in written.text
    plain = read_program(text)
    np.testing.assert_array_equal(plain.moves.end, written.moves.end)
    assert plain.slicer == written.slicer


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("part.gcode", {"out": "out.bgcode"}, r"out: got out\.bgcode .*expected \*\.gcode"),
        ("part.gcode.gz", {"out": "out.3mf"}, r"out: got out\.3mf .*expected \*\.gcode\.gz"),
        ("part.gcode", {"out": "part.gcode"}, "expected another, or in_place=true"),
        ("part.gcode", {"out": "a.gcode", "in_place": True}, "beside in_place=true"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    printer, tmp_path, monkeypatch, name, changes, says
):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(FILES[name])
    with pytest.raises(ConfigError, match=says):
        run(Path(name), **changes).prepare(printer)
    assert [path.name for path in Path().iterdir()] == [name]
    assert Path(name).read_bytes() == FILES[name]


def test_standard_input_needs_a_name_to_write_to():
    with pytest.raises(ConfigError, match=r"out: not given.*standard input"):
        run(Path("-"))


def test_a_plate_has_its_new_md5(printer, tmp_path):
    path = tmp_path / "part.gcode.3mf"
    path.write_bytes(FILES[path.name])
    done = run(path, in_place=True).prepare(printer).correct()
    assert zipfile.ZipFile(io.BytesIO(path.read_bytes())).read(PLATE) == done.text


def test_a_gpu_is_refused_where_no_network_predicts(printer, tmp_path, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    path = tmp_path / "part.gcode"
    path.write_bytes(next(iter(FILES.values())))
    with pytest.raises(ConfigError, match="accelerator: got gpu, expected cpu or auto, as no"):
        run(path, accelerator="gpu").prepare(printer)
