"""Whole layers are judged as deployed: entered by their lead-in, which nothing counts."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from tests.warm_python import warm_python
from trajerr.dataset.matlab import read_layer, write_layer
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.splits import SplitSettings
from trajerr.dataset.store import open_split
from trajerr.evaluation.assess import assess
from trajerr.evaluation.baselines import fit_fir
from trajerr.evaluation.prediction import cut_windows, lay_out, predict, predict_streams
from trajerr.motion.features import HISTORY
from trajerr.reports.evaluation_report import write_evaluation
from trajerr.training.checkpoint import load_checkpoint

CONTEXT = 90
TIMED = ("inference", "provenance", "targets")


def with_lead_in(raw: Path, root: Path, wrong: float) -> Path:
    """Prepare the layers with their first samples as lead-in, whose error is off by mm."""
    for path in raw.rglob("*.mat"):
        record = read_layer(path)
        actual = record.actual.copy()
        actual[:CONTEXT] += wrong
        copy = root / "raw" / path.parent.name / path.name
        write_layer(copy, replace(record, actual=actual, context=CONTEXT))
    settings = PrepareSettings.shipped(
        data_dirs=(str(root / "raw" / "data_simulation_*"),),
        stride=16,
        split=SplitSettings.shipped(train_ratio=0.6, val_ratio=0.2, test_ratio=0.2),
    )
    prepare(settings, root / "processed")
    return root / "processed"


@pytest.fixture(scope="module")
def led(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        name: with_lead_in(raw, tmp_path_factory.mktemp(name), wrong)
        for name, wrong in (("right", 0.0), ("wrong", 2.0))
    }


def test_layers_are_entered_by_their_lead_in(led, checkpoints):
    split = open_split(led["right"], "test")
    network = load_checkpoint(checkpoints["lstm"]).network
    found = predict(network, split, cut_windows(split)).layers
    layers = lay_out(split)
    for span, sequence in zip(layers.spans, split.sequences, strict=True):
        assert sequence.context == CONTEXT - HISTORY
        own = slice(sequence.context, None)
        np.testing.assert_array_equal(layers.target[span], sequence.targets[own].numpy())
        np.testing.assert_array_equal(layers.time[span], sequence.time[own].numpy())
        with torch.inference_mode():
            entered = predict_streams(network, sequence.features[None])[0, own]
            cold = predict_streams(network, sequence.features[None, own])[0]
        np.testing.assert_allclose(found[span], entered.numpy(), atol=1e-6)
        assert np.abs(found[span] - cold.numpy()).max() > 1e-4


@pytest.mark.parametrize("name", ["lstm", "fir"])
def test_no_metric_depends_on_errors_of_a_lead_in(led, settings, checkpoints, name):
    found = []
    for root in led.values():
        asked = replace(settings, root=str(root), checkpoint=str(checkpoints[name]))
        asked = replace(asked, allow_overlap=True, save_predictions=False)
        (scores,) = write_evaluation(asked, *assess(asked, {}), Console(quiet=True))
        found.append({key: value for key, value in scores.items() if key not in TIMED})
    assert found[0] == found[1]
    assert found[0]["trajectory"]["n_cold"] == 0


def test_least_squares_count_no_error_of_a_lead_in(led):
    networks = [
        fit_fir(open_split(root, "train"), open_split(root, "val")) for root in led.values()
    ]
    torch.testing.assert_close(networks[0].weight, networks[1].weight)
    torch.testing.assert_close(networks[0].bias, networks[1].bias)


def test_the_report_says_as_deployed_where_every_layer_is(led, settings):
    asked = replace(settings, root=str(led["right"]), generate_report=True)
    with (Path(settings.output_dir).parent / "said").open("w+") as said:
        write_evaluation(asked, *assess(asked, {}), Console(file=said, width=100))
        said.seek(0)
        text = said.read()
    page = (Path(settings.output_dir) / "report.html").read_text()
    assert "Targets, whole layers, as deployed" in text
    assert "whole layers, as deployed" in page
    for shown in (text, page):
        assert "streamed from rest" not in shown
        assert "hold no motion before their layer" not in shown


def run(*overrides: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*warm_python(), "-m", "trajerr.evaluate", *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(
    ("said", "folders"),
    [
        ((), ("sweep/0/evaluation", "sweep/1/evaluation")),
        (("output_dir=mine",), ("mine/0", "mine/1")),
    ],
)
def test_each_run_of_a_multirun_has_a_folder(prepared, checkpoints, tmp_path, said, folders):
    names = ("lstm", "fir")
    ended = run(
        "-m",
        f"checkpoint={','.join(str(checkpoints[name]) for name in names)}",
        f"data.root={prepared}",
        "visualize=false",
        "generate_report=false",
        "save_predictions=false",
        "hydra.sweep.dir=sweep",
        *said,
        cwd=tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    for name, folder in zip(names, folders, strict=True):
        metrics = json.loads((tmp_path / folder / "metrics.json").read_text())
        assert metrics["model"]["name"] == name
    assert not (tmp_path / "results").exists()
