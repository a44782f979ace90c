"""What ``make pipeline`` tells its stages."""

import importlib.util
import os
from pathlib import Path

import pytest
import torch

from tests.paths import PROJECT


@pytest.fixture
def pipeline():
    path = PROJECT / "scripts" / "run_pipeline.py"
    spec = importlib.util.spec_from_file_location("run_pipeline", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("cores", "has_gpu", "overrides", "preset"),
    [
        (2, False, ["model=large"], ["trainer=cores"]),
        (1, False, [], []),
        (8, True, [], []),
        (2, False, ["trainer=cpu"], []),
    ],
)
def test_two_processes_train_where_there_are_two_cores_and_no_gpu(
    pipeline, monkeypatch, cores, has_gpu, overrides, preset
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    trained = dict(pipeline.stages(Path("run"), overrides))["train"]
    assert trained == ["data.root=run/processed", *preset, *overrides]
