"""Long prints in windows: what is worked on follows motion, and corrects as the whole does."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.correction.cases import Dialect, Writer, linear_printer, small_print
from trajerr.correction import layer_windows
from trajerr.correction.compensate import correct_program
from trajerr.correction.error_models import TwinModel
from trajerr.correction.layer_windows import (
    IDLE_S,
    LayerWindow,
    batches,
    pooled,
    sample_windows,
    split_span,
)
from trajerr.correction.learning import Progress
from trajerr.correction.nozzle import Nozzle
from trajerr.correction.settings import CorrectionSettings, LearningSettings
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.metrics.closed_loop import Replay
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

QUICK = CorrectionSettings.shipped(
    learning=LearningSettings.shipped(iterations=4, planned_iterations=2)
)
RATE = 200.0
LONGEST_S = layer_windows.LONGEST / RATE

intervals = st.lists(st.tuples(st.floats(0.01, 700.0), st.floats(0.0, 40.0)), max_size=12)


class Counting:
    """A model that knows how many samples it was asked for."""

    sample_rate_hz = RATE
    band_hz = 60.0

    def __init__(self, printer) -> None:
        self.twin, self.samples, self.longest = TwinModel(printer), 0, 0

    def errors(self, features):
        self.samples += features.shape[0] * features.shape[1]
        self.longest = max(self.longest, features.shape[1])
        return self.twin.errors(features)


@pytest.fixture(scope="module")
def printer():
    return linear_printer()


def with_line(program: Program, before: bytes, line: bytes) -> Program:
    """Put a line before the third that holds some text."""
    head = before.join(program.text.split(before, 3)[:3])
    text = head + line + program.text[len(head) :]
    return parse_program(text, program.name)


def asked(program: Program, printer, settings=QUICK) -> Counting:
    model = Counting(printer)
    assert correct_program(program, model, printer, settings).text is not None
    return model


def test_an_ordinary_layer_is_one_window_of_its_walls():
    acting = np.array([(1.0, 2.0), (2.5, 20.0), (20.0 + 0.9 * IDLE_S, 30.0)])
    assert split_span((0.5, 70.0), acting, RATE) == [(1.0, 30.0)]


def test_infill_between_walls_is_in_no_window():
    acting = np.array([(1.0, 2.0), (50.0, 60.0)])
    assert split_span((0.5, 70.0), acting, RATE) == [(1.0, 2.0), (50.0, 60.0)]


def test_a_layer_in_which_nothing_acts_is_one_window():
    assert split_span((0.5, 70.0), np.array([(80.0, 90.0)]), RATE) == [(0.5, 70.0)]


@given(lengths=intervals, rate=st.sampled_from([200.0, 1000.0]))
def test_windows_hold_all_that_acts_and_are_bounded(lengths, rate):
    gaps = np.array(lengths).reshape(-1, 2)
    end = np.cumsum(gaps.sum(axis=1))
    acting = np.column_stack([end - gaps[:, 0], end])
    span = (0.0, float(end[-1]) + 1.0 if len(end) else 1.0)
    found = split_span(span, acting, rate)
    if not len(acting):
        assert found == [span]
        return
    edges = np.array(found)
    assert np.all(edges[:, 1] - edges[:, 0] <= layer_windows.LONGEST / rate + 1e-6)
    assert np.all(edges[1:, 0] >= edges[:-1, 1] - 1e-9)
    covered = sum(np.clip(e, *w) - np.clip(b, *w) for w in edges for b, e in acting)
    assert covered == pytest.approx(np.sum(acting[:, 1] - acting[:, 0]))
    # What does not act for long is in no window.
    for before, after in zip(acting[:-1, 1], acting[1:, 0], strict=True):
        if after - before > IDLE_S:
            assert not np.any((edges[:, 0] < after) & (edges[:, 1] > before))


@given(
    lengths=st.lists(st.integers(1, 2 * layer_windows.TOGETHER), max_size=30),
    most=st.integers(1, 9),
)
def test_batches_take_all_in_order_and_are_bounded(lengths, most):
    rows = list(batches(lengths, most))
    assert [i for r in rows for i in range(r.start, r.stop)] == list(range(len(lengths)))
    for r in rows:
        own = lengths[r]
        assert 1 <= len(own) <= most
        assert len(own) == 1 or max(own) * len(own) <= layer_windows.TOGETHER


def test_samples_of_windows_are_slices_of_the_whole_print(printer):
    nominal = plan(small_print(layers=4), printer.limits)
    chosen = [LayerWindow.of(nominal, layer, nominal.layer_span(layer), 0.2) for layer in (1, 2, 4)]
    whole, sampled = sample(nominal, RATE), sample_windows(nominal, chosen, RATE)
    assert np.all(np.diff(sampled.time) > 0.0)
    for window, rows in zip(chosen, sampled.rows, strict=True):
        reach = (whole.time >= window.lead_in) & (whole.time < window.lead_out)
        np.testing.assert_array_equal(sampled.time[rows.whole], whole.time[reach])
        np.testing.assert_array_equal(sampled.nominal[rows.whole], whole.position[reach])
        inside = whole.time[window.contains(whole.time)]
        np.testing.assert_array_equal(sampled.time[rows.own], inside)
        np.testing.assert_array_equal(sampled.time[rows.whole][rows.core], inside)


def test_a_layers_error_is_that_of_its_windows_together():
    parts = [LayerWindow(layer, 0.0, 1.0, 2.0, 0.2) for layer in (2, 5, 5)]
    found = pooled(parts, [0.3, 1.0, 2.0], np.array([1.0, 1.0, 4.0]))
    assert found[0] == 0.3
    assert found[1] == pytest.approx(np.sqrt((1.0 + 4.0 * 4.0) / 5.0))


def test_a_layer_in_windows_is_corrected_as_in_one(printer, monkeypatch):
    """Walls between infill: where windows meet, nothing is corrected."""
    program = small_print(layers=1)
    whole = correct_program(program, TwinModel(printer), printer, QUICK)
    monkeypatch.setattr(layer_windows, "LONGEST", int(1.5 * RATE))
    parted = correct_program(program, TwinModel(printer), printer, QUICK)
    assert parted.layers == whole.layers
    assert parted.predicted_before_mm == pytest.approx(whole.predicted_before_mm, rel=0.02)
    replay = Replay(
        program,
        {n: parse_program(d.text, n) for n, d in (("whole", whole), ("parted", parted))},
        printer,
        [1],
    )
    before = replay.errors("uncorrected").wall_contour_rms_um
    one, many = (replay.errors(n).wall_contour_rms_um for n in ("whole", "parted"))
    assert one < 0.2 * before
    assert many < one + 0.02 * before


def test_a_wall_without_end_is_parted_without_a_jump(printer, monkeypatch):
    w = Writer(Dialect())
    w.say(";LAYER_CHANGE")
    w.say(";Z:0.2")
    w.move(z=0.2, feed=10.0)
    angle = np.linspace(0.0, 20.0 * np.pi, 601)
    radius = 10.0 + 0.3 * angle
    spiral = 100.0 + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    w.path(spiral.tolist(), 60.0, "External perimeter")
    program = w.program()
    monkeypatch.setattr(layer_windows, "LONGEST", int(5.0 * RATE))
    done = correct_program(program, TwinModel(printer), printer, QUICK)
    replay = Replay(program, {"parted": parse_program(done.text, "c")}, printer, [1])
    before, after = (replay.errors(name) for name in ("uncorrected", "parted"))
    assert after.wall_contour_rms_um < 0.3 * before.wall_contour_rms_um
    assert after.wall_contour_max_um < before.wall_contour_max_um


@pytest.mark.parametrize("pause", [b"G4 S3600\n", b"G4 P3600000\n"])
def test_the_model_is_not_asked_about_an_hour_of_pause(printer, pause):
    program = small_print(layers=2)
    short = asked(with_line(program, b"G1 X30.0", b"G4 S10\n"), printer)
    long = asked(with_line(program, b"G1 X30.0", pause), printer)
    assert long.samples == short.samples


def test_a_pause_is_written_as_it_was(printer):
    program = with_line(small_print(layers=1), b"G1 X30.0", b"G4 S3600 ; think\n")
    done = correct_program(program, TwinModel(printer), printer, QUICK)
    assert done.text.count(b"G4 S3600 ; think\n") == 1
    assert plan(parse_program(done.text, "c"), printer.limits).print_time > 3600.0


def test_the_model_is_not_asked_about_a_long_way_along_z(printer):
    """As a belt printer goes to its first layer."""
    program = small_print(layers=1)
    found = []
    for z in (b"G1 Z400 F60\n", b"G1 Z4990 F60\n"):
        away = program.text.replace(b"G1 Z0.2", z + b"G1 Z0.2", 1)
        found.append(asked(parse_program(away, "far.gcode"), printer).samples)
    assert abs(found[0] - found[1]) < 10  # of 92,000 samples that the longer way has more
    assert max(found) < 3 * asked(program, printer).samples


def test_long_layers_are_not_predicted_together(printer, monkeypatch):
    sizes = []
    ask = Nozzle.positions

    def noted(self, commanded):
        sizes.append([len(c) for c in commanded])
        return ask(self, commanded)

    monkeypatch.setattr(Nozzle, "positions", noted)
    monkeypatch.setattr(layer_windows, "TOGETHER", int(20.0 * RATE))
    settings = replace(QUICK, learning=LearningSettings.shipped(iterations=1, planned_iterations=1))
    correct_program(small_print(layers=5), TwinModel(printer), printer, settings)
    assert max(map(len, sizes)) > 1
    assert all(len(size) == 1 or max(size) * len(size) <= 20.5 * RATE for size in sizes)


def test_a_correction_is_the_same_whichever_group_is_done_first(printer):
    program = small_print(layers=4)
    texts = set()
    for threads in (1, 3):
        learning = LearningSettings.shipped(
            iterations=3, planned_iterations=2, batch=1, threads=threads
        )
        settings = replace(QUICK, learning=learning)
        texts.add(correct_program(program, TwinModel(printer), printer, settings).text)
    assert len(texts) == 1
    assert None not in texts


def test_progress_of_several_threads_never_falls_and_ends_at_the_total():
    told: list[tuple[int, int]] = []
    progress = Progress(lambda done, total: told.append((done, total)), 12)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(progress.add, [1.0 / 3.0] * 36))
    assert told == sorted(told)
    assert told[-1] == (12, 12)
    assert len(told) == 36
