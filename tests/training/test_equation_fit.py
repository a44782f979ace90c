"""The axis equation's start, fitted to motion of the plant, which integrates at 10 kHz."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.machines import simple_axis
from tests.training.cases import RATE_HZ, linear_printer, make_record, train, train_config
from trajerr.dataset.store import Sequence, make_sequence
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, simulate
from trajerr.dynamics.printer import Printer
from trajerr.errors import DataError
from trajerr.models.inputs import MOTION
from trajerr.models.physics import AxisEquation
from trajerr.motion.trajectory import Trajectory
from trajerr.training.checkpoint import load_checkpoint
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.equation_fit import fit_equation

OFFSET_MM = 0.02  # of a sensor
BURN_IN = 40


def printer() -> Printer:
    """One whose axes differ, far from where networks start."""
    x = simple_axis(mass_kg=0.3, stiffness_n_per_m=30_000.0, damping_n_s_per_m=15.0)
    y = simple_axis(mass_kg=0.4, stiffness_n_per_m=16_000.0, damping_n_s_per_m=20.0)
    x = replace(x, coulomb_n=0.6, delay_s=0.0015)
    y = replace(y, coulomb_n=0.8, delay_s=0.0004)
    return replace(linear_printer(), x=x, y=y, effects=("friction",))


def layer(seed: int, samples: int = 2000) -> Sequence:
    """What the plant does on a wandering path."""
    record = make_record(seed, samples)
    times = round(SIMULATION_RATE_HZ / RATE_HZ)
    fine, coarse = np.arange(times * (samples - 1) + 1) / times, np.arange(samples)
    path = np.column_stack([np.interp(fine, coarse, xy) for xy in record.commanded[:, :2].T])
    trajectory = Trajectory.of_positions(path, SIMULATION_RATE_HZ)
    actual = simulate(printer(), trajectory, seed=0).xy[::times]
    return make_sequence(replace(record, actual=actual + OFFSET_MM), {"kind": "nominal"})


def equation(frequency_hz: float = 24.0) -> AxisEquation:
    """One as networks start from."""
    return AxisEquation(RATE_HZ, 2, [frequency_hz] * 2, [0.1] * 2, [1000.0] * 2, [0.0] * 2)


@pytest.mark.parametrize("start_hz", [12.0, 24.0, 70.0])
def test_another_printer_s_parameters_are_found(start_hz: float) -> None:
    fitted = equation(start_hz)
    left = fit_equation(fitted, [layer(seed) for seed in range(3)], BURN_IN)
    found = fitted.parameters_by_name()
    axes = (printer().x, printer().y)
    frequency, friction = (
        [axis.natural_freq_hz for axis in axes],
        [1e3 * axis.coulomb_n / axis.mass_kg for axis in axes],
    )
    np.testing.assert_allclose(found["natural_freq_hz"], frequency, rtol=0.03)
    np.testing.assert_allclose(found["friction_mm_s2"], friction, rtol=0.1)
    np.testing.assert_allclose(found["delay_s"], [axis.delay_s for axis in axes], atol=1e-4)
    assert left < 0.003  # mm, where errors are a tenth and more


def test_no_more_is_looked_at_than_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [layer(seed) for seed in range(2)]
    for sequence in layers:
        sequence.targets[1000:] = torch.nan  # what is not looked at may be anything
    monkeypatch.setattr("trajerr.training.equation_fit.SAMPLES", 1000)
    assert fit_equation(equation(), layers, BURN_IN) < 0.003


def test_an_axis_without_motion_keeps_its_own() -> None:
    still, fitted = layer(0), equation()
    features, targets = still.features.clone(), still.targets.clone()
    features[:, MOTION[1]], targets[:, 1] = 0.0, 0.0
    fit_equation(fitted, [replace(still, features=features, targets=targets)], BURN_IN)
    x, y = fitted.parameters_by_name()["natural_freq_hz"]
    assert abs(x / printer().x.natural_freq_hz - 1.0) < 0.03
    assert y == pytest.approx(24.0, rel=1e-5)


def test_layers_that_are_too_short_are_refused() -> None:
    with pytest.raises(DataError, match=f"equation_fit: no layer is longer than the {BURN_IN}"):
        fit_equation(equation(), [layer(0, samples=BURN_IN)], BURN_IN)


def test_training_starts_from_the_fitted_equation(
    data: PrinterDataModule, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = {
        "substeps": 2,
        "natural_freq_hz": [60.0, 60.0],
        "damping_ratio": [0.1, 0.1],
        "friction_mm_s2": [1000.0, 1000.0],
        "delay_s": [0.0, 0.0],
    }
    truth = linear_printer().x.natural_freq_hz
    for fits in (True, False):
        config = train_config(
            trainer__max_epochs=1,
            equation_fit=fits,
            model__equation=start,
            model__optimizer__lr=1e-6,
        )
        best = train(config, data, tmp_path / str(fits)).best
        assert best is not None
        network = load_checkpoint(best).network
        found = network.equation.parameters_by_name()["natural_freq_hz"]
        assert ("Axis equation fitted" in capsys.readouterr().out) is fits
        np.testing.assert_allclose(found, truth if fits else 60.0, rtol=0.05)
