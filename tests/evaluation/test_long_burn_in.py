"""Windows for networks whose training left much out: as long as that needs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from trajerr.dataset.store import open_split
from trajerr.errors import DataError
from trajerr.evaluation.assess import EvaluateSettings, assess
from trajerr.evaluation.prediction import cut_windows
from trajerr.reports.evaluation_report import write_evaluation


def trained_with(burn_in: int, checkpoint: Path, path: Path) -> str:
    """Write a checkpoint as a training with that burn-in leaves it."""
    content = torch.load(checkpoint, weights_only=True)
    content["trajerr"]["burn_in"] = burn_in
    torch.save(content, path)
    return str(path)


def judged(settings: EvaluateSettings) -> tuple[list[dict], dict]:
    """Return the scores of each checkpoint, and the last one's predictions."""
    results = write_evaluation(settings, *assess(settings, {}), Console(quiet=True))
    files = sorted(Path(settings.output_dir).glob("**/predictions.npz"))
    with np.load(files[-1], allow_pickle=False) as arrays:
        return results, dict(arrays)


def test_windows_are_longer_than_the_burn_in_of_a_training(settings, checkpoints, tmp_path):
    usual, _ = judged(settings)
    (own,) = usual
    assert (own["burn_in"], own["provenance"]["sequence_length"]) == (40, 128)
    long = trained_with(128, checkpoints["lstm"], tmp_path / "long.ckpt")
    (found,), arrays = judged(replace(settings, checkpoint=long))
    assert (found["burn_in"], found["provenance"]["sequence_length"]) == (128, 256)
    prediction, target = arrays["predictions_mm"], arrays["targets_mm"]
    assert prediction.shape[1] == 256
    late = np.abs(prediction[:, 128:].astype(float) - target[:, 128:])
    assert found["settled"]["overall"]["mae_mm"] == pytest.approx(late.mean(), rel=1e-9)
    assert found["trajectory"] == own["trajectory"]


def test_windows_are_long_enough_for_every_training(settings, checkpoints, tmp_path):
    long = trained_with(150, checkpoints["lstm"], tmp_path / "long.ckpt")
    both = replace(settings, checkpoint=[str(checkpoints["fir"]), long])
    results, _ = judged(both)
    assert [found["burn_in"] for found in results] == [40, 150]
    assert {found["provenance"]["sequence_length"] for found in results} == {300}


def test_at_least_half_of_a_window_is_judged(settings, checkpoints, tmp_path):
    long = trained_with(70, checkpoints["lstm"], tmp_path / "long.ckpt")
    (found,), _ = judged(replace(settings, checkpoint=long))
    assert (found["burn_in"], found["provenance"]["sequence_length"]) == (70, 140)


def test_windows_are_as_prepared_where_layers_are_too_short_for_more(settings):
    split = open_split(Path(settings.root), settings.split)
    briefest = min(split.sequences, key=len)
    longest = len(briefest) - briefest.context
    alone = replace(split, sequences=(briefest,))
    assert cut_windows(alone, burn_in=longest // 2).length == max(128, 2 * (longest // 2))
    own = replace(split.stats, sequence_length=longest)
    assert cut_windows(replace(alone, stats=own), burn_in=longest - 1).length == longest


def test_a_burn_in_that_is_given_keeps_windows_as_prepared(settings, checkpoints, tmp_path):
    long = trained_with(150, checkpoints["lstm"], tmp_path / "long.ckpt")
    (found,), _ = judged(replace(settings, checkpoint=long, burn_in=60))
    assert (found["burn_in"], found["provenance"]["sequence_length"]) == (60, 128)


def test_layers_too_short_for_a_burn_in_are_told_in_one_line(settings, checkpoints, tmp_path):
    long = trained_with(50_000, checkpoints["lstm"], tmp_path / "long.ckpt")
    expected = (
        r"^split test: no sequence has the 100000 samples of a window \(the longest has \d+\); "
        r"give burn_in below 128 \(the training's is 50000\)$"
    )
    with pytest.raises(DataError, match=expected):
        assess(replace(settings, checkpoint=long), {})
