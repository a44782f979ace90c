"""What is said and drawn of a file is what the file, its plan and the bundle say."""

import base64
import gzip
import json
import re

import numpy as np
import pytest

from tests.correction.cases import small_print
from trajerr.bundle.runtime import LayerPrediction
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.reader import parse_program
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.workbench.layers import MOST_SAMPLES, chosen_layers, layers_page
from trajerr.workbench.look import look
from trajerr.workbench.printers import named_printer

PRINTER = "ender3_v2"


def seen(tmp_path, content, name="part.gcode", bundle=None):
    (tmp_path / name).write_bytes(content)
    look(tmp_path / name, PRINTER, tmp_path / "out", bundle)
    said = json.loads((tmp_path / "out" / "understood.json").read_text())
    page = (tmp_path / "out" / "layers.html").read_text()
    data = re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    return said, None if data is None else json.loads(data[1]), page


def test_what_is_said_is_what_the_plan_says(tmp_path):
    said, drawn, _ = seen(tmp_path, small_print(3).text)
    printer = named_printer(PRINTER, tmp_path)
    program = parse_program(small_print(3).text, "part.gcode", printer.limits.firmware)
    planned = plan(printer.placed(program), printer.limits)
    assert said["summary"]["print_time_s"] == pytest.approx(planned.print_time)
    assert said["summary"]["layers"] == 3
    assert set(said["features"]) == {"outer_wall", "inner_wall", "infill"}
    assert said["layer_heights_mm"] == pytest.approx([0.2, 0.6])
    assert said["limits"]["file"]["print_acceleration"] == [1000.0]
    assert said["limits"]["machine"]["firmware"] == printer.limits.firmware
    assert [layer["number"] for layer in drawn["layers"]] == [1, 2, 3]
    assert [q["key"] for q in drawn["quantities"]] == ["speed", "acceleration"]


def test_what_is_drawn_lies_where_the_file_prints(tmp_path):
    _, drawn, page = seen(tmp_path, small_print().text)
    track = drawn["layers"][0]["tracks"][0]
    origin = np.frombuffer(base64.b64decode(track["origin"]), "<i4").reshape(-1, 2) / 1000.0
    corners = {(30, 30), (66, 40), (32, 32), (55, 30)}  # where its four paths begin
    near = {tuple(np.rint(place).astype(int).tolist()) for place in origin}
    assert corners <= near
    assert not re.search(r"https?://(?!www\.w3\.org/)", page)


class Shifted:
    """Predicts that the nozzle is 0.1 mm too far to the right, always."""

    sample_rate_hz = 200.0

    def predict_layer(self, planned, layer):
        motion = sample(planned, self.sample_rate_hz, *planned.layer_span(layer))
        error = np.full(len(motion.time), 0.1)
        return LayerPrediction(layer, motion.time, motion.position, error, 0.0 * error)


def test_a_predicted_error_is_drawn_across_the_path_alone(tmp_path):
    printer = named_printer(PRINTER, tmp_path)
    planned = plan(printer.placed(small_print()), printer.limits)
    page, _ = layers_page(planned, Shifted(), "part.gcode")
    drawn = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    assert [q["key"] for q in drawn["quantities"]] == ["error", "speed", "acceleration"]
    track = drawn["layers"][0]["tracks"][0]
    wanted = drawn["layers"][0]["nominal"]
    assert wanted["origin"] == track["origin"]  # the path itself, from the same places on
    steps = np.frombuffer(base64.b64decode(track["step"]), "<i2").reshape(-1, 2)
    error = np.frombuffer(base64.b64decode(track["values"]["error"]), "<u2").astype(float)
    error *= track["units"]["error"]
    along_x = (np.abs(steps[:, 0]) > 200) & (steps[:, 1] == 0)  # µm
    along_y = (np.abs(steps[:, 1]) > 200) & (steps[:, 0] == 0)
    assert np.median(error[along_x]) == pytest.approx(0.0, abs=2.0)
    assert np.median(error[along_y]) == pytest.approx(100.0, abs=2.0)


def test_a_container_is_named_and_a_file_without_layers_draws_none(tmp_path):
    said, _, _ = seen(tmp_path, gzip.compress(small_print().text), "part.gcode.gz")
    assert said["container"] == "gzip"
    said, drawn, page = seen(tmp_path, b"G28\nG1 X10 Y10 F3000\n")
    assert (said["summary"]["layers"], drawn) == (0, None)
    assert "No layer of this file prints" in page


def test_unknown_commands_and_lines_beside_which_nothing_can_stand_are_told(tmp_path):
    text = small_print().text.replace(b"M106 S128", b"MY_MACRO A=1", 1)
    said, _, _ = seen(tmp_path, text)
    assert said["unknown_commands"]["MY_MACRO"] == 1


def test_a_long_print_shows_layers_evenly(tmp_path):
    printer = named_printer(PRINTER, tmp_path)
    planned = plan(printer.placed(small_print(40)), printer.limits)

    class Longer:
        layers, print_time = planned.layers, 4 * MOST_SAMPLES / 200.0

    chosen = chosen_layers(Longer)
    assert len(chosen) == 10
    assert set(np.diff(chosen)) == {4}


def test_a_printer_of_the_folder_comes_before_a_shipped_one(tmp_path):
    own = tmp_path / "conf" / "printer" / "ender3_v2.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("name: broken\n")
    with pytest.raises(ConfigError):
        named_printer(PRINTER, tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n" * 40, b"solid cube\n", b"PK\x03\x04"]
)
def test_what_is_no_gcode_is_refused(tmp_path, content):
    with pytest.raises(GcodeError):
        seen(tmp_path, content)
