"""The physics loss's table compares trainings of the same seed."""

import importlib

import pytest

from tests.paths import PROJECT


def test_each_weight_is_compared_with_the_first_at_its_own_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    table = importlib.import_module("physics_loss").table
    errors = (2.0, 4.0, 1.0, 5.0)
    found = [{"rmse_mm": 1e-3 * error, "mae_mm": 0.5e-3 * error} for error in errors]
    lines = table(["0", "1"], ["3", "4"], found).splitlines()
    assert lines[0].count("|") == lines[1].count("|") == 5
    assert lines[2] == "| 0 | 2.00 4.00 | 1.00 2.00 |  |"
    assert lines[3] == "| 1 | 1.00 5.00 | 0.50 2.50 | -12.5 % (-50, +25) |"
