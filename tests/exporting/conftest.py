import json
import os
import pickle
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tests.models.networks import stir
from tests.paths import CONF
from trajerr.bundle.runtime import Predictor
from trajerr.dataset.matlab import write_layer
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.record import LayerRecord
from trajerr.dataset.splits import SplitSettings
from trajerr.dataset.stats import read_stats
from trajerr.dynamics.printer import Printer
from trajerr.exporting.export import Exported, export_bundle
from trajerr.gcode.parts import load_part
from trajerr.models.registry import build_network
from trajerr.motion.features import compute_features
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

RATE = 200.0


@dataclass(frozen=True)
class Checkpoint:
    """A file as training writes it, and the network in it."""

    path: Path
    network: torch.nn.Module


def read_conf(group: str, name: str) -> dict:
    return yaml.safe_load((CONF / group / f"{name}.yaml").read_text())


def network_config(name: str) -> dict:
    config = read_conf("model", name)
    if config.get("sample_rate_hz", 0.0) is None:
        config["sample_rate_hz"] = RATE
    return {k: v for k, v in config.items() if k not in ("optimizer", "schedule")}


@pytest.fixture(scope="session")
def printer() -> Printer:
    return Printer.from_dict(read_conf("printer", "ender3_v2"))


@pytest.fixture(scope="session")
def prepared(printer: Printer, made_once) -> Path:
    """Eight short layers of a real part, with an error that is plausible but not simulated."""
    return made_once("bearing", partial(prepare_bearing, printer)) / "processed"


def prepare_bearing(printer: Printer, folder: Path) -> None:
    planned = plan(load_part("bearing"), printer.limits)
    for layer in range(2, 10):
        start, _ = planned.layer_span(layer)
        trajectory = sample(planned, RATE, start, start + 3.0)
        velocity = compute_features(trajectory.position, RATE)[:, 3:5]
        position = trajectory.position
        record = LayerRecord(
            part="bearing",
            layer=layer,
            variant="a1_v1",
            sample_rate=RATE,
            time=trajectory.time,
            commanded=position,
            actual=position[:, :2] - 0.1 * np.tanh(velocity / 20.0),
            extruding=trajectory.feature > 0,
            travel=trajectory.feature == 0,
            feature=trajectory.feature,
            temperatures=None,
            adhesion=None,
            params={"printer": json.dumps(printer.to_dict()), "kind": "nominal"},
        )
        write_layer(folder / "data_simulation_bearing" / f"layer{layer:04d}_a1_v1.mat", record)
    split = SplitSettings.shipped(train_ratio=0.5, val_ratio=0.25, test_ratio=0.25)
    source = str(folder / "data_simulation_bearing")
    prepare(PrepareSettings.shipped(data_dirs=(source,), split=split), folder / "processed")


@pytest.fixture(scope="session")
def make_checkpoint(prepared: Path, printer: Printer, tmp_path_factory):
    """Return what writes an untrained network in the form that training gives it."""

    def make(name: str, *, with_printer: bool = True, **changes) -> Checkpoint:
        torch.manual_seed(0)
        config, stats = {**network_config(name), **changes}, read_stats(prepared).to_dict()
        network = stir(build_network(config)).eval()
        network.scaling.set_statistics(stats)
        content = {
            "hyper_parameters": {
                "network": config,
                "config": {"model": config, "seed": 0},
                "stats": stats,
                "printer": printer.to_dict() if with_printer else None,
                "version": "0.1.0",
            },
            "state_dict": {f"network.{key}": value for key, value in network.state_dict().items()},
            "trajerr": {"metrics": {"val/mae_mm": 0.01, "val/r2": float("nan")}, "burn_in": 40},
        }
        path = tmp_path_factory.mktemp("checkpoint") / f"{name}.ckpt"
        torch.save(content, path)
        return Checkpoint(path, network)

    return make


@pytest.fixture(scope="session")
def base(make_checkpoint, made_once) -> Checkpoint:
    own = make_checkpoint("base")
    folder = made_once("checkpoint of base", partial(shutil.copy, own.path))
    return Checkpoint(folder / own.path.name, own.network)


@pytest.fixture(scope="session")
def plain(make_checkpoint) -> Checkpoint:
    """A network without an equation, which is written faster."""
    return make_checkpoint("lstm")


@pytest.fixture(scope="session")
def exported(base: Checkpoint, prepared: Path, made_once) -> Exported:
    """The default model in every format there is."""

    def export(folder: Path) -> None:
        formats = ("torchscript", "onnx", "pt2")
        made = export_bundle(
            base.path, folder / "bundle", formats, quantize=True, data_root=prepared
        )
        (folder / "exported.pickle").write_bytes(pickle.dumps(made))

    made = made_once("exported", export) / "exported.pickle"
    return pickle.loads(made.read_bytes())  # noqa: S301 - our own


@pytest.fixture(scope="session")
def predictor(exported: Exported) -> Predictor:
    return Predictor.load(exported.folder)


@pytest.fixture(scope="session")
def real_features(printer: Printer) -> np.ndarray:
    """33 windows of 200 samples of a part that the export's own check does not use."""
    planned = plan(load_part("nautilus"), printer.limits)
    start, _ = planned.layer_span(12)
    trajectory = sample(planned, RATE, start, start + 34.0)
    features = compute_features(trajectory.position, RATE)[: 33 * 200]
    return features.reshape(33, 200, 15).astype(np.float32)


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
