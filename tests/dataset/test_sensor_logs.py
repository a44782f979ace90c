"""A recorded print as training data: its layers, their errors, and what these are worth."""

import numpy as np
import pytest

from tests.recordings.recorded import RATE_HZ, Sensor, Truth, linear, moved, write_klipper
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.sensor_logs import AccelerometerLog
from trajerr.dataset.splits import SplitSettings
from trajerr.dataset.stats import SPLITS
from trajerr.dataset.store import open_split
from trajerr.errors import ConfigError, DataError
from trajerr.gcode.excitation import excitation_note
from trajerr.gcode.reader import read_program
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.recordings.accelerometer import KLIPPER

LAYERS = 5


def print_layers() -> str:
    """Return G-code of some layers, each of strokes of its own."""
    random, extruded = np.random.default_rng(3), 0.0
    lines = ["G90", "M82", "G28", "G1 Z0.2 F600"]
    for layer in range(LAYERS):
        lines += [";LAYER_CHANGE", f";Z:{0.2 * (layer + 1):.1f}", f"G1 Z{0.2 * (layer + 1):.1f}"]
        lines.append(";TYPE:External perimeter")
        for x, y in random.uniform(60.0, 140.0, (14, 2)):
            extruded += 1.0
            lines.append(f"G1 X{x:.3f} Y{y:.3f} E{extruded:.3f} F4800")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    gcode = folder / "print.gcode"
    gcode.write_text(print_layers())
    machine = linear()
    program = read_program(gcode, machine.limits.firmware)
    trajectory = sample(plan(machine.placed(program), machine.limits), RATE_HZ)
    truth = moved(machine=machine, command=trajectory.position[:, :2])
    rows = Sensor(noise=30.0, vibration=300.0).rows(truth)
    rows = np.delete(rows, np.arange(20_000, 20_640), axis=0)  # 0.2 s
    return gcode, write_klipper(rows, folder / "x.csv.gz"), truth, trajectory


def log_of(recorded, **changes) -> AccelerometerLog:
    gcode, x, _, _ = recorded
    known = {"y": None, "reference": None, "columns": KLIPPER, "sample_rate_hz": 200.0}
    known |= {"gcode": str(gcode), "x": str(x), "printer": linear()}
    return AccelerometerLog(**{**known, **changes})


def test_layers_come_with_the_nozzles_errors(recorded):
    truth: Truth = recorded[2]
    records = log_of(recorded).records()
    assert [record.layer for record in records if record.layer > 0] == list(range(1, LAYERS + 1))
    begin = recorded[3].layer
    for record in records:
        rows = np.flatnonzero(begin == record.layer)
        near = slice(int(rows[0]), int(rows[-1]) + 1)
        error = (truth.xy - truth.trajectory.position[:, :2])[near]
        measured = np.isfinite(record.error).all(axis=1)
        assert record.sample_rate == 200.0
        assert np.sqrt(np.mean(record.error[measured] ** 2)) == pytest.approx(
            np.sqrt(np.mean(error**2)), rel=0.35
        )
        assert 0.0 < float(record.params["uncertainty_x_mm"]) < 0.02
        assert "excitation_hz" not in record.params


def test_layers_of_an_excitation_print_say_so(recorded, tmp_path):
    gcode = tmp_path / "print.gcode"
    gcode.write_bytes(excitation_note(0.015, 110.0) + b"\n" + recorded[0].read_bytes())
    for record in log_of(recorded, gcode=str(gcode)).records():
        assert record.params["excitation_hz"] == 110.0


def test_a_recording_becomes_splits_by_layer(recorded, tmp_path):
    settings = PrepareSettings.shipped(
        data_dirs=(),
        sequence_length=32,
        split=SplitSettings.shipped(train_ratio=0.6, val_ratio=0.2, test_ratio=0.2),
        log=log_of(recorded),
    )
    stats = prepare(settings, tmp_path / "out")
    assert stats.sample_rate_hz == 200.0
    assert stats.faults["not_finite"] > 30  # 0.2 s were lost
    held = {}
    for split in SPLITS:
        for sequence in open_split(tmp_path / "out", split).sequences:
            assert float(sequence.metadata["uncertainty_y_mm"]) > 0.0
            assert held.setdefault(sequence.metadata["layer"], split) == split
    assert set(held.values()) == set(SPLITS)


def test_a_printer_is_needed(recorded):
    with pytest.raises(ConfigError, match="printer: got null, expected one like the recorded"):
        log_of(recorded, printer=None)


@pytest.mark.parametrize(
    ("rate", "asked", "expected"), [(400.0, None, 400.0), (500.0, 100.0, 100.0)]
)
def test_layers_come_at_the_rate_that_is_asked_for(recorded, tmp_path, rate, asked, expected):
    settings = PrepareSettings.shipped(
        data_dirs=(),
        sequence_length=32,
        split=SplitSettings.shipped(train_ratio=0.6, val_ratio=0.2, test_ratio=0.2),
        log=log_of(recorded, sample_rate_hz=rate),
        sample_rate_hz=asked,
    )
    stats = prepare(settings, tmp_path / "out")
    assert stats.sample_rate_hz == expected
    for split in SPLITS:
        for sequence in open_split(tmp_path / "out", split).sequences:
            place, speed = sequence.features[:, :2].double(), sequence.features[:, 3:5].double()
            moved = np.diff(place.numpy(), axis=0) * expected
            np.testing.assert_allclose(moved, speed[1:].numpy(), atol=0.05)


@pytest.mark.parametrize("rate", [0.0, 2000.0])
def test_rates_beyond_what_is_fused_are_refused(recorded, rate):
    with pytest.raises(ConfigError, match=r"log\.sample_rate_hz: got"):
        log_of(recorded, sample_rate_hz=rate)


def test_a_missing_file_is_named(recorded, tmp_path):
    settings = PrepareSettings.shipped(data_dirs=(), log=log_of(recorded, x="none.csv"))
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        prepare(settings, tmp_path / "out")
