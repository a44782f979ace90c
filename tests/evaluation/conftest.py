import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.console import Console

from tests.evaluation.motion import layer
from tests.shipped import as_shipped
from trajerr.dataset.matlab import write_layer
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.record import LayerRecord
from trajerr.dataset.splits import SplitSettings
from trajerr.dataset.stats import read_stats
from trajerr.dynamics.printer import Printer
from trajerr.evaluation import timing
from trajerr.evaluation.assess import EvaluateSettings, assess
from trajerr.models.registry import build_network
from trajerr.reports.evaluation_report import write_evaluation
from trajerr.shipped import conf_dir

NETWORKS = {
    "lstm": {
        "name": "lstm",
        "hidden_size": 8,
        "num_layers": 1,
        "dropout": 0.0,
        "axes": "shared",
        "kinematics": "cartesian",
        "ripple_periods_mm": [0.2],
        "context_length": 40,
    },
    "fir": {"name": "fir", "taps": 40},
}


@pytest.fixture(scope="session")
def printer() -> Printer:
    return instantiate(OmegaConf.load(conf_dir() / "printer" / "ender3_v2.yaml"))


@pytest.fixture(scope="session")
def raw(made_once, printer: Printer) -> Path:
    """Layers of two parts, each in two variants, as collect would write them."""
    return made_once("bracket and cam", partial(write_layers, printer))


def write_layers(printer: Printer, folder: Path) -> None:
    for part in ("bracket", "cam"):
        for number in range(1, 6):
            for variant, scale in (("a1_v1", 1.0), ("a2_v1", 1.4)):
                record = _record(part, number, variant, scale, printer)
                write_layer(
                    folder / f"data_simulation_{part}" / f"layer{number:04d}_{variant}.mat", record
                )


@pytest.fixture(scope="session")
def prepared(raw: Path, made_once) -> Path:
    split = SplitSettings.shipped(train_ratio=0.6, val_ratio=0.2, test_ratio=0.2)
    settings = PrepareSettings.shipped(
        data_dirs=(str(raw / "data_simulation_*"),), stride=16, split=split
    )
    folder = made_once("bracket and cam prepared", lambda new: prepare(settings, new / "processed"))
    return folder / "processed"


@pytest.fixture(scope="session")
def checkpoints(prepared: Path, printer: Printer, made_once) -> dict[str, Path]:
    """Untrained networks in the form that a training saves them."""

    def save(folder: Path) -> None:
        for name in NETWORKS:
            _checkpoint(folder / f"{name}.ckpt", name, prepared, printer)

    folder = made_once("checkpoints of evaluation", save)
    return {name: folder / f"{name}.ckpt" for name in NETWORKS}


@pytest.fixture(scope="session")
def results(prepared: Path, checkpoints: dict[str, Path], made_once) -> Path:
    """The folder of one evaluation with all it can write."""
    return made_once("evaluation", partial(evaluate, prepared, checkpoints["lstm"]))


def evaluate(prepared: Path, checkpoint: Path, folder: Path) -> None:
    settings = as_shipped(
        EvaluateSettings,
        "evaluate",
        checkpoint=str(checkpoint),
        split="train",
        allow_overlap=True,
        root=str(prepared),
        output_dir=str(folder),
        targets={"mae_mm": 1.0, "r2": 0.85, "p90_mm": 0.035, "max_mm": None, "inference_ms": 1e-9},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "CALLS", 5)
        config = {"data": {"root": "<script>alert(1)</script>"}}
        write_evaluation(settings, *assess(settings, config), Console(quiet=True))


@pytest.fixture
def settings(
    prepared: Path, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch
) -> EvaluateSettings:
    """The quickest evaluation: metrics only, hardly timed."""
    monkeypatch.setattr(timing, "CALLS", 5)
    return as_shipped(
        EvaluateSettings,
        "evaluate",
        checkpoint=str(checkpoints["lstm"]),
        split="test",
        root=str(prepared),
        output_dir=str(tmp_path / "results"),
        visualize=False,
        generate_report=False,
        targets={"mae_mm": 0.02, "r2": 0.85, "p90_mm": 0.035, "max_mm": None},
    )


def _record(part: str, number: int, variant: str, scale: float, printer: Printer) -> LayerRecord:
    motion = layer(seed=number + 10 * (part == "cam"), turns=3)
    count = len(motion["xy"])
    return LayerRecord(
        part=part,
        layer=number,
        variant=variant,
        sample_rate=200.0,
        time=motion["time"],
        commanded=np.column_stack([motion["xy"], np.full(count, 0.2 * number)]),
        actual=motion["xy"] + scale * motion["error"],
        extruding=motion["kind"] > 0,
        travel=motion["kind"] == 0,
        feature=motion["kind"].astype(np.uint8),
        temperatures=None,
        adhesion=None,
        params={"printer": json.dumps(printer.to_dict()), "kind": "nominal"},
    )


def _checkpoint(path: Path, name: str, prepared: Path, printer: Printer) -> Path:
    torch.manual_seed(0)
    network, stats = build_network(NETWORKS[name]), read_stats(prepared).to_dict()
    network.scaling.set_statistics(
        {key: stats[key] for key in ("feature_mean", "feature_std", "target_mean", "target_std")}
    )
    content = {
        "hyper_parameters": {
            "network": NETWORKS[name],
            "config": {"model": {"name": name}, "note": "</script><b>"},
            "stats": stats,
            "printer": printer.to_dict(),
            "version": "0",
        },
        "state_dict": {f"network.{key}": value for key, value in network.state_dict().items()},
        "trajerr": {"metrics": {}, "burn_in": 40},
    }
    torch.save(content, path)
    return path
