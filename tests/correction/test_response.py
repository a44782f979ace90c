"""The linearised answer of a printer: against simulation, and against its own transpose."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.correction.cases import linear_printer
from trajerr.correction.error_models import TwinModel
from trajerr.correction.response import Response

RATE, TIMES = 200.0, 5


def rubbing():
    """The linear machine with Coulomb friction: sticks, slips, reverses."""
    clean = linear_printer()
    x, y = (replace(axis, coulomb_n=0.8) for axis in (clean.x, clean.y))
    return replace(clean, x=x, y=y, effects=frozenset({"friction"}))


def fine_motion(printer, commanded):
    return TwinModel(printer, RATE, 1, RATE * TIMES).motion(commanded)


def stroke(count=240):
    """Along x and back, a rest in between; y follows later."""
    time = np.arange(count) / RATE
    x = 50 + 6 * np.clip(np.sin(2 * np.pi * 1.1 * time), -0.8, 0.8)
    y = 60 + 4 * np.clip(np.sin(2 * np.pi * 0.8 * time - 1.0), -0.5, 0.5)
    return np.column_stack([x, y])


def bump(count, centre, width=6.0):
    values = np.exp(-(((np.arange(count) - centre) / width) ** 2))
    return np.column_stack([values, -0.7 * values])


def test_without_friction_it_is_what_simulation_says_exactly():
    printer, commanded = linear_printer(), stroke()
    response = Response.along(printer, fine_motion(printer, commanded), RATE, TIMES)
    response = replace(response, keep=np.ones_like(response.keep))
    change = np.cumsum(np.random.default_rng(0).normal(size=commanded.shape), axis=0) * 0.1
    change -= change[0]
    moved = fine_motion(printer, commanded + change)[::TIMES]
    before = fine_motion(printer, commanded)[::TIMES]
    np.testing.assert_allclose(response.effect(change), moved - before, atol=1e-9)


@pytest.mark.parametrize("centre", [25, 60, 90, 140, 185])
def test_with_friction_a_small_change_does_what_simulation_says(centre):
    printer, commanded = rubbing(), stroke()
    fine = fine_motion(printer, commanded)
    response = replace(Response.along(printer, fine, RATE, TIMES), free=0.0)
    small = 1e-3
    change = bump(len(commanded), centre)
    moved = (fine_motion(printer, commanded + small * change) - fine)[::TIMES] / small
    effect = response.effect(change)
    free = replace(response, free=1.0).effect(change)
    off, blind = (float(np.sqrt(np.mean((e - moved) ** 2))) for e in (effect, free))
    assert off < 0.1 * np.sqrt(np.mean(change**2)) + 0.02
    assert off < 0.5 * blind + 0.01


def test_a_stuck_carriage_keeps_what_it_was_off_by():
    printer = rubbing()
    time = np.arange(200) / RATE
    commanded = np.column_stack([50 + 20 * np.clip(time, 0, 0.3), np.full(200, 60.0)])
    response = Response.along(printer, fine_motion(printer, commanded), RATE, TIMES)
    response = replace(response, free=0.0)
    change = np.zeros((200, 2))
    change[:100] = 1.0  # until long after the stop
    effect = response.effect(change)
    assert effect[120, 0] == effect[-1, 0] == pytest.approx(1.0, abs=0.15)
    assert np.all(effect[:, 1] == 0.0)  # y never moves


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.floats(0.0, 1.0))
def test_the_transpose_is_one(seed, times, free):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 60))
    keep = rng.choice([0.0, 0.4, 1.0, 1.0], size=((count - 1) * times, 2))
    fine = np.zeros(((count - 1) * times + 1, 2))
    response = Response.along(linear_printer(), fine, RATE, times)
    response = replace(response, keep=keep, free=free)
    u, v = rng.normal(size=(2, count, 2))
    forward = np.sum(response.effect(u) * v)
    assert np.sum(u * response.transposed(v)) == pytest.approx(forward, rel=1e-9, abs=1e-9)


def test_it_fits_motions_of_another_length():
    response = Response.along(rubbing(), np.zeros((51, 2)), RATE, TIMES)
    assert len(response.fitted(7).keep) == 30
    longer = response.fitted(15).keep
    assert np.all(longer[:50] == 0.0)
    assert np.all(longer[50:] == 1.0)


def test_what_has_faded_is_nothing_and_never_a_subnormal_number():
    printer, count = linear_printer(), 12000
    commanded = np.tile([50.0, 60.0], (count, 1))
    response = Response.along(printer, fine_motion(printer, commanded), RATE, TIMES)
    response = replace(response, keep=np.ones_like(response.keep))
    change = bump(count, count // 2)
    change[np.abs(change) < 1e-9] = 0.0
    for answer in (response.effect(change), response.transposed(change)):
        size = np.abs(answer[answer != 0.0])
        assert size.max() > 0.1
        assert size.min() > 1e-100
        assert np.any(answer[-10:] == 0.0) or np.any(answer[:10] == 0.0)
