"""The second reading by closed forms, and by what real Klipper did with the same files."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajerr.errors import GcodeError
from trajerr.verification.interpreter import Machine

HERE = [10.0, 20.0, 5.0]


def machine(*lines: str, firmware: str = "marlin") -> Machine:
    """Return a machine after some lines, at a known place."""
    new = Machine(firmware)
    for line in ("G1 X10 Y20 Z5 F600", *lines):
        new.run(line.encode())
    return new


@pytest.mark.parametrize(
    ("firmware", "lines", "is_relative"),
    [
        ("marlin", "", False),
        ("marlin", "G91", True),
        ("marlin", "M83,G90", False),
        ("marlin", "G91,M82", False),
        ("marlin", "M82,G91", True),
        ("marlin", "G90,M83", True),
        ("klipper", "", False),
        ("klipper", "G91", True),
        ("klipper", "M83,G90", True),
        ("klipper", "G91,M82", True),
        ("klipper", "M82,G91,G90", False),
    ],
)
def test_which_modes_make_e_relative(firmware, lines, is_relative):
    new = machine(*lines.split(","), "G92 E1", firmware=firmware)
    (move,) = new.run(b"G1 E3")
    assert move.filament == pytest.approx(3.0 if is_relative else 2.0)


def test_an_unknown_firmware_is_refused():
    with pytest.raises(GcodeError, match="got 'grbl', expected klipper or"):
        Machine("grbl")


STEPS = st.lists(st.tuples(*[st.floats(-9, 9).map(lambda v: round(v, 3))] * 4), max_size=8)
DIALECTS = st.tuples(st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["", "N"]))


@given(st.lists(st.tuples(DIALECTS, STEPS, STEPS), max_size=5))
def test_a_path_is_the_same_in_any_dialect(parts):
    """Sums of steps, written relatively or absolutely, in either unit, behind any G92."""
    new, at, fed = machine("M83"), np.array(HERE), 0.0
    zero, e = np.zeros(3), 0.0
    for (relative, relative_e, inches, number), steps, origins in parts:
        unit = 25.4 if inches else 1.0
        for text in ("G20" if inches else "G21", "G91" if relative else "G90"):
            new.run(text.encode())
        new.run(b"M83" if relative_e else b"M82")
        for *where, logical in origins[:1]:
            new.run(b"G92 X%.3f Y%.3f Z%.3f E%.3f" % (*where, logical))
            zero, e = at - np.array(where) * unit, logical * unit
        for *step, filament in steps:
            at, fed, e = at + step, fed + filament, e + filament
            x, y, z = np.array(step if relative else at - zero) / unit
            text = f"G1 X{x:.9f} Y{y:.9f} Z{z:.9f} E{(filament if relative_e else e) / unit:.9f}"
            (move,) = new.run(checked(text) if number else text.encode())
            assert move.filament == pytest.approx(filament, abs=1e-6)
            assert move.length == pytest.approx(math.hypot(*step), abs=1e-6)
    np.testing.assert_allclose(new.position, at, atol=1e-6)
    assert new.fed == pytest.approx(fed, abs=1e-6)


def checked(text: str) -> bytes:
    """Return a line with number and checksum, as a host sends it."""
    code, total = f"N7 {text}".encode(), 0
    for byte in code:
        total ^= byte
    return code + b"*%d\n" % total


CHANGES = st.lists(
    st.sampled_from(
        [
            *("G90", "G91", "M82", "M83", "G92 X3 Y-4 E2", "G92 E0", "M220 S50", "M221 S80"),
            *("G1 X7 Y8 E1", "G1 X-2 E.5 F1234", "G1 Z1", "SET_GCODE_OFFSET X=2", "G1 E-1"),
            *("SAVE_GCODE_STATE NAME=other", "RESTORE_GCODE_STATE NAME=other"),
        ]
    ),
    max_size=12,
)


@given(st.sampled_from(["klipper", "marlin"]), CHANGES, CHANGES, st.booleans())
def test_restoring_brings_back_what_was_saved(firmware, first, between, moves):
    new = machine("SAVE_GCODE_STATE NAME=other", *first, firmware=firmware)
    new.run(b"SAVE_GCODE_STATE NAME=it")
    names = ("absolute", "is_e_relative", "e", "feed", "speed_factor", "flow", "base", "offset")
    saved = {name: getattr(new, name) for name in names}
    saved |= {name: list(saved[name]) for name in ("base", "offset")}
    position = list(new.position)
    for line in between:
        new.run(line.encode())
    elsewhere, fed = list(new.position), new.fed
    new.run(b"RESTORE_GCODE_STATE NAME=it" + (b" MOVE=1 MOVE_SPEED=50" if moves else b""))
    assert {name: getattr(new, name) for name in names} == saved
    assert new.position == (position if moves else elsewhere)
    assert new.fed == fed


def test_what_a_file_did_not_save_leaves_nothing_known():
    new = machine("RESTORE_GCODE_STATE NAME=macro", "G90", "G1 X1 Y1 Z1")
    assert not new.is_known()
    assert new.lost_by == "RESTORE_GCODE_STATE NAME=macro"


def test_slots_bring_back_places_with_offsets():
    new = machine("G60 S1", "G1 X1 Y2 Z3 E4", "G61 S1 X Y2.5 F900")
    assert new.position == [10.0, 22.5, 3.0]
    assert (new.e, new.feed) == (4.0, 600.0)
    new.run(b"G61 S1")
    assert (new.position, new.e) == (HERE, 0.0)
    new.run(b"G61 S5")
    assert new.position == HERE


@pytest.mark.parametrize(
    ("line", "zero", "position"),
    [
        ("SET_GCODE_OFFSET Z=0.5", [0, 0, 0.5], HERE),
        ("SET_GCODE_OFFSET Z_ADJUST=-.25 MOVE=1", [0, 0, -0.25], [10.0, 20.0, 4.75]),
    ],
)
def test_offsets_shift_the_zero_and_the_nozzle_only_if_asked(line, zero, position):
    new = machine(line, firmware="klipper")
    assert (new.base, new.position) == (zero, position)
    new.run(b"G1 X0 Y0 Z0")
    assert new.position == zero


@pytest.mark.parametrize(("firmware", "x"), [("klipper", 11.0), ("marlin", 1.0)])
def test_a_bare_g92_means_all_axes_to_klipper_and_nothing_to_marlin(firmware, x):
    assert machine("G92", "G1 X1", firmware=firmware).position[0] == x


@pytest.mark.parametrize(
    ("lines", "known"),
    [
        ("G28 X", "YZ"),
        ("G28 X,G1 X5", "XYZ"),
        ("G28", ""),
        ("G28,G92 Y3,G1 X1", "XY"),  # wherever that is: the file counts from there
        ("CLEAN_NOZZLE", ""),
        ("CLEAN_NOZZLE,G1 X1 Y2 Z3", "XYZ"),
        ("CLEAN_NOZZLE,G91,G1 X1 Y2 Z3", ""),
        ("G27 P0,G1 X4 Y4", "XY"),
        ("M98 P/macros/wipe.g", ""),
        ("T1", "Z"),
        ("T0", "XYZ"),
        ("G1 X5 R2", ""),  # RepRapFirmware's restore point
        ("X5 Y7", ""),
        ("M117 X5 going home,M600,M73 P5,RESPOND MSG=hi,M862.3 P MK3S,G4 P10,S900", "XYZ"),
    ],
)
def test_what_moves_the_nozzle_to_an_unknown_place(lines, known):
    position = machine(*lines.split(",")).position
    assert "".join("XYZ"[i] for i in range(3) if not math.isnan(position[i])) == known


@pytest.mark.parametrize(
    ("lines", "placed"),
    [
        ("G1 X4 Y4,G92 X0 Y0 Z0", "XYZ"),
        ("G1 X60 H1,G92 X0 Y0", "Z"),
        ("G28,G92 X0 Y0 Z0", ""),
        ("G28,G92 X0 Y0,G28 X", "XZ"),
        ("G1 X60 H1,G92 X0,SAVE_GCODE_STATE,G28,RESTORE_GCODE_STATE", "YZ"),
        ("SAVE_GCODE_STATE,G1 X60 H1,G92 X0,RESTORE_GCODE_STATE", "YZ"),
    ],
)
def test_which_axes_count_from_a_place_on_the_machine(lines, placed):
    known = machine(*lines.split(",")).is_placed
    assert "".join("XYZ"[i] for i in range(3) if known[i]) == placed


@pytest.mark.parametrize(
    ("line", "length", "low", "high"),
    [
        ("G2 X20 Y30 I10 J0", 5 * math.pi, (10, 20), (20, 30)),
        ("G3 X20 Y30 I10 J0", 15 * math.pi, (10, 10), (30, 30)),
        ("G3 X20 Y30 R10", 5 * math.pi, (10, 20), (20, 30)),
        ("G3 X20 Y30 R-10", 15 * math.pi, (10, 10), (30, 30)),
        ("G2 X20 Y30 R10", 5 * math.pi, (10, 20), (20, 30)),
        ("G2 I10", 20 * math.pi, (10, 10), (30, 30)),
        ("G3 X30 Y20 Z9 I10", math.hypot(10 * math.pi, 4), (10, 10), (30, 20)),
    ],
)
def test_how_long_arcs_are_and_how_far_they_reach(line, length, low, high):
    (move,) = machine().run(line.encode())
    assert move.length == pytest.approx(length)
    corners = np.array([move.start, move.end, *move.between])[:, :2]
    np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], [low, high], atol=1e-9)


@pytest.mark.parametrize(
    ("firmware", "lines", "limits"),
    [
        ("marlin", "M204 S900", {"M204 P": 900, "M204 T": 900}),
        ("marlin", "M204 P800 T700,M204 R600", {"M204 P": 800, "M204 T": 700, "M204 R": 600}),
        ("klipper", "M204 S900", {"ACCEL": 900}),
        ("klipper", "M204 P800 T700,M204 P100", {"ACCEL": 700}),
        (
            "klipper",
            "M204 S5,SET_VELOCITY_LIMIT ACCEL=600 VELOCITY=9",
            {"ACCEL": 600, "VELOCITY": 9},
        ),
        ("marlin", "M201 X500 E900,M201 X400", {"M201 X": 400, "M201 E": 900}),
        ("marlin", "G20,M205 X2 J.01", {"M205 X": 50.8, "M205 J": 0.254}),
        ("marlin", "M566 X600", {"M205 X": 10}),
    ],
)
def test_which_limits_are_in_force(firmware, lines, limits):
    assert machine(*lines.split(","), firmware=firmware).limits == pytest.approx(limits)


def test_factors_heaters_and_fans_are_remembered():
    new = machine("M220 S150", "M221 S90", "M104 S210", "M140 S60", "M106 S128", "M107 P1", "G10")
    assert (new.speed_factor, new.flow, new.is_retracted) == (1.5, 0.9, True)
    expected = {"nozzle 0": "210.0", "bed 0": "60.0", "fan 0": "128.0", "fan 1": "0.0"}
    assert new.devices == expected
    (move,) = new.run(b"G1 E2")
    assert move.filament == pytest.approx(1.8)
    assert new.e == 2.0


def test_words_that_firmware_cannot_read_are_refused():
    with pytest.raises(GcodeError, match="is not a word"):
        machine("G1 X1 E0.1/0.2")
    with pytest.raises(GcodeError, match="mixing extruder"):
        machine("G1 X1 E0.1:0.2")


@pytest.mark.parametrize("name", ["tiny", "corners", "arcs"])
def test_klipper_itself_moved_to_the_same_places(shared, name):
    """Start and end of each line's motion, as Klipper's own look-ahead queue held it."""
    folder = shared / "data" / "firmware" / "klipper"
    real = np.load(folder / f"{name}.npz")
    rows_of = {line: np.flatnonzero(real["line"] == line) for line in set(real["line"].tolist())}
    new, ends, places = Machine("klipper"), [], []
    for i, line in enumerate((folder / f"{name}.gcode").read_bytes().splitlines()):
        moves, rows = new.run(line), rows_of.get(i, ())
        if not moves or not len(rows) or not moves[0].length:
            continue
        last = rows[-1]
        end = real["start_pos"][last] + real["axes_r"][last] * real["move_d"][last]
        places.append([*moves[0].start, *moves[0].end])
        ends.append([*real["start_pos"][rows[0], :3], *end[:3]])
        laid = float(np.sum(real["axes_r"][rows, 3] * real["move_d"][rows]))
        assert moves[0].filament == pytest.approx(laid, abs=1e-6)
        length = float(real["move_d"][rows].sum())
        assert moves[0].length >= length - 1e-6  # Klipper's arcs are chords of about 1 mm
        assert len(rows) < 10 or moves[0].length < 1.01 * length
    np.testing.assert_allclose(places, ends, atol=1e-6)
    assert len(places) > 150
