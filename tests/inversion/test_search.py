"""The learning filter against a dense solve, and the search on machines that are not linear."""

import numpy as np
import pytest

from tests.inversion.machines import RATE, along, coupled, limping, linear, strokes
from trajerr.inversion import least_squares
from trajerr.inversion.least_squares import UNSEEN, Freedom, LowPass, learning_step
from trajerr.inversion.response import measure
from trajerr.inversion.search import Search


def everywhere(count):
    return Freedom(np.ones(count), np.ones(count, bool), np.full(count, -1))


def test_restricted_it_is_the_least_squares_answer(monkeypatch):
    monkeypatch.setattr(least_squares, "ROUNDS", 400)
    monkeypatch.setattr(least_squares, "DONE", 0.0)
    count, damping = 90, 0.3
    random = np.random.default_rng(4)
    weight = np.where(np.arange(count) < 30, 0.0, 1.0)
    hold = np.where((np.arange(count) >= 50) & (np.arange(count) < 60), 0, -1)
    free = Freedom(weight, np.arange(count) % 3 > 0, hold)
    share = random.uniform(0.2, 1.5, (count, 2))
    error = np.cumsum(random.normal(size=(count, 2)), axis=0) * 0.01
    (response,) = measure(coupled, [strokes(30.0)], RATE, 60.0)
    transfer = type(response.transfer)(response.gain, count, RATE)
    smooth = LowPass(60.0, RATE, count)
    got = learning_step(error, transfer, share, free, smooth, damping)

    def dense(function):
        units = np.eye(2 * count).reshape(-1, count, 2)
        return np.array([function(unit).ravel() for unit in units]).T

    act = dense(lambda unit: free.project(smooth(unit)))
    effect = np.diag(share.ravel()) @ dense(transfer.effect) @ act
    seen = np.repeat(np.where(free.seen, 1.0, UNSEEN**2), 2)
    normal = effect.T @ (seen[:, None] * effect) + damping * np.eye(2 * count)
    wanted = act @ np.linalg.solve(normal, effect.T @ (seen * error.ravel()))
    np.testing.assert_allclose(got.ravel(), wanted, atol=1e-6)


def searched(machine, wanted, iterations, free=None):
    (response,) = measure(machine, [wanted], RATE, 60.0)
    free = free or everywhere(len(wanted))
    search = Search(response, free, LowPass(60.0, RATE, len(wanted)), 0.7)
    change = np.zeros((len(wanted), 2))
    for _ in range(iterations):
        command = wanted.copy()
        command[:, :2] += change
        error = machine([command])[0] - wanted[:, :2]
        search.note(change, error, float(np.sqrt(np.mean(error[free.seen] ** 2))))
        change = search.next()
    return search


@pytest.mark.parametrize("machine", [linear, coupled, limping])
def test_the_nozzle_comes_to_where_it_should(machine):
    search = searched(machine, strokes(6.0), 15)
    assert min(search.scores) < 0.05 * search.scores[0]
    assert search.scores[search.best] == min(search.scores)


def test_what_may_not_change_stays():
    wanted = strokes(6.0)
    weight = np.where(np.arange(len(wanted)) < 500, 0.0, 1.0)
    seen = np.arange(len(wanted)) >= 520
    free = Freedom(weight, seen, np.full(len(wanted), -1))
    search = searched(linear, wanted, 15, free)
    assert np.all(search.found[:500] == 0.0)
    assert min(search.scores) < 0.1 * search.scores[0]


def test_a_step_that_makes_it_worse_is_not_kept_and_the_next_is_shorter():
    search = searched(linear, strokes(3.0), 3)
    best, gain = search.found, search.gain
    search.note(best + 1.0, np.ones_like(best), 2.0 * max(search.scores))
    assert search.found is best
    assert search.gain < gain


def test_a_constant_in_a_hold():
    wanted = strokes(4.0)
    hold = np.where((np.arange(800) >= 300) & (np.arange(800) < 360), 0, -1)
    search = searched(linear, wanted, 5, Freedom(np.ones(800), np.ones(800, bool), hold))
    assert np.ptp(search.found[300:360], axis=0).max() < 1e-12
    assert along(0, np.ones(5)).tolist() == [1.0] * 5  # the machine's own rest
