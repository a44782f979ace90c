"""A correction's page: what it says, that it needs nothing else, and how it looks in a browser."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.chromium import browse
from tests.correction.cases import linear_printer, small_print
from trajerr.correction.pressure_advance import peak_filament_acceleration, stated_advance
from trajerr.correction.run import CorrectionRun
from trajerr.correction.settings import CorrectionSettings, LearningSettings
from trajerr.gcode.reader import parse_program
from trajerr.metrics.closed_loop import UNCORRECTED, WallMotion
from trajerr.motion.planner import plan
from trajerr.reports.corners import close_ups, near_corners, worst
from trajerr.reports.correction_page import link
from trajerr.reports.correction_record import write_record

NAME = "<b>part</b> & co.gcode"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The record of a correction, and the folder that its report is in."""
    folder = tmp_path_factory.mktemp("page")
    gcode = folder / NAME.replace("/", "_")
    gcode.write_bytes(small_print(layers=4).text)
    learning = LearningSettings.shipped(iterations=4, planned_iterations=1)
    run = CorrectionRun(
        gcode=str(gcode),
        bundle=None,
        out=str(folder / "out.gcode"),
        in_place=False,
        layers="2-4",
        report=True,
        report_dir=None,
        report_layers=1,
        report_page=True,
        report_pictures=False,
        page_layers=2,
        compare=[],
        force=False,
        other_machine=False,
        sample_rate_hz=200.0,
        rounds=0,
        accelerator="cpu",
        settings=CorrectionSettings.shipped(method="twin", learning=learning),
    )
    prepared = run.prepare(linear_printer())
    done = prepared.correct(lambda _: [link(run.report_folder, run.target)])
    record = write_record(prepared, done, [], {"method": "twin", "note": "</pre><script>"})
    return record, run.report_folder


@pytest.fixture
def page(written) -> Path:
    return written[1] / "correction.html"


class _References(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [v for k, v in attrs if k in ("src", "href", "srcset", "action", "data")]
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")


def test_it_refers_to_places_on_itself_alone(page):
    text = page.read_text(encoding="utf-8")
    references = _References()
    references.feed(text)
    assert len(references.found) >= 3  # one a corner
    assert all(reference.startswith("#layer=") for reference in references.found)
    assert not re.search(r"@import|url\(|https?://", text)
    assert "Content-Security-Policy\" content=\"default-src 'none'" in text


def test_it_escapes_what_it_was_made_from(page):
    text = page.read_text(encoding="utf-8")
    name = NAME.replace("/", "_")
    assert name not in text
    assert name in unescape(text)
    assert "</pre><script>" not in text


def test_it_says_what_the_record_holds(written, page):
    record, folder = written
    assert json.loads((folder / "correction.json").read_text()) == record
    text = unescape(page.read_text(encoding="utf-8")).replace("\u00a0", " ")
    nominal = record["cases"]["nominal"]
    assert set(nominal) == {UNCORRECTED, "zv", "mzv", "ei", "inversion", "twin"}
    for errors in nominal.values():
        assert f"{errors['wall_contour_rms_um']:.1f}" in text
    before, after = (nominal[name]["wall_contour_rms_um"] for name in (UNCORRECTED, "twin"))
    assert after < 0.5 * before
    assert f"the walls {before:.1f} µm off the path" in text
    assert f"Corrected, it is {after:.1f} µm" in text
    assert record["source"]["sha256"] in text
    assert "K is not known" in text
    assert '"of_layers":3' in text
    for row in ("outer wall", "not asked for (feature_types)", "in other layers than were asked"):
        assert row in text


def test_the_corrected_files_head_leads_to_it(page):
    head = (page.parents[1] / "out.gcode").read_bytes().splitlines()[:4]
    assert b"; trajerr: report out_report/correction.html" in head


def test_a_link_is_one_line_whatever_its_name(tmp_path):
    text = link(tmp_path / "a\nG1 X0 ü;_report", tmp_path / "a.gcode")
    assert text == b"; trajerr: report a%0AG1%20X0%20%C3%BC%3B_report/correction.html"


def test_a_browser_shows_it_and_a_corner_leads_to_its_layer(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    address = re.search(r'class="corner" href="#([^"]+)"', text)[1]
    dom = browse(page, tmp_path / "p", "--dump-dom", address=unescape(address))
    number = re.match(r"layer=(\d+)", address)[1]
    assert 'data-ready="1"' in dom
    assert f"layer {number}, z" in dom
    assert "as it is</output>" in dom  # a corner is shown in true proportions
    assert int(re.search(r'data-segments="(\d+)"', dom)[1]) > 10


WIDE = """<script>
addEventListener("load", () => {
  document.body.dataset.wide = String(document.documentElement.scrollWidth - innerWidth);
});
</script></body>"""


@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_no_wider_than_the_screen(page, tmp_path, width):
    played = tmp_path / "played.html"
    played.write_text(page.read_text(encoding="utf-8").replace("</body>", WIDE), encoding="utf-8")
    dom = browse(played, tmp_path / "p", f"--window-size={width},900", "--dump-dom")
    assert int(re.search(r'data-wide="(-?\d+)"', dom)[1]) <= 0


def test_along_a_line_the_filament_accelerates_in_proportion():
    # One straight line from rest to rest: dv_e/dt is E per mm times the acceleration.
    text = (
        "G90\nM83\nSET_VELOCITY_LIMIT ACCEL=1000\nG1 X10 Y10 F9000\nG4 P500\nG1 X90 E4 F6000\nM84\n"
    )
    printer = linear_printer("klipper")  # which starts from a standstill
    planned = plan(parse_program(text.encode(), "line.gcode"), printer.limits)
    peak = peak_filament_acceleration(planned)
    assert peak == pytest.approx(4.0 / 80.0 * 1000.0, rel=0.02)


@pytest.mark.parametrize(
    ("line", "advance"),
    [
        ("M900 K0.05 ; LA 1.5\nM900 K30 ; LA 1.0", 0.05),
        ("SET_PRESSURE_ADVANCE EXTRUDER=e ADVANCE=0.04\nSET_PRESSURE_ADVANCE ADVANCE=.02", 0.04),
        ("; M900 K0.05", None),
        ("G1 X1", None),
    ],
)
def test_pressure_advance_is_what_the_file_sets(line, advance):
    program = parse_program(f"G90\n{line}\nG1 X10 Y10 F600\n".encode(), "a.gcode")
    assert stated_advance(program) == advance


def test_corners_are_told_from_arcs():
    s = np.arange(0.0, 40.0, 0.01)
    xy = np.column_stack([np.minimum(s, 20.0), np.maximum(s - 20.0, 0.0)])
    offset = np.where(np.abs(s - 20.5) < 0.2, 0.08, np.where(np.abs(s - 5.0) < 0.2, 0.2, 0.01))
    motion = WallMotion(s / 50.0, xy + offset[:, None] / np.sqrt(2.0), xy, offset, xy)
    near = near_corners(motion)
    assert near[np.abs(s - 20.0) < 0.3].all()
    assert not near[np.abs(s - 20.0) > 1.5].any()
    (found,) = worst(close_ups(7, motion, motion, 5), 1)
    assert found.layer == 7
    assert found.before_mm == pytest.approx(0.08)
    assert abs(found.centre[0] - 20.0) < 1e-9
