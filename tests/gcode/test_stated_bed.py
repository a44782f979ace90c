"""What slicers say of the bed: their own words, as their files hold them."""

import numpy as np
import pytest

from trajerr.gcode.reader import parse_program
from trajerr.gcode.stated_bed import StatedBed, read_stated_bed

CURA = ';SETTING_3 {{"global_quality": "[values]\\\\nmachine_center_is_zero = {}\\\\n{}"}}'
ROUND = ",".join(
    f"{110 * np.cos(a):.6g}x{110 * np.sin(a):.6g}" for a in np.linspace(0, 2 * np.pi, 73)[:-1]
)


def stated(*lines: str) -> StatedBed | None:
    text = "\n".join([*lines, "G1 X1 Y1 E1", ""])
    return read_stated_bed(parse_program(text.encode(), "said.gcode").slicer)


@pytest.mark.parametrize(
    ("lines", "low", "size"),
    [
        (["; bed_shape = 0x0,220x0,220x220,0x220"], (0, 0), (220, 220)),
        (["; bed_shape = 5x0,215x0,215x220,5x220"], (5, 0), (210, 220)),
        (["; bed_shape = 0x-10,250x-10,250x210,0x210"], (0, -10), (250, 220)),
        ([f"; bed_shape = {ROUND}"], (-110, -110), (220, 220)),
        (["; printable_area = -110x-110,110x-110,110x110,-110x110"], (-110, -110), (220, 220)),
        (
            ["; bed_exclude_area = 0x0,18x0,18x28,0x28", "; printable_area = 0x0,256x0,256x256"],
            (0, 0),
            (256, 256),
        ),
        (
            [CURA.format("True", "machine_width = 200\\\\nmachine_depth = 180")],
            (-100, -90),
            (200, 180),
        ),
        (
            [CURA.format("False", "machine_width = 200\\\\nmachine_depth = 180")],
            (0, 0),
            (200, 180),
        ),
        (
            [
                ";   overrideMachineDefinition,1",
                ";   strokeXoverride,220\n;   strokeYoverride,200",
                ";   originOffsetXoverride,110\n;   originOffsetYoverride,100",
            ],
            (-110, -100),
            (220, 200),
        ),
        (
            [
                "; bed_size_x_mm = 145\n; bed_size_y_mm = 148",
                "; bed_offset_x_mm = 72.5\n; bed_offset_y_mm = 74",
            ],
            (0, 0),
            (145, 148),
        ),
    ],
)
def test_a_bed_is_read_as_its_slicer_writes_it(lines, low, size):
    bed = stated(*lines)
    assert bed is not None
    np.testing.assert_allclose(bed.low, low, atol=1e-3)
    np.testing.assert_allclose(bed.size, size, atol=1e-3)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [";MINX:80.2\n;MINY:80.2\n;MAXX:140\n;MAXY:140"],
        ["; bed_shape = "],
        ["; printable_area = 0x0"],
        ["; bed_shape = 0x0,220x0,wide,0x220"],
        ["; bed_shape = 0x0,nanx0,220x220,0x220"],
        ["; bed_shape = 0x0,220x0,100x0"],
        ["; bed_exclude_area = 0x0,18x0,18x28,0x28"],
        [CURA.format("perhaps", "machine_width = 200\\\\nmachine_depth = 180")],
        [";   overrideMachineDefinition,0\n;   strokeXoverride,220\n;   strokeYoverride,200"],
    ],
)
def test_a_file_that_says_nothing_usable_states_no_bed(lines):
    assert stated(*lines) is None


def test_a_corner_is_at_zero_unless_the_bed_reaches_below_or_is_centred():
    assert stated("; bed_shape = -150x-150,150x-150,150x150").corner((220, 200)) == (-110, -100)
    assert stated("; bed_shape = 0x-10,300x-10,300x300").corner((220, 200)) == (0, -10)
    # What slicers keep free beside clips is part of the bed: PrusaSlicer's Ender-3 V2.
    assert stated("; bed_shape = 5x0,215x0,215x220,5x220").corner((220, 220)) == (0, 0)
    alone = stated(CURA.format("True", "layer_height = 0.2"))
    assert alone == StatedBed(None, (0, 0))
    assert alone.corner((220, 200)) == (-110, -100)
