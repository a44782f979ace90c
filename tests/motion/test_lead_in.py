"""The lead-in of what is known by samples alone agrees with that of a plan."""

import numpy as np
import pytest

from tests.correction.cases import linear_printer
from trajerr.gcode.parts import load_part
from trajerr.motion.lead_in import LEAD_IN_S, LONGEST_S, lead_in, lead_in_row
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

RATE = 200.0


@pytest.mark.parametrize("layer", [3, 20])
def test_samples_of_a_plan_have_the_lead_in_of_the_plan(layer):
    planned = plan(load_part("nautilus"), linear_printer().limits)
    begin, _ = planned.layer_span(layer)
    trajectory = sample(planned, RATE, 0.0, begin + 1.0)
    row = int(np.searchsorted(trajectory.time, begin))
    found = trajectory.time[lead_in_row(trajectory.position[:, :2], row, RATE)]
    # A plan's lead-in begins with a segment, samples' with a sample.
    first = int(np.searchsorted(planned.start_time, found, side="right")) - 1
    assert planned.start_time[first] - 0.05 <= lead_in(planned, begin) <= found + 0.05


def test_each_axis_that_moves_is_waited_for():
    x = np.arange(1000) * 0.1
    y = np.where(np.arange(1000) < 400, x, 40.0)
    both = np.column_stack([x, y])
    assert lead_in_row(both, 900, RATE) == 400 - round(LEAD_IN_S * RATE)
    assert lead_in_row(np.column_stack([x, 0 * x]), 900, RATE) == 900 - round(LEAD_IN_S * RATE)
    assert lead_in_row(x[:, None], 900, RATE) == 900 - round(LEAD_IN_S * RATE)


def test_a_record_that_begins_late_or_rests_has_less():
    x = np.arange(1000) * 0.1
    assert lead_in_row(x[:, None], 100, RATE) == 0
    assert lead_in_row(x[:, None], 0, RATE) == 0
    still = np.full((1000, 2), 7.0)
    assert lead_in_row(still, 900, RATE) == 900
    late = np.maximum(x, 80.0)[:, None]  # moves from row 800 on
    assert lead_in_row(late, 900, RATE) == 800


def test_a_lead_in_of_samples_ends_as_that_of_a_plan_does():
    """Y moved once, long ago, while X creeps on."""
    count = round(3 * LONGEST_S * RATE)
    x = np.arange(count) * 0.001
    y = np.minimum(x, 0.05)
    found = lead_in_row(np.column_stack([x, y]), count - 1, RATE)
    assert found == count - 1 - round(LEAD_IN_S * RATE)
    y[count - 1000] += 0.5  # one step of Y is not yet a lead-in
    found = lead_in_row(np.column_stack([x, y]), count - 1, RATE)
    assert found == count - 1 - round(LONGEST_S * RATE)


@pytest.mark.parametrize("leap", [450, 600, 901])
def test_no_lead_in_crosses_from_one_print_to_the_next(leap):
    x = np.cumsum(np.full(1000, 0.1))
    position = np.column_stack([x, -x])
    position[leap:] += (5.0, 0.0)
    found = lead_in_row(position, 900, RATE)
    expected = 900 - round(LEAD_IN_S * RATE)
    assert found == (expected if leap < expected or leap > 900 else leap + 1)


def test_no_lead_in_is_left_where_a_print_begins_with_the_section():
    position = np.column_stack([np.cumsum(np.full(1000, 0.1))] * 2)
    position[900:] -= 20.0
    assert lead_in_row(position, 900, RATE) == 900
