"""A print that excites its machine: how much, up to where, in which layers, and nothing else."""

import gzip
from dataclasses import replace

import numpy as np
import pytest

from tests.calibration.sweeps import load_printer
from tests.test_prints.squares import squares
from trajerr.correction.original import Original
from trajerr.errors import ConfigError
from trajerr.gcode.excitation import excitation_hz
from trajerr.gcode.reader import parse_program
from trajerr.motion.lead_in import LayerMotion
from trajerr.motion.planner import plan
from trajerr.test_prints.excitation import Excitation, excitation_print, excited

HOW = Excitation(rms_mm=0.015, band_hz=110.0, every=2, seed=0)
RATE_HZ = 2000.0


@pytest.fixture(scope="module")
def printer():
    return load_printer("klipper_fast")


@pytest.fixture(scope="module")
def original(printer):
    return Original(parse_program(squares(5), "part.gcode", printer.limits.firmware), printer)


@pytest.fixture(scope="module")
def made(original):
    return excited(original, HOW, HOW.chosen(original.planned.layers))


def along(planned, layer):
    """Return (N, 2) positions of one layer without its lead-in, in mm."""
    motion = LayerMotion.of(planned, layer)
    return np.concatenate([piece.position[:, :2] for piece in motion.pieces(RATE_HZ)])


def density(position):
    """Return frequencies in Hz and the mean square of acceleration at each, (mm/s²)² / Hz."""
    acceleration = np.diff(position, 2, axis=0) * RATE_HZ**2
    power = np.abs(np.fft.rfft(acceleration * np.hanning(len(acceleration))[:, None], axis=0)) ** 2
    return np.fft.rfftfreq(len(acceleration), 1.0 / RATE_HZ), power.mean(axis=1)


def test_every_second_layer_moves_at_all_frequencies_of_the_band(original, made):
    for layer in original.planned.layers.tolist():
        (at, before), (now, after) = map(
            density, (along(original.planned, layer), along(made.planned, layer))
        )
        within = [np.median(x[(f > 40.0) & (f < 100.0)]) for f, x in ((at, before), (now, after))]
        assert (within[1] > 30.0 * within[0]) == (layer % 2 == 0)


def test_it_goes_off_its_path_by_what_is_asked(original, made):
    paths = [along(p, 2) for p in (original.planned, made.planned)]
    # Along the first side of the square y is what is added.
    side = np.abs(paths[1][:, 1] - 80.0) < 0.2
    side &= (paths[1][:, 0] > 82.0) & (paths[1][:, 0] < 118.0)
    assert np.std(paths[1][side, 1]) == pytest.approx(HOW.rms_mm, rel=0.25)
    assert np.max(np.abs(paths[1][side, 1] - 80.0)) < 6.0 * HOW.rms_mm


def test_the_other_layers_stay_byte_for_byte_and_all_filament_is_laid_down(original, made):
    kept = squares(5).split(b";LAYER:")
    now = made.text.split(b";LAYER:")
    assert [now[i] == kept[i] for i in (1, 3, 5)] == [True, True, True]
    assert now[2] != kept[2]
    ends = [p.program.moves.end[-1, 3] for p in (original.planned, made.planned)]
    assert ends[1] == pytest.approx(ends[0], abs=1e-3)
    assert made.planned.print_time == pytest.approx(original.planned.print_time, rel=2e-3)


def test_the_file_says_up_to_where(original, made):
    assert excitation_hz(made.planned.program) == HOW.band_hz
    assert excitation_hz(original.program) is None


def test_the_same_seed_writes_the_same_file(original, made):
    layers = HOW.chosen(original.planned.layers)
    assert excited(original, HOW, layers).text == made.text
    assert excited(original, replace(HOW, seed=1), layers).text != made.text


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"rms_mm": 0.0}, "excitation.rms_mm"),
        ({"rms_mm": 0.2}, "excitation.rms_mm"),
        ({"band_hz": 500.0}, "excitation.band_hz"),
        ({"every": 0}, "excitation.every"),
        ({"seed": -1}, "excitation.seed"),
    ],
)
def test_what_is_out_of_range_is_refused(change, key):
    with pytest.raises(ConfigError, match=key):
        replace(HOW, **change)


def test_firmware_of_whole_steps_and_prints_of_one_layer_are_refused(tmp_path, printer):
    gcode = tmp_path / "part.gcode"
    gcode.write_bytes(squares(1))
    out = tmp_path / "out.gcode"
    with pytest.raises(ConfigError, match=r"excitation\.every: .*two layers"):
        excitation_print(gcode, out, printer, HOW)
    with pytest.raises(ConfigError, match="firmware: got marlin_2_1_2, expected klipper"):
        excitation_print(gcode, out, load_printer("ender3_v2"), HOW)
    with pytest.raises(ConfigError, match="the file to correct itself"):
        excitation_print(gcode, gcode, printer, HOW)


def test_the_name_of_the_file_says_in_what_it_is_packed(tmp_path, printer, made):
    gcode, out = tmp_path / "part.gcode", tmp_path / "out.gcode.gz"
    gcode.write_bytes(squares(5))
    assert gzip.decompress(excitation_print(gcode, out, printer, HOW).text) == made.text


def test_a_note_in_the_middle_of_a_print_says_nothing(original, made):
    (note,) = [line for line in made.text.splitlines() if b"trajerr excitation" in line]
    text = original.program.text + note + b"\n"
    assert excitation_hz(parse_program(text, "part.gcode", "klipper")) is None


def test_a_note_that_nobody_wrote_so_says_nothing(original):
    odd = b"; trajerr excitation by 0.1.0, up to 1.2.3 Hz\n" + original.program.text
    assert excitation_hz(parse_program(odd, "part.gcode", "klipper")) is None


def test_planned_anew_it_moves_as_was_told(printer, made):
    program = printer.placed(parse_program(made.text, "again.gcode", printer.limits.firmware))
    again = plan(program, printer.limits)
    assert again.print_time == pytest.approx(made.planned.print_time, abs=1e-9)
