"""A log of one axis: its metrics are not thinned by the other, which has no error to predict."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.evaluation.motion import layer
from tests.shipped import as_shipped
from trajerr.dataset.logs import LogAxis, LogFormat, LogSection
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.splits import SplitSettings
from trajerr.evaluation import timing
from trajerr.evaluation.assess import EvaluateSettings, assess
from trajerr.metrics.errors import moving_axes
from trajerr.reports.evaluation_report import write_evaluation

REMARK = "Only x has an error in this data"


@pytest.fixture(scope="module")
def log_of_x(tmp_path_factory) -> Path:
    """A prepared log of the x axis in three sections."""
    folder = tmp_path_factory.mktemp("log")
    motion = layer(seed=3, turns=9)
    commanded = motion["xy"][:, 0]
    columns = np.column_stack([motion["time"], commanded, commanded + motion["error"][:, 0]])
    csv = folder / "axis.csv"
    np.savetxt(csv, columns, delimiter=",", header="t,c,m", comments="", fmt="%.9f")
    third = len(columns) // 3
    sections = tuple(
        LogSection(i * third, (i + 1) * third, split)
        for i, split in enumerate(("train", "val", "test"))
    )
    log = LogFormat(x=LogAxis("c", "m"), time="t", part="axis", sections=sections)
    split = SplitSettings.shipped(by="section")
    settings = PrepareSettings.shipped(data_dirs=(str(csv),), stride=16, split=split, log=log)
    prepare(settings, folder / "processed")
    return folder / "processed"


@pytest.fixture(scope="module")
def judged(log_of_x, checkpoints, tmp_path_factory):
    """Return metrics, what the console said, and the folder."""
    folder, said = tmp_path_factory.mktemp("judged"), io.StringIO()
    settings = as_shipped(
        EvaluateSettings,
        "evaluate",
        checkpoint=str(checkpoints["lstm"]),
        split="test",
        root=str(log_of_x),
        output_dir=str(folder),
        targets={"mae_mm": 0.02},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "CALLS", 5)
        (found,) = write_evaluation(settings, *assess(settings, {}), Console(file=said, width=120))
    return found, said.getvalue(), folder


def test_overall_metrics_are_of_the_axis_that_moved(judged):
    found, _, folder = judged
    assert found["axes"] == ["x"]
    for metrics in (found, found["settled"], found["trajectory"]):
        for key in ("mae_mm", "rmse_mm", "r2"):
            assert metrics["overall"][key] == metrics["x"][key]
        assert metrics["percentiles_mm"] == metrics["x"]["percentiles_mm"]
        assert metrics["max_mm"] == metrics["max_magnitude_mm"] == metrics["x"]["max_mm"]
    for baseline in found["baselines"].values():
        assert baseline["trajectory"]["overall"]["r2"] == baseline["trajectory"]["x"]["r2"]
    assert found["targets"]["mae_mm"]["value"] == found["trajectory"]["x"]["mae_mm"]
    with np.load(folder / "predictions.npz") as kept:
        target = kept["trajectory_targets_mm"].astype(float)
        wrong = kept["trajectory_predictions_mm"].astype(float) - target
    assert not target[:, 1].any()
    zero = found["baselines"]["zero"]["trajectory"]["overall"]
    assert zero["rmse_mm"] == pytest.approx(np.sqrt(np.mean(target[:, 0] ** 2)))
    assert found["trajectory"]["overall"]["mae_mm"] == pytest.approx(np.mean(np.abs(wrong[:, 0])))
    assert found["y"]["mae_mm"] > 0.0  # still told: what the network makes of an axis at rest
    (part,) = found["strata"]["part"].values()
    assert part["rmse_mm"] == found["trajectory"]["x"]["rmse_mm"]
    total = sum(band["error_rms_mm"] ** 2 for band in found["spectrum"])
    assert total == pytest.approx(np.mean(target[:, 0] ** 2), rel=0.4)  # not half of it


def test_console_and_report_say_so(judged, results):
    _, said, folder = judged
    assert REMARK in said
    assert REMARK in (folder / "report.html").read_text(encoding="utf-8")
    assert REMARK not in (results / "report.html").read_text(encoding="utf-8")
    assert json.loads((results / "metrics.json").read_text())["axes"] == ["x", "y"]


@pytest.mark.parametrize(
    ("target", "axes"),
    [
        ([[0.0, 0.1], [0.0, 0.2]], [1]),
        ([[0.0, 0.1], [0.3, 0.2]], [0, 1]),
        ([[0.0, 0.0], [0.0, 0.0]], [0, 1]),  # nothing moved: nothing to leave out
        ([[[0.2, 0.5]], [[0.2, 0.4]]], [1]),  # windows
    ],
)
def test_which_axes_move(target, axes):
    assert moving_axes(target) == axes
