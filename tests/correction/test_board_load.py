"""What a board has to swallow, and corrections that stay within what it takes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.correction.cases import limits, linear_printer, small_print
from trajerr.correction import compensate
from trajerr.correction.board_load import CommandStream, board_load, command_sizes, peak
from trajerr.correction.boards import BOARDS, Board, demands, heaviest, on_board, planned_on
from trajerr.correction.compensate import correct_program
from trajerr.correction.error_models import TwinModel
from trajerr.correction.pieces import EmissionSettings
from trajerr.correction.run import CorrectionRun
from trajerr.correction.settings import CorrectionSettings
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.reader import parse_program
from trajerr.motion.planner import plan

SPEED, STEP, COUNT = 50.0, 1.0, 200  # mm/s, mm, moves
FINE = {"across_mm": 0.0, "along_mm": 0.0, "most_growth": 100.0}  # as many moves as the rate allows


def planned(*lines, firmware="marlin"):
    text = "\n".join(["G90", "M83", "G1 X0 Y10 Z1 F3000", *lines, "M84", ""])
    return plan(parse_program(text.encode(), "line.gcode"), limits(firmware))


def straight(*between, newline=""):
    """Moves along a line, one every 20 ms once the first ones are up to speed."""
    lines = []
    for i in range(COUNT):
        lines += [*between, f"G1 X{(i + 1) * STEP:.3f} F3000{newline}"]
    return lines


def test_moves_at_a_constant_speed_come_at_a_constant_rate():
    load = board_load(planned(*straight()))
    assert load.moves_per_s.peak_1s == SPEED / STEP
    assert load.commands_per_s.peak_1s == SPEED / STEP
    # A window shorter than three steps holds three begins at most.
    assert load.commands_per_s.peak_50ms == 3 / 0.05


def test_the_mean_is_over_the_print():
    stream = planned(*straight())
    load = board_load(stream)
    assert load.moves_per_s.mean == pytest.approx((COUNT + 1) / stream.print_time)
    assert load.commands_per_s.mean == load.moves_per_s.mean


def test_lines_without_motion_belong_to_the_next_move():
    load = board_load(planned(*straight("M106 S128", "; a comment", "", "  ;another")))
    assert load.moves_per_s.peak_1s == SPEED / STEP
    assert load.commands_per_s.peak_1s == 2 * SPEED / STEP


def test_bytes_are_those_of_commands_without_comments_and_blanks():
    lines = straight("M106 S128  ; a comment", newline="   ;note\r")
    load = board_load(planned(*lines))
    pair = len("M106 S128\n") + len("G1 X100.000 F3000\n")
    assert load.bytes_per_s.peak_1s == pair * SPEED / STEP


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"G28\n\n;x\n \t \n  G1 X1 ;y\r\nM84", [(0, 4), (4, 6), (5, 4)]),
        (b"\n;only\n", []),
        (b"", []),
        (b"M117 a  b\t\r\n", [(0, 10)]),
    ],
)
def test_a_command_is_a_line_that_is_neither_blank_nor_comment(text, expected):
    program = parse_program(b"G1 X1 F600\n", "x.gcode")
    starts = np.cumsum([0, *map(len, text.splitlines(keepends=True))])
    line, size = command_sizes(replace(program, text=text, line_starts=starts))
    assert list(zip(line.tolist(), size.tolist(), strict=True)) == expected


@pytest.mark.parametrize("rest", ["M400", "G4 P500", "M109 S200"])
def test_what_comes_while_the_machine_stands_is_no_load(rest):
    still = ["M117 a", "M104 S200", rest, "M106 S0"]
    moving = board_load(planned(*still, *straight(), *still))
    assert moving.commands_per_s.peak_1s == SPEED / STEP
    assert moving.moves_per_s.peak_1s == SPEED / STEP
    assert len(CommandStream.of(planned(*still, *straight(), *still)).time) == COUNT + 1


def test_an_arc_is_one_move_and_one_command():
    load = board_load(planned("G1 X50 F3000", "G2 X70 I10 J0", "G1 X90"))
    assert load.moves_per_s.mean == load.commands_per_s.mean
    stream = CommandStream.of(planned("G1 X50 F3000", "G2 X70 I10 J0", "G1 X90"))
    assert len(stream.move_time) == 4


def test_klipper_and_marlin_count_the_same_commands():
    lines = ["SET_VELOCITY_LIMIT ACCEL=900", *straight("M106 S128")]
    marlin, klipper = (CommandStream.of(planned(*lines, firmware=f)) for f in ("marlin", "klipper"))
    assert len(marlin.time) == len(klipper.time) == 2 * COUNT + 2
    assert np.array_equal(marlin.size, klipper.size)


@given(
    gaps=st.lists(st.floats(0.0, 0.7), min_size=1, max_size=60),
    seed=st.integers(0, 1 << 16),
    window=st.floats(0.01, 0.3),
    times=st.integers(1, 40),
)
def test_the_peak_over_a_longer_window_is_never_above_that_over_a_shorter_one(
    gaps, seed, window, times
):
    time = np.cumsum(gaps)
    amount = np.random.default_rng(seed).integers(1, 60, len(time))
    longer = peak(time, amount, times * window)
    assert longer <= peak(time, amount, window) * (1.0 + 1e-9)


@given(gaps=st.lists(st.integers(0, 9), min_size=1, max_size=40), window=st.integers(1, 30))
def test_peaks_are_those_of_counting_in_every_window(gaps, window):
    time = np.cumsum(gaps)
    amount = np.arange(1, len(time) + 1)
    counted = max(
        amount[(time >= begin) & (time < begin + window)].sum()
        for begin in range(-1, int(time[-1]) + 1)
    )
    assert peak(0.125 * time, amount, 0.125 * window) == counted / (0.125 * window)


def test_a_printer_looks_ahead_as_its_board_unless_it_says_how_far():
    printer = linear_printer()
    assert on_board(printer, None) is printer
    assert on_board(printer, "klipper") is printer
    assert on_board(printer, "marlin_serial").limits.lookahead_blocks == 16
    stock = replace(printer, limits=replace(printer.limits, lookahead_blocks=8))
    assert on_board(stock, "marlin_sd") is stock


def test_a_burst_is_bounded_by_the_planners_own_blocks():
    allowed = {}
    for blocks in (None, 8):
        machine = replace(limits(), lookahead_blocks=blocks)
        text = "\n".join(["G1 X0 Y0 F3000", *straight(), "M84", ""]).encode()
        print_ = plan(parse_program(text, "x.gcode"), machine)
        allowed[blocks] = demands(print_, BOARDS["marlin_sd"])[1].allowed
    assert allowed == {None: 200 + 12 / 0.05, 8: 200 + 6 / 0.05}


def test_a_line_of_115200_baud_takes_150_commands_of_50_bytes():
    (sent,) = [
        demand
        for demand in demands(planned(*straight()), BOARDS["marlin_serial"])
        if "bytes" in demand.unit
    ]
    assert sent.allowed == 115_200 / 10
    assert sent.asked == (SPEED / STEP) * (len("G1 X100.000 F3000\n") + 27)
    assert 145 < sent.allowed / (50 + 27) < 155


def test_what_the_original_asks_for_its_correction_may_ask_for():
    heavy, weak = planned(*straight()), Board(klipper=False, commands_per_s=10.0)
    assert heaviest(heavy, heavy, weak).share == 1.0
    light = planned("G1 X100 F3000")
    assert heaviest(heavy, light, weak).share == 5.0


def test_a_board_that_knows_sixteen_moves_ahead_is_slow_where_they_are_short():
    lines = [f"G1 X{0.02 * (i + 1):.2f} F3000" for i in range(1000)]
    text = "\n".join(["G90", "G1 X0 Y10 Z1 F3000", *lines, "M84", ""]).encode()
    program, printer = parse_program(text, "short.gcode"), linear_printer()
    serial, whole = (planned_on(program, printer, board) for board in ("marlin_serial", None))
    fastest = np.sqrt(2.0 * 1500.0 * 15 * 0.02)  # mm/s, from which the nozzle can stop in 15 moves
    assert np.median(serial.exit) == pytest.approx(fastest)
    assert whole.exit.max() == SPEED
    assert (
        serial.print_time > whole.print_time + 0.2
    )  # 20 mm at 30 in place of 50 mm/s, ramps apart


def test_all_that_a_report_replays_is_planned_by_the_board(printer, tmp_path):
    (tmp_path / "round.gcode").write_text(ROUND)
    run = CorrectionRun(
        gcode=str(tmp_path / "round.gcode"),
        bundle=None,
        out=None,
        in_place=False,
        layers="all",
        report=True,
        report_dir=None,
        report_layers=1,
        report_page=False,
        report_pictures=False,
        page_layers=1,
        compare=["subtract"],
        force=False,
        other_machine=False,
        sample_rate_hz=200.0,
        rounds=0,
        accelerator="cpu",
        settings=CorrectionSettings.shipped(method="twin", board="marlin_sd"),
    )
    prepared = run.prepare(printer)
    replay = prepared.replay(prepared.correct())
    ahead = {name: planned.limits.lookahead_blocks for name, planned in replay.plans.items()}
    assert ahead == {"uncorrected": 16, "subtract": 16, "twin": 16}


@pytest.fixture(scope="module")
def printer():
    return linear_printer()


def correct(printer, board=None, rate_hz=400.0, **fields):
    emission = EmissionSettings.shipped(rate_hz=rate_hz, **FINE)
    settings = CorrectionSettings.shipped(layers=(1,), board=board, emission=emission, **fields)
    return correct_program(small_print(1), TwinModel(printer), printer, settings)


@pytest.fixture(scope="module")
def unbounded(printer):
    return correct(printer)


@pytest.mark.parametrize("board", ["marlin_sd", "marlin_serial"])
def test_a_preset_bounds_the_correction(board, printer, unbounded):
    original = planned_on(small_print(1), printer, board)
    again = parse_program(unbounded.text, "again.gcode")
    assert heaviest(planned_on(again, printer, board), original, BOARDS[board]).share > 1.0
    done = correct(printer, board)
    assert done.rate_hz < 400.0
    assert done.planned.limits.lookahead_blocks == 16
    assert done.planned.program.text == done.text
    assert heaviest(done.planned, original, BOARDS[board]).share <= 1.0
    assert done.improvement > 0.5


def test_a_users_own_lower_rate_stays_and_the_file_with_it(printer):
    own = correct(printer, rate_hz=60.0)
    done = correct(printer, "marlin_serial", rate_hz=60.0)
    assert done.rate_hz == 60.0
    assert done.text == own.text
    assert own.planned is None


ROUND = """G90
M83
M204 P1000 T1000
M205 X8 Y8
;LAYER_CHANGE
;Z:0.2
G1 Z0.2 F600
G1 X60 Y40 F6000
;TYPE:External perimeter
G1 X80 Y40 E.66 F3600
G2 X80 Y80 J20 E2.07
G1 X60 Y80 E.66
G1 X60 Y40 E1.32
;TYPE:Internal infill
G1 X70 Y70 E1
G1 X5 Y5 F6000
M84
"""


@pytest.mark.parametrize(("method", "attempts"), [("inverse", 4), ("subtract", 1)])
def test_what_no_rate_makes_light_enough_is_refused(method, attempts, printer, monkeypatch):
    made = []
    weak = {"marlin_sd": Board(klipper=False, commands_per_s=1.0)}
    monkeypatch.setattr(compensate, "BOARDS", weak)
    slower = compensate._Job.at_rate
    monkeypatch.setattr(
        compensate._Job, "at_rate", lambda job, rate: made.append(rate) or slower(job, rate)
    )
    program = parse_program(ROUND.encode(), "round.gcode")
    settings = CorrectionSettings.shipped(
        method=method, board="marlin_sd", least_improvement=-np.inf
    )
    says = r"^round.gcode: .* board marlin_sd, .* \d+ commands/s over 1 s, expected at most \d+; "
    with pytest.raises(GcodeError, match=says):
        correct_program(program, TwinModel(printer), printer, settings)
    assert len(made) == attempts
    assert made == sorted(made, reverse=True)


def test_a_board_has_a_name_and_the_printers_firmware(printer):
    with pytest.raises(ConfigError, match="board: got magic, expected null or one of klipper"):
        CorrectionSettings.shipped(board="magic")
    with pytest.raises(ConfigError, match="board: got klipper with firmware marlin"):
        correct(printer, "klipper")
    with pytest.raises(ConfigError, match=r"expected null or one of klipper$"):
        correct(linear_printer("klipper"), "marlin_sd")
