"""``python -m trajerr.export`` as a user runs it, on what ``trajerr.train`` left behind."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.warm_python import warm_python
from trajerr import export
from trajerr.bundle.manifest import ONNX, ONNX_INT8, ONNX_STEP, TORCHSCRIPT, open_bundle
from trajerr.bundle.runtime import Predictor
from trajerr.dataset.matlab import write_layer
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.record import LayerRecord
from trajerr.dataset.splits import SplitSettings

TINY = ("model=lstm", "model.hidden_size=8", "loss.lambda_physics=0.0")
QUICK = ("trainer.max_epochs=1", "data.samples_per_epoch=64", "trainer.accelerator=cpu")


def run(
    command: str, *overrides: str, cwd: Path, python: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*(python or warm_python()), "-m", f"trajerr.{command}", *overrides],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=400,
    )


def measured_layer(number: int) -> LayerRecord:
    """A layer of a printer that nobody has simulated."""
    time = np.arange(600) / 200.0
    x = 100.0 + 20.0 * np.sin(time * (2.0 + 0.3 * number))
    commanded = np.column_stack([x, x[::-1], np.full(600, 0.2 * number)])
    return LayerRecord(
        part="vase",
        layer=number,
        variant="a1_v1",
        sample_rate=200.0,
        time=time,
        commanded=commanded,
        actual=commanded[:, :2] + 0.1 * np.sin(9.0 * time)[:, None],
        extruding=np.ones(600, np.bool_),
        travel=np.zeros(600, np.bool_),
        feature=np.ones(600, np.uint8),
        temperatures=None,
        adhesion=None,
        params={"kind": "nominal"},
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """A folder in which a model has been trained."""
    folder = tmp_path_factory.mktemp("workplace")
    for number in range(1, 6):
        name = f"data/raw/data_simulation_vase/layer{number:04d}_a1_v1.mat"
        write_layer(folder / name, measured_layer(number))
    split = SplitSettings.shipped(train_ratio=0.6, val_ratio=0.2, test_ratio=0.2)
    source = str(folder / "data/raw/data_simulation_vase")
    prepare(PrepareSettings.shipped(data_dirs=(source,), split=split), folder / "data/processed")
    trained = run("train", *TINY, *QUICK, cwd=folder)
    assert trained.returncode == 0, trained.stderr
    return folder


def test_a_training_becomes_a_bundle(workplace):
    words = ("quantize=true", "data_root=data/processed")
    ended = run("export", *words, cwd=workplace, python=[sys.executable])
    assert (ended.returncode, ended.stderr) == (0, "")
    said = ended.stdout.splitlines()
    named = [line.split()[0] for line in said]
    assert named == [TORCHSCRIPT, ONNX, ONNX_STEP, ONNX_INT8, "On", "Written"]
    assert "one thread" in said[-2]
    bundle = open_bundle(workplace / "bundle")
    graphs = {TORCHSCRIPT, ONNX, ONNX_STEP, ONNX_INT8}
    assert set(bundle.manifest["files"]) == {*graphs, "MODEL_CARD.md"}
    assert bundle.manifest["printer"] is None
    assert bundle.manifest["training_config"]["model"]["hidden_size"] == 8
    assert np.isfinite(bundle.manifest["metrics"]["val/mae_mm"])
    error_x, error_y = Predictor.load(workplace / "bundle").stream().update([1.0, 2.0, 0.2])
    assert np.isfinite([error_x, error_y]).all()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("checkpoint=absent.ckpt",), "absent.ckpt: no such checkpoint"),
        (("checkpoint=train.txt",), "train.txt: not a checkpoint"),
        (("checkpoint=junk.ckpt",), "junk.ckpt: not a checkpoint"),
        (("format=[onnx,tflite]",), "format: got [onnx, tflite], expected some of"),
        (("quantize=true",), "data_root: got null, expected the folder that prepare wrote"),
        (("quantize=true", "data_root=nowhere"), "nowhere"),
        (("output_dir=data",), "holds more than a bundle"),
        (("outputs=elsewhere",), "no finished training run"),
    ],
)
def test_mistakes_end_in_one_line(workplace, overrides, message, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    (workplace / "train.txt").write_text("a text file\n")
    (workplace / "junk.ckpt").write_bytes(b"junk")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(sys, "argv", ["export", *overrides])
    with pytest.raises(SystemExit) as ended:
        export.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (1, "")
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith("export: ")
    assert message in said.err


def test_help_explains_every_key(tmp_path):
    shown = run("export", "--help", cwd=tmp_path)
    assert shown.returncode == 0
    for key in ("checkpoint", "output_dir: bundle", "format", "quantize: false", "data_root"):
        assert key in shown.stdout
