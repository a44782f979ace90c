"""What is written: G-code that replans to what was asked, and everything else byte for byte."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.correction.cases import Dialect, Writer, limits, small_print
from trajerr.correction.blocks import move_times
from trajerr.correction.emission import check_writable, limit_lines, write_lines
from trajerr.correction.feedrates import assemble, keep_time, raised
from trajerr.correction.filament import spread_filament
from trajerr.correction.pieces import FINE, EmissionSettings, rounded, segment
from trajerr.correction.regions import Role, find_region, roles
from trajerr.correction.settings import CorrectionSettings
from trajerr.errors import GcodeError
from trajerr.gcode.program import WALLS, LimitSettings, MoveKind
from trajerr.gcode.reader import parse_program
from trajerr.gcode.writer import replace_lines
from trajerr.motion.planner import plan

FADE_S = CorrectionSettings.shipped().fade_s
SHIFT = 0.12  # mm, amplitude of the corrections written here


def wobble(region, phase=0.0):
    """A smooth correction that respects holds, as a function of time."""

    time = np.arange(0.0, region.time[-1] + 0.01, 1 / 200)
    angle = 2 * np.pi * 3.0 * time + phase
    raw = SHIFT * np.column_stack([np.sin(angle), np.cos(1.3 * angle)])
    correction = raw * region.weight(time)[:, None]
    region.settle(correction, time)
    return region.offset(correction, time)


def corrected(
    program,
    firmware="marlin_estimated",
    settings=None,
    layers=(1, 2),
    phase=0.0,
    change=lambda found: found,
):
    settings = settings or EmissionSettings.shipped(rate_hz=100.0)
    machine = limits(firmware)
    nominal = plan(program, machine)
    role = roles(program.moves, WALLS, layers)
    start, end = move_times(nominal)
    region = find_region(start, end, role, FADE_S)
    segmentation = segment(nominal, region, role, wobble(region, phase), settings)
    segmentation = rounded(change(segmentation), program.moves)
    slow = assemble(nominal, segmentation, machine, settings)
    timed, _ = keep_time(slow, machine, np.ones(len(segmentation.pieces)))
    lines = write_lines(program, timed, segmentation, machine)
    again = parse_program(replace_lines(program, lines), "corrected.gcode")
    return nominal, segmentation, timed, lines, again


def head_time(planned):
    """How long a print takes without what the extruder does alone, s."""
    alone = planned.program.moves.kind[planned.move] == MoveKind.EXTRUDER
    return float(planned.duration[~alone].sum())


def runs(program):
    """Filament of each uninterrupted path of one feature."""
    moves = program.moves
    amount = (moves.end - moves.start)[:, 3]
    key = np.where(moves.is_extruding, moves.feature.astype(int), -1)
    edges = np.flatnonzero(np.diff(key)) + 1
    parts = np.split(np.arange(len(key)), edges)
    return np.array([amount[part].sum() for part in parts if key[part[0]] >= 0])


DIALECTS = [
    Dialect(),
    Dialect(absolute_e=True),
    Dialect(relative_xyz=True),
    Dialect(inches=True),
    Dialect(inches=True, relative_xyz=True, absolute_e=True),
    Dialect(newline="\r\n"),
]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_written_file_replans_to_what_was_asked(dialect):
    program = small_print(dialect=dialect)
    _, _, timed, _, again = corrected(program)
    machine = limits()
    asked, replanned = plan(timed.program, machine), plan(again, machine)
    time = np.arange(0.0, asked.print_time, 1e-3)
    gap = np.linalg.norm(asked.position(time)[:, :3] - replanned.position(time)[:, :3], axis=1)
    assert gap.max() < 2e-3
    assert replanned.print_time == pytest.approx(asked.print_time, abs=2e-4)


@pytest.mark.parametrize("firmware", ["marlin_estimated", "klipper"])
def test_the_clock_is_kept_and_limits_return(firmware):
    program = small_print(dialect=Dialect(klipper=firmware == "klipper"))
    nominal, _, _timed, _lines, again = corrected(program, firmware)
    machine = limits(firmware)
    replanned = plan(again, machine)
    if firmware == "klipper":  # whose raised limits let retracts between pieces peak higher, too
        assert head_time(replanned) == pytest.approx(head_time(nominal), rel=0.01)
        assert replanned.print_time < nominal.print_time
    else:
        assert replanned.print_time == pytest.approx(nominal.print_time, rel=0.01)
    wide = machine.overridden(raised(LimitSettings(), machine, EmissionSettings.shipped()))
    last = again.settings[int(again.moves.settings[-1])]
    back = machine.overridden(last)
    assert back.print_acceleration_mm_s2 == 1000.0
    assert wide.print_acceleration_mm_s2 > 1000.0
    infill = again.moves.feature == 4
    for state in np.unique(again.moves.settings[infill & again.moves.is_extruding]):
        own = machine.overridden(again.settings[int(state)])
        assert own.print_acceleration_mm_s2 == 1000.0
        assert own.jerk_mm_s[:2] == (8.0, 8.0)
        assert own.max_acceleration_mm_s2 == machine.max_acceleration_mm_s2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_lines_that_are_not_corrected_stay_byte_for_byte(dialect):
    program = small_print(dialect=dialect)
    _nominal, segmentation, _, lines, again = corrected(program)
    touched = set(program.moves.line[segmentation.stretch >= 0].tolist())
    assert set(lines) <= touched
    before = [program.line(i) for i in range(program.n_lines) if i not in lines]
    after = {again.line(i) for i in range(again.n_lines)}
    assert all(line in after for line in before)
    newline = dialect.newline.encode()
    assert again.text.count(b"\n") == again.text.count(newline)
    fixed = program.moves.is_extruding & ~program.moves.is_wall
    kept = again.moves.is_extruding & ~again.moves.is_wall
    np.testing.assert_allclose(program.moves.end[fixed], again.moves.end[kept], atol=5.1e-4)
    np.testing.assert_allclose(program.moves.start[fixed], again.moves.start[kept], atol=6e-4)


@pytest.mark.parametrize("absolute_e", [False, True])
def test_thinning_allows_more_where_a_file_would_grow_too_much(absolute_e):
    program = small_print(dialect=Dialect(absolute_e=absolute_e))
    nominal = plan(program, limits())
    role = roles(program.moves, WALLS, (1, 2))
    region = find_region(*move_times(nominal), role, FADE_S)

    def size(growth):
        emission = EmissionSettings.shipped(most_growth=growth, small_kb=0.0)
        segmentation = segment(nominal, region, role, wobble(region), emission)
        segmentation = rounded(segmentation, program.moves)
        slow = assemble(nominal, segmentation, limits(), emission)
        timed, _ = keep_time(slow, limits(), np.ones(len(segmentation.pieces)))
        text = replace_lines(program, write_lines(program, timed, segmentation, limits()))
        return len(text) / len(program.text)

    most = size(100.0)
    for share in (0.9, 0.8):
        assert 0.9 * share * most < size(share * most) < 1.03 * share * most


def test_a_small_file_may_grow_to_a_size_that_troubles_nobody():
    program = small_print()
    nominal = plan(program, limits())
    role = roles(program.moves, WALLS, (1, 2))
    region = find_region(*move_times(nominal), role, FADE_S)

    def pieces(**keys):
        return len(
            segment(nominal, region, role, wobble(region), EmissionSettings.shipped(**keys)).pieces
        )

    assert pieces(most_growth=2.0, small_kb=64.0) == pieces(most_growth=1e3)
    assert pieces(most_growth=2.0, small_kb=5.0) < pieces(most_growth=1e3)


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 6), st.floats(0.02, 1.0), st.sampled_from([50.0, 100.0, 200.0]))
def test_what_thinning_leaves_out_stays_close_to_the_pieces(phase, share, rate):
    """Each instant of a wall is as near to its piece as asked, if the piece could be shorter."""
    program = small_print()
    nominal = plan(program, limits())
    role = roles(program.moves, WALLS, (1, 2))
    region = find_region(*move_times(nominal), role, FADE_S)
    shares = {"across_share": share, "along_share": 10 * share}
    emission = EmissionSettings.shipped(rate_hz=rate, most_growth=1e3, **shares)
    error = np.where(program.moves.layer == 1, 0.05, 0.02)
    offset = wobble(region, phase)
    pieces = segment(nominal, region, role, offset, emission, error).pieces
    across = np.minimum(emission.across_mm, share * error)[pieces.move]
    along = np.minimum(emission.along_mm, 10 * share * error)[pieces.move]
    divisible = pieces.end - pieces.start >= 2.0 / rate - 1e-9
    wall = (role[pieces.move] == Role.CORRECTED) & divisible
    begin = np.vstack([pieces.target[:1], pieces.target[:-1]])
    for i in np.flatnonzero(wall[1:] & (pieces.start[1:] == pieces.end[:-1])) + 1:
        first, last = FINE * rate * pieces.start[i], FINE * rate * pieces.end[i]
        time = np.arange(np.ceil(first + 1e-6), last) / (FINE * rate)
        done = (time - pieces.start[i]) / (pieces.end[i] - pieces.start[i])
        chord = (pieces.target[i] - begin[i])[:3]
        asked = nominal.position(time)[:, :3]
        asked[:, :2] += offset(time)
        off = asked - begin[i, :3] - done[:, None] * chord
        length = np.linalg.norm(chord)
        ahead = off @ chord / length
        aside = np.linalg.norm(off - ahead[:, None] * chord / length, axis=1)
        assert np.all(np.abs(ahead) <= along[i] + 1e-9)
        assert np.all(aside <= across[i] + 1e-9)


def test_a_line_without_feedrate_gets_the_one_it_had():
    program = small_print()
    _, _, _, _, again = corrected(program)
    fixed = program.moves.is_extruding & ~program.moves.is_wall
    kept = again.moves.is_extruding & ~again.moves.is_wall
    np.testing.assert_allclose(program.moves.feedrate[fixed], again.moves.feedrate[kept])


def test_arcs_are_replaced_where_corrected():
    w = Writer(Dialect())
    w.say(";LAYER_CHANGE")
    w.move(z=0.2, feed=10)
    w.path([(30, 30), (60, 30)], 40.0, "Perimeter")
    w.say("G3 X60 Y50 I0 J10 E2 F2400")
    w.at[:2] = 60, 50
    w.path([(10, 10), (12, 12)], 40.0, "Internal infill")
    program = w.program()
    _nominal, _, timed, _, again = corrected(program, layers=(1,))
    assert np.all(again.moves.sweep == 0.0)
    asked, replanned = plan(timed.program, limits()), plan(again, limits())
    time = np.arange(0.0, asked.print_time, 1e-3)
    gap = asked.position(time)[:, :3] - replanned.position(time)[:, :3]
    assert np.abs(gap).max() < 2e-3


def test_moves_to_where_the_nozzle_already_is_do_not_undo_a_correction():
    w = Writer(Dialect())
    w.say(";LAYER_CHANGE")
    w.move(z=0.2, feed=10)
    w.path([(30, 30), (60, 30), (60, 50)], 40.0, "Perimeter")
    w.say("G1 X60 Y50 ; again")
    w.say("G0 X60.000 F2000")
    w.path([(80, 30), (90, 45)], 40.0, "Perimeter")
    program = w.program()
    _, _, timed, _, again = corrected(program, layers=(1,))
    asked, replanned = plan(timed.program, limits()), plan(again, limits())
    time = np.arange(0.0, asked.print_time, 1e-3)
    gap = asked.position(time)[:, :3] - replanned.position(time)[:, :3]
    assert np.abs(gap).max() < 2e-3
    assert b"; again" in again.text
    assert b"X60 Y50" not in again.text
    assert b"F2000" in again.text


STANDING = """; a small print
G21
G90
M82
M204 P1000 T1500
M205 X8 Y8
G92 E0
G1 X0 Y0 Z0
;LAYER_CHANGE
G1 Z0.20000 F600.000
G1 E-0.800000 F2100.000
G1 X132.96529 Y143.04069 F7200.000
G1 E0.000000 F2100.000
;TYPE:External perimeter
G1 X133.30338 Y143.44663 E0.017434 F7144.577
G1 X133.28282 Y143.17697 E0.026358
G1 X133.28990 Y143.18622 E0.026743
G1 X134.01854 Y142.86362 E0.053039
G1 X133.84392 Y142.92398 E0.059136
G1 X133.73679 Y142.92486 E0.062671
G1 X5.00000 Y5.00000 F6000.000
"""


@pytest.mark.parametrize("number", [7, 8, 9])
def test_a_piece_that_ends_where_it_began_takes_the_time_of_its_filament(number):
    def stand_still(segmentation):
        target = segmentation.pieces.target.copy()
        target[number, :3] = target[number - 1, :3]
        return replace(segmentation, pieces=replace(segmentation.pieces, target=target))

    program = parse_program(STANDING.encode(), "small.gcode")
    emission = EmissionSettings.shipped(rate_hz=100.0)
    _, _, timed, _, again = corrected(
        program, "marlin_estimated", emission, (1,), change=stand_still
    )
    moves = timed.program.moves
    still = np.all(moves.start[:, :2] == moves.end[:, :2], axis=1) & timed.is_timed
    assert np.count_nonzero(still) == 1
    assert np.all(moves.end[still, 3] > moves.start[still, 3])
    _, taken = timed.planned(limits())
    np.testing.assert_allclose(taken[still], timed.asked[still], rtol=0.02)
    assert plan(again, limits()).print_time == pytest.approx(np.sum(taken), abs=1e-4)


@st.composite
def prints(draw):
    """Random closed walls, infill between them, at random speeds and in random dialects."""
    dialect = Dialect(absolute_e=draw(st.booleans()), relative_xyz=draw(st.booleans()))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    w = Writer(dialect)
    w.say(";LAYER_CHANGE")
    w.move(z=0.2, feed=10)
    for _ in range(draw(st.integers(1, 4))):
        centre = rng.uniform(20, 200, 2)
        steps = rng.normal(size=(draw(st.integers(2, 12)), 2)) * rng.choice([0.3, 2.0, 15.0])
        points = np.clip(centre + np.cumsum(steps, axis=0), 0.5, 219.5)
        kind = rng.choice(["Perimeter", "External perimeter", "Internal infill"])
        w.path(points.tolist(), float(rng.uniform(10, 150)), str(kind))
    w.path([(100, 100), (120, 100)], 50.0, "Perimeter")
    w.move(5, 5, feed=100.0)
    return w.program()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(prints(), st.floats(0, 6), st.sampled_from([50.0, 100.0, 200.0]))
def test_random_prints_keep_extrusion_bounds_and_rate(program, phase, rate):
    emission = EmissionSettings.shipped(rate_hz=rate)
    nominal, segmentation, timed, _lines, again = corrected(
        program, settings=emission, layers=(1,), phase=phase
    )
    np.testing.assert_allclose(runs(again), runs(program), rtol=1e-3, atol=1.1e-5)
    pieces = segmentation.pieces
    shift = pieces.target[:, :2] - nominal.position(pieces.end)[:, :2]
    assert np.linalg.norm(shift, axis=1).max() < 1.5 * SHIFT
    duration = pieces.end - pieces.start
    forced = np.bincount(pieces.move, minlength=len(program.moves))[pieces.move] == 1
    assert np.all(duration[~forced] >= 1 / rate - 1e-9)
    assert pieces.target[:, :2].min() > 0.5 - 1.5 * SHIFT - 1e-3
    assert np.array_equal(
        again.moves.end[again.moves.is_extruding & ~again.moves.is_wall].shape,
        program.moves.end[program.moves.is_extruding & ~program.moves.is_wall].shape,
    )
    machine = limits()
    asked, replanned = plan(timed.program, machine), plan(again, machine)
    time = np.arange(0.0, asked.print_time, 2e-3)
    gap = np.linalg.norm(asked.position(time)[:, :2] - replanned.position(time)[:, :2], axis=1)
    assert gap.max() < 2e-3


def test_feedrates_are_found_that_keep_the_clock():
    program = small_print(feed=100.0)
    machine, emission = limits(), EmissionSettings.shipped(rate_hz=100.0)
    _, _, timed, _, _ = corrected(program, settings=emission)
    _, taken = timed.planned(machine)
    excess = (taken - timed.asked)[timed.is_timed]
    assert np.abs(excess).sum() / timed.asked[timed.is_timed].sum() < 0.01


def test_firmware_is_told_in_its_own_words():
    machine = replace(limits(), jerk_mm_s=(9.0, 8.0, 0.4, 5.0))
    assert limit_lines(machine) == [b"M201 X3000 Y3000", b"M204 P1000 T1500", b"M205 X9 Y8"]
    deviation = replace(machine, firmware="marlin_junction_deviation")
    assert limit_lines(deviation)[-1] == b"M205 J.013"
    klipper = replace(machine, firmware="klipper")
    ours = b"ACCEL=1000 ACCEL_TO_DECEL=500 SQUARE_CORNER_VELOCITY=5 MINIMUM_CRUISE_RATIO=.5"
    assert limit_lines(klipper) == [b"SET_VELOCITY_LIMIT " + ours]
    assert limit_lines(machine, unit=25.4)[1] == b"M204 P39.370079 T59.055118"


@pytest.mark.parametrize(
    ("line", "what"),
    [("M220 S80", "M220"), ("M200 D1.75", "M200"), ("N5 G1 X5", "line numbers")],
)
def test_files_that_would_change_meaning_are_refused(line, what):
    w = Writer(Dialect())
    w.say(line)
    w.move(10, 10, feed=50)
    with pytest.raises(GcodeError, match=what):
        check_writable(w.program())


def test_harmless_forms_of_the_same_commands_pass():
    w = Writer(Dialect())
    for line in ("M220 S100", "M200 D0", "; M220 S50"):
        w.say(line)
    w.move(10, 10, feed=50)
    check_writable(w.program())


@pytest.mark.parametrize("line", ["G1 X60 Y50 E1 G1 X30 Y50 E1", "M106 S9 G1 X30 Y50 E1"])
def test_lines_that_say_more_than_one_move_stay_whole(line):
    w = Writer(Dialect())
    w.say(";LAYER_CHANGE")
    w.move(z=0.2, feed=10)
    w.path([(30, 30), (60, 30)], 40.0, "Perimeter")
    w.say(line)
    w.at[:2] = 30, 50
    w.move(30, 60, e=0.3)
    program = w.program()
    _, _, _, _, again = corrected(program, layers=(1,))
    assert again.text.count(line.encode()) == 1
    assert len(again.moves) > len(program.moves)


def test_limits_that_the_file_sets_within_a_stretch_are_raised_again_and_restored():
    w = Writer(Dialect())
    w.say(";LAYER_CHANGE")
    w.move(z=0.2, feed=10)
    for x in (30.0, 30.4, 30.8):  # so close that no travel between them rests
        w.path([(x, 30), (x, 60)], 60.0, "Perimeter")
        w.say("M201 X2500 Y2500")
        w.say("M204 P900")
    w.move(100, 100, feed=100.0)
    program = w.program()
    _, _, timed, _, again = corrected(program, layers=(1,))
    asked, replanned = plan(timed.program, limits()), plan(again, limits())
    assert replanned.print_time == pytest.approx(asked.print_time, abs=1e-4)
    time = np.arange(0.0, asked.print_time, 1e-3)
    gap = asked.position(time)[:, :3] - replanned.position(time)[:, :3]
    assert np.abs(gap).max() < 2e-3
    last = limits().overridden(again.settings[int(again.moves.settings[-1])])
    assert last.print_acceleration_mm_s2 == 900.0
    assert last.travel_acceleration_mm_s2 == 1500.0
    assert last.max_acceleration_mm_s2[:2] == (2500.0, 2500.0)
    assert last.jerk_mm_s[:2] == (8.0, 8.0)


@pytest.mark.parametrize("firmware", ["marlin", "klipper", "klipper_0_13", "klipper_0_12"])
def test_raising_lowers_nothing(firmware):
    """A fast file asks for more than what its corrected moves are given."""
    state = LimitSettings(
        max_acceleration=(20_000.0, 20_000.0, None, None),
        print_acceleration=12_000.0,
        travel_acceleration=15_000.0,
        acceleration_limit=12_000.0,
        accel_to_decel=11_000.0,
        jerk=(20.0, 25.0, None, None),
        junction_deviation=0.05,
        square_corner_velocity=20.0,
        minimum_cruise_ratio=0.25,
    )
    machine, emission = limits(firmware), EmissionSettings.shipped()
    before = machine.overridden(state)
    after = machine.overridden(raised(state, machine, emission))
    for key in ("max_acceleration_mm_s2", "max_velocity_mm_s", "jerk_mm_s"):
        assert np.all(np.array(getattr(after, key)) >= np.array(getattr(before, key))), key
    for key in (
        "print_acceleration_mm_s2",
        "travel_acceleration_mm_s2",
        "junction_deviation_mm",
        "square_corner_velocity_mm_s",
        "accel_to_decel",
    ):
        assert getattr(after, key) >= getattr(before, key), key
    assert after.minimum_cruise_ratio == 0.0


def test_a_feedrate_returns_where_no_travel_follows_a_wall():
    """Infill begins where the wall ends and says no feedrate: that of the wall is meant."""
    wall = "\n".join(f"G1 {at} E.4 F2400" for at in ("X62 Y50", "X62 Y62", "X50 Y62", "X50 Y50"))
    lines = ["G90\nM83\nG1 Z.2 F600\n;LAYER_CHANGE\n;Z:.2", "G1 X50 Y50 F6000"]
    lines += [f";TYPE:External perimeter\n{wall}\n;TYPE:Internal infill\nG1 X55 Y61 E.5\nM84\n"]
    program = parse_program("\n".join(lines).encode(), "tower.gcode")
    *_, again = corrected(program, layers=(1,))
    infill = again.moves.is_extruding & ~again.moves.is_wall
    np.testing.assert_allclose(again.moves.feedrate[infill], 40.0)


@pytest.mark.parametrize(
    ("firmware", "asked", "cap", "jerk"),
    [
        ("marlin", None, None, 15.0),
        ("marlin_2_1_2", None, None, 60.0),  # it brakes where feedrates rise by more
        ("marlin_2_1_2", 30.0, None, 30.0),
        ("marlin_2_1_2", None, 5.0, 8.0),  # a build that accepts no more; the file's own stays
        ("klipper", None, None, 15.0),
    ],
)
def test_jerk_is_raised_as_far_as_the_firmware_needs_and_accepts(firmware, asked, cap, jerk):
    machine = replace(limits(firmware), jerk_cap_mm_s=cap)
    after = machine.overridden(
        raised(LimitSettings(), machine, EmissionSettings.shipped(jerk_mm_s=asked))
    )
    if firmware == "klipper":
        assert after.square_corner_velocity_mm_s == jerk
    else:
        assert after.jerk_mm_s[:2] == (jerk, jerk)
    assert 0.01 <= after.junction_deviation_mm <= 0.3


@pytest.mark.parametrize(
    ("firmware", "asked", "acceleration"),
    [
        ("klipper", None, 10_000.0),
        ("klipper_0_12", None, 10_000.0),
        ("marlin_2_1_2", None, 5_000.0),  # whose pieces of few steps follow no better with more
        ("klipper", 3_000.0, 3_000.0),
        ("marlin_2_1_2", 7_000.0, 7_000.0),
    ],
)
def test_acceleration_is_raised_as_far_as_the_firmware_follows(firmware, asked, acceleration):
    machine = limits(firmware)
    emission = EmissionSettings.shipped(acceleration_mm_s2=asked)
    after = machine.overridden(raised(LimitSettings(), machine, emission))
    assert after.print_acceleration_mm_s2 == acceleration


@pytest.mark.parametrize("asked", [None, 3_000.0])
def test_behind_a_shaper_corrected_moves_may_accelerate_as_that_key_says(asked):
    emission = EmissionSettings.shipped(acceleration_mm_s2=asked, shaped_acceleration_mm_s2=8_000.0)
    assert emission.behind_shaper().acceleration_on(limits("klipper")) == 8_000.0


@pytest.mark.parametrize("firmware", ["marlin", "marlin_2_1_2", "marlin_junction_deviation"])
def test_no_piece_is_shorter_than_marlin_runs_by_itself(firmware):
    """Six steps and a half of one axis, but for what a whole block is shorter itself."""
    program, machine = small_print(), limits(firmware)
    nominal = plan(program, machine)
    role = roles(program.moves, WALLS, (1, 2))
    region = find_region(*move_times(nominal), role, FADE_S)
    emission = EmissionSettings.shipped(across_mm=0.002)  # so fine that there are short ones
    cut, free = (
        segment(p, region, role, wobble(region), emission).pieces
        for p in (nominal, replace(nominal, limits=replace(machine, firmware="marlin_estimated")))
    )

    def short(pieces):
        begin = nominal.asked(pieces.start)[:, :2] + wobble(region)(pieces.start)
        way = np.abs(pieces.target[:, :2] - begin).max(axis=1)
        return np.count_nonzero(way < 6.0 / 80.0)

    assert short(free) > 10
    assert short(cut) < 0.2 * short(free)


def test_where_a_command_stands_no_line_is_of_filament_alone():
    """All else would stop at it; the pieces beside lay down what it would have."""
    program, machine = small_print(), limits("klipper")
    nominal = plan(program, machine)
    role = roles(program.moves, WALLS, (1, 2))
    start, end = move_times(nominal)
    longest = np.argmax((end - start) * (role == Role.CORRECTED))
    middle, region = 0.5 * (start + end)[longest], find_region(start, end, role, FADE_S)

    def hovering(time):
        held = np.clip(time, None, middle) + np.clip(time - middle - 0.02, 0.0, None)
        early = nominal.position(held)[:, :2] - nominal.position(time)[:, :2]
        return early * (np.abs(time - middle - 0.01) < 0.0101)[:, None]

    fine = {"across_mm": 0.0, "along_mm": 0.0, "rate_hz": 400.0, "most_growth": 1e3}
    emission = EmissionSettings.shipped(**fine)
    segmentation = rounded(segment(nominal, region, role, hovering, emission), program.moves)

    def written(segmentation):
        slow = assemble(nominal, segmentation, machine, emission)
        timed, _ = keep_time(slow, machine, np.ones(len(segmentation.pieces)))
        lines = write_lines(program, timed, segmentation, machine)
        moves = parse_program(replace_lines(program, lines), "corrected.gcode").moves
        step = moves.end - moves.start
        alone = np.all(step[:, :3] == 0.0, axis=1) & (step[:, 3] > 0.0)
        return np.count_nonzero(alone), moves.end[-1, 3]

    step = program.moves.end - program.moves.start
    own = np.count_nonzero(np.all(step[:, :3] == 0.0, axis=1) & (step[:, 3] > 0.0))
    before, laid = written(segmentation)
    after, still_laid = written(spread_filament(segmentation, nominal, most=0.5))
    assert before > own
    assert after == own
    assert still_laid == pytest.approx(laid, abs=1e-4)
