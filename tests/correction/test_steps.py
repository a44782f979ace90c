"""Ends of pieces on whole steps: nearer to the path than rounding brings them, at their time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.correction.cases import limits, linear_printer, small_print
from trajerr.correction.compensate import correct_program
from trajerr.correction.error_models import TwinModel
from trajerr.correction.pieces import Pieces, Segmentation
from trajerr.correction.settings import CorrectionSettings, LearningSettings
from trajerr.correction.steps import FARTHEST, on_steps
from trajerr.motion.limits import MARLIN
from trajerr.verification.stretch import POSITION_MM

STEP = 1.0 / 80.0  # mm
MOVES = small_print(layers=1).moves
COUNT = 200


def pieces(seed: int, length_mm: float, bend: float) -> Segmentation:
    """A way of straight pieces that turns a little at each end; all of one block."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0.0, 2.0 * np.pi) + np.cumsum(random.normal(0.0, bend, COUNT))
    size = length_mm * random.uniform(0.5, 1.5, COUNT)
    xy = 100.0 + np.cumsum(size[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]), axis=0)
    time = np.cumsum(size / random.uniform(20.0, 60.0, COUNT))
    target = np.column_stack([xy, np.full(COUNT, 0.2), 0.03 * np.cumsum(size)])
    start = np.concatenate([[0.0], time[:-1]])
    one = np.zeros(COUNT, dtype=np.int64)
    nothing = np.zeros(len(MOVES), dtype=np.bool_)
    return Segmentation(Pieces(start, time, target, one + 3, one), nothing, one)


def moved(found: Segmentation, firmware: str = "marlin_2_1_2", free=None) -> Segmentation:
    free = np.ones(COUNT, dtype=np.bool_) if free is None else free
    return on_steps(found, slice(0, COUNT), free, MOVES, limits(firmware))


def off_way(ends: np.ndarray, found: Segmentation) -> np.ndarray:
    """How far (N, 2) ends lie from a way, mm."""
    xy = found.pieces.target[:, :2]
    begin, way = xy[:-1, None], np.diff(xy, axis=0)[:, None]
    share = np.sum((ends - begin) * way, axis=-1) / np.sum(way**2, axis=-1)
    foot = begin + np.clip(share, 0.0, 1.0)[..., None] * way
    return np.linalg.norm(foot - ends, axis=-1).min(axis=0)


@pytest.mark.parametrize("firmware", MARLIN)
def test_ends_lie_on_steps_nearer_to_the_path_than_rounding_brings_them(firmware):
    found = pieces(1, 0.8, 0.05)
    ends = moved(found, firmware).pieces.target[1:-1, :2]
    rounded = np.rint(found.pieces.target[1:-1, :2] / STEP) * STEP
    on_step = np.abs(ends / STEP - np.rint(ends / STEP)).max(axis=1) < 1e-6
    assert np.mean(on_step) > 0.9  # others are as near where they are
    run = np.rint(ends / STEP) * STEP
    slid, was = (np.sqrt(np.mean(off_way(xy, found) ** 2)) for xy in (run, rounded))
    assert was > 0.2 * STEP
    assert slid < 0.25 * was


@given(seed=st.integers(0, 10_000), length=st.floats(0.05, 3.0), bend=st.floats(0.0, 1.0))
def test_an_end_slides_a_few_steps_at_the_speed_that_is_there(seed, length, bend):
    found = pieces(seed, length, bend)
    there = moved(found).pieces
    was = found.pieces
    np.testing.assert_array_equal(there.start[1:], there.end[:-1])
    assert np.all(there.end > there.start)
    slide = np.abs(there.target - was.target)[:, :2].max(axis=1)
    assert np.all(slide < (FARTHEST + 0.5) * STEP + 1e-9)
    # At each end's time the way before is where it ends now, but for half a step beside.
    for axis, close in ((0, 0.5 * STEP), (1, 0.5 * STEP), (2, 0.0), (3, 0.0)):
        meant = np.interp(there.end, was.end, was.target[:, axis])
        np.testing.assert_allclose(there.target[:, axis], meant, atol=close + 1e-9)


@given(seed=st.integers(0, 10_000), length=st.floats(0.05, 0.5))
def test_no_piece_becomes_too_short_to_run_by_itself(seed, length):
    found = pieces(seed, length, 0.1)
    least = limits("marlin_2_1_2").min_steps

    def steps(chosen: Segmentation) -> np.ndarray:
        return np.abs(np.diff(np.rint(chosen.pieces.target[:, :2] / STEP), axis=0)).max(axis=1)

    before, after = steps(found), steps(moved(found))
    assert np.all(after[before > least] >= least)


def test_ends_stay_where_lines_firmware_or_bounds_hold_them():
    found = pieces(2, 0.8, 0.05)
    assert moved(found, "klipper") is found
    assert (
        on_steps(
            replace(found, lifts=False),
            slice(0, COUNT),
            np.ones(COUNT, dtype=np.bool_),
            MOVES,
            limits("marlin"),
        ).pieces
        is found.pieces
    )
    blocks = replace(found.pieces, move=np.arange(COUNT) // 10)
    there = moved(replace(found, pieces=blocks)).pieces
    np.testing.assert_array_equal(there.target[9::10], found.pieces.target[9::10])
    assert np.any(there.target[8::10] != found.pieces.target[8::10])
    free = np.arange(COUNT) != 50
    held = moved(found, free=free).pieces
    np.testing.assert_array_equal(held.target[49:52], found.pieces.target[49:52])
    there = on_steps(found, slice(60, 90), free[60:90], MOVES, limits("marlin")).pieces
    changed = np.flatnonzero(np.any(there.target != found.pieces.target, axis=1))
    assert len(changed) > 20
    assert changed.min() >= 60
    assert changed.max() < 89


def test_a_small_bound_of_corrections_holds_on_whole_steps():
    """Its second reading would refuse what a step leads beyond."""
    printer = linear_printer("marlin_2_1_2")
    settings = CorrectionSettings.shipped(
        max_correction_mm=0.03,
        learning=LearningSettings.shipped(iterations=4, planned_iterations=2),
    )
    done = correct_program(small_print(layers=1), TwinModel(printer), printer, settings)
    assert 0.025 < done.largest_mm < 0.03 + POSITION_MM
