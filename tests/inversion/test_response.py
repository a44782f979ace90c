"""The measured response: against machines whose response is known."""

import numpy as np
import pytest
from scipy.signal import freqz

from tests.inversion.machines import AXES, RATE, coupled, linear, sticking, strokes
from trajerr.inversion.response import LEAST, SEGMENT, measure

FREQUENCY = np.linspace(0.0, RATE / 2.0, SEGMENT // 2 + 1)
INSIDE = (FREQUENCY > 2.0) & (FREQUENCY < 45.0)


def test_a_linear_machine_answers_by_its_transfer_function():
    (response,) = measure(linear, [strokes(40.0)], RATE, 60.0)
    for axis, (b, a) in enumerate(AXES):
        wanted = freqz(b, a, FREQUENCY, fs=RATE)[1]
        got = response.gain[:, axis, axis]
        assert np.abs(got - wanted)[INSIDE].max() < 0.12 * np.abs(wanted).max()
    assert not np.any(response.gain[:, 0, 1])
    assert not np.any(response.gain[:, 1, 0])
    np.testing.assert_allclose(response.share[200:-200], 1.0, atol=0.1)


def test_the_other_axis_counts_where_it_matters():
    (response,) = measure(coupled, [strokes(40.0)], RATE, 60.0)
    b, a = AXES[0]
    wanted = freqz(b, a, FREQUENCY, fs=RATE)[1] / 3.0
    assert np.abs(response.gain[:, 1, 0] - wanted)[INSIDE].max() < 0.15 * np.abs(wanted).max()
    assert not np.any(response.gain[:, 0, 1])


def test_an_axis_that_sticks_has_no_share_then():
    (response,) = measure(lambda c: sticking(c, 2000, 2600), [strokes(30.0)], RATE, 60.0)
    np.testing.assert_allclose(response.share[2050:2550, 0], LEAST, rtol=1e-6)
    assert np.median(response.share[2050:2550, 1]) == pytest.approx(1.0, abs=0.15)
    # What sticks counts for half in the transfer, so that the rest of the axis has a larger share.
    b, a = AXES[0]
    wanted = np.abs(freqz(b, a, FREQUENCY, fs=RATE)[1])[INSIDE]
    moving = np.median(response.share[3000:, 0]) * np.abs(response.gain[:, 0, 0])[INSIDE]
    assert np.abs(moving - wanted).max() < 0.2 * wanted.max()


def test_what_a_change_comes_to_is_learned():
    (response,) = measure(linear, [strokes(20.0)], RATE, 60.0)
    change = np.zeros((4000, 2))
    change[1000:1100] = np.sin(np.linspace(0.0, 6.0 * np.pi, 100))[:, None]
    effect = response.transfer.effect(change)
    again = response.learned(effect, 0.5 * effect)
    np.testing.assert_allclose(again.share[1020:1080], 0.5, atol=0.05)
    np.testing.assert_allclose(again.share[:800], response.share[:800], atol=1e-3)


def test_motions_of_one_kind_have_the_transfer_in_common():
    together = measure(linear, [strokes(20.0, 1), strokes(7.0, 2), strokes(1.5, 3)], RATE, 60.0)
    for response in together[1:]:
        np.testing.assert_array_equal(response.gain, together[0].gain)
    assert [len(response.share) for response in together] == [4000, 1400, 300]


def test_transposed_is_the_transpose_of_the_effect():
    (response,) = measure(coupled, [strokes(8.0)], RATE, 60.0)
    random = np.random.default_rng(3)
    a, b = random.standard_normal((2, 1600, 2))
    transfer = response.transfer
    left, right = np.vdot(transfer.effect(a), b), np.vdot(a, transfer.transposed(b))
    assert left == pytest.approx(right, rel=1e-9)


def test_what_leads_in_is_not_changed():
    asked = []

    def noted(commanded):
        asked.append(commanded)
        return linear(commanded)

    motions = [strokes(30.0, 1), strokes(20.0, 2)]
    measure(noted, motions, RATE, 60.0, firsts=[800, 100])
    assert len(asked) > 2
    for commanded in asked[1:]:
        for motion, first, changed in zip(motions, (800, 100), commanded, strict=True):
            np.testing.assert_array_equal(changed[: first + 1], motion[: first + 1])
            assert np.all(np.any(changed[first + 1 :] != motion[first + 1 :], axis=1))
