"""Tiny prepared data of one sampled linear printer, and settings to train on it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.machines import simple_axis
from tests.paths import CONF
from trajerr.dataset.matlab import write_layer
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.record import LayerRecord
from trajerr.dataset.splits import SplitSettings
from trajerr.dynamics.axis import AxisParameters, recurrence
from trajerr.dynamics.printer import Printer
from trajerr.training import run
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.settings import TrainSettings
from trajerr.training.task import TrajectoryTask

RATE_HZ = 200.0
TINY_NETWORK = {
    "d_model": 8,
    "num_layers": 1,
    "num_heads": 2,
    "feedforward": 8,
    "attention_context": 4,
    "positions": "linear",
    "decoder_size": 8,
    "decoder_layers": 1,
    "decoder_attention": False,
    "dropout": 0.1,
    "axes": "shared",
    "kinematics": None,
    "ripple_periods_mm": [0.2],
    "context_length": 16,
    "sample_rate_hz": None,
    "equation": None,
}


def linear_printer(stiffness_n_per_m: float = 9000.0) -> Printer:
    """The default printer with two equal, linear axes."""
    plain = yaml.safe_load((CONF / "printer" / "ender3_v2.yaml").read_text())
    axis = simple_axis(mass_kg=0.3, stiffness_n_per_m=stiffness_n_per_m, damping_n_s_per_m=20.0)
    return replace(Printer.from_dict(plain), name="linear", x=axis, y=axis)


def smooth_path(samples: int, seed: int) -> np.ndarray:
    """(N, 3) mm: a wandering path whose acceleration is band-limited."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples)[:, None] / RATE_HZ
    xy = np.zeros((samples, 2))
    for hz in (0.7, 1.9, 4.3):
        phase = rng.uniform(0.0, 6.0, 2)
        xy += rng.uniform(3.0, 8.0, 2) / hz * np.sin(2.0 * np.pi * hz * time + phase)
    return np.column_stack([100.0 + xy, np.full(samples, 0.2)])


def exact_error(path: np.ndarray, axis: AxisParameters, seed: int = 0) -> np.ndarray:
    """(N, 2) mm: what the sampled linear axis does, from its three-term recurrence."""
    terms = recurrence(axis, RATE_HZ)
    xy = path[:, :2]
    error = np.zeros_like(xy)
    for k in range(2, len(xy)):
        drive = xy[k] - 2.0 * xy[k - 1] + xy[k - 2]
        error[k] = -terms.a1 * error[k - 1] - terms.a2 * error[k - 2] + terms.b * drive
    return error


def make_record(
    layer: int, samples: int, named_printer: bool = True, printer: Printer | None = None
) -> LayerRecord:
    path = smooth_path(samples, layer)
    printer = printer or linear_printer()
    heat = np.column_stack([200.0 + 0.0 * path[:, 0], 60.0 + path[:, 0], 50.0 + path[:, 1]])
    params: dict[str, str | float] = {"kind": "nominal", "seed": float(layer)}
    if named_printer:
        params["printer"] = json.dumps(printer.to_dict())
    return LayerRecord(
        part="cube",
        layer=layer,
        variant="a1_v1",
        sample_rate=RATE_HZ,
        time=np.arange(samples) / RATE_HZ,
        commanded=path,
        actual=path[:, :2] + exact_error(path, printer.x),
        extruding=np.ones(samples, bool),
        travel=np.zeros(samples, bool),
        feature=np.ones(samples, np.uint8),
        temperatures=heat,
        adhesion=np.ones(samples),
        params=params,
    )


def prepare_tiny(
    folder: Path,
    named_printer: bool = True,
    samples: int = 240,
    printer: Printer | None = None,
    first_layer: int = 1,
) -> Path:
    """Prepare five layers, windows of 64 samples; returns the prepared folder."""
    for layer in range(first_layer, first_layer + 5):
        path = folder / "raw" / "data_simulation_cube" / f"layer{layer:04d}_a1_v1.mat"
        write_layer(path, make_record(layer, samples, named_printer, printer))
    settings = PrepareSettings.shipped(
        data_dirs=(str(folder / "raw"),), sequence_length=64, split=SplitSettings.shipped()
    )
    prepare(settings, folder / "processed")
    return folder / "processed"


def make_task(config: Mapping[str, Any], stats: Mapping[str, Any]) -> TrajectoryTask:
    """The task of a resolved train config."""
    return run.make_task(TrainSettings.from_dict(config), stats)


def train(config: Mapping[str, Any], data: PrinterDataModule, output: Path) -> run.Outcome:
    """Train by a resolved train config."""
    return run.train(TrainSettings.from_dict(config), data, output)


def train_config(**changes: Any) -> dict[str, Any]:
    """A resolved train config of a tiny network on the CPU; changes by dotted key."""
    trainer = yaml.safe_load((CONF / "trainer" / "default.yaml").read_text())
    config: dict[str, Any] = {
        "seed": 3,
        "experiment_name": "tiny",
        "pretrained": None,
        "resume": None,
        "objective": "val/loss",
        "equation_fit": True,
        "lr_find": False,
        "batch_size_find": False,
        "model": {
            "name": "base",
            **TINY_NETWORK,
            "optimizer": {"name": "muon", "lr": 0.01, "weight_decay": 1e-4},
            "schedule": {"name": "cosine", "warm_up": 0.1, "factor": 0.5, "patience": 1},
        },
        "loss": yaml.safe_load((CONF / "loss" / "default.yaml").read_text()),
        "data": {"batch_size": 8},
        **{key: value for key, value in trainer.items() if key != "defaults"},
        "callbacks": yaml.safe_load((CONF / "callbacks" / "default.yaml").read_text()),
        "logger": yaml.safe_load((CONF / "logger" / "tensorboard.yaml").read_text()),
    }
    config["trainer"].update(max_epochs=3, accelerator="cpu", devices=1)
    for key, value in changes.items():
        *groups, leaf = key.split("__")
        place = config
        for group in groups:
            place = place[group]
        place[leaf] = value
    return config
