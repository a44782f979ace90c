import io
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy import signal
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from trajerr.errors import ConfigError, DataError
from trajerr.evaluation.assess import assess, unique_names
from trajerr.reports.evaluation_report import write_evaluation

PICTURES = (
    "trajectory_comparison",
    "error_distribution",
    "error_correlation",
    "per_axis_error",
    "sequence_prediction",
    "spectrum",
    "residual_map",
)


@pytest.fixture(scope="module")
def found(results: Path) -> dict:
    return json.loads((results / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def kept(results: Path):
    with np.load(results / "predictions.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1]).astype(float)


def same(metrics: dict, prediction: np.ndarray, target: np.ndarray) -> None:
    """Recompute MAE, RMSE and R² with scikit-learn."""
    got, wanted = rows(prediction), rows(target)
    assert metrics["mae_mm"] == pytest.approx(mean_absolute_error(wanted, got), rel=1e-9)
    assert metrics["rmse_mm"] ** 2 == pytest.approx(mean_squared_error(wanted, got), rel=1e-9)
    assert metrics["r2"] == pytest.approx(r2_score(wanted, got), rel=1e-9)


def same_by_axis(metrics: dict, prediction: np.ndarray, target: np.ndarray) -> None:
    same(metrics["overall"], prediction, target)
    same(metrics["x"], prediction[..., :1], target[..., :1])
    same(metrics["y"], prediction[..., 1:], target[..., 1:])
    for i, axis in enumerate("xy"):
        sizes = np.abs(rows(prediction)[:, i] - rows(target)[:, i])
        assert metrics[axis]["max_mm"] == pytest.approx(sizes.max(), rel=1e-12)
        for rank, cut in metrics[axis]["percentiles_mm"].items():
            assert cut == pytest.approx(np.quantile(sizes, int(rank[1:]) / 100), rel=1e-9)


def same_tails(metrics: dict, prediction: np.ndarray, target: np.ndarray) -> None:
    wrong = rows(prediction) - rows(target)
    length = np.hypot(*wrong.T)
    for name, sizes in (("", np.abs(wrong).ravel()), ("_magnitude", length)):
        ordered = np.sort(sizes)
        assert metrics[f"max{name}_mm"] == pytest.approx(ordered[-1], rel=1e-12)
        for rank in (50, 90, 95, 99):
            place = rank / 100 * (len(ordered) - 1)
            low, high = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
            cut = low + (place - int(place)) * (high - low)
            assert metrics[f"percentiles{name}_mm"][f"p{rank}"] == pytest.approx(cut, rel=1e-9)


def test_the_files_are_those_promised(results):
    wanted = {"metrics.json", "predictions.npz", "report.html", *(f"{p}.png" for p in PICTURES)}
    assert {path.name for path in results.iterdir()} == wanted


def test_metrics_json_has_the_agreed_keys(found):
    agreed = (
        "schema_version split n_windows n_points overall x y percentiles_mm max_mm settled "
        "trajectory baselines noise_floor_mm targets inference model"
    )
    assert set(agreed.split()) <= set(found)
    assert set(found["baselines"]) == {"zero", "fir", "physics"}
    assert {"window_ms_p50", "window_ms_p99", "step_us_p50"} <= set(found["inference"])
    assert set(found["model"]) == {"name", "parameters"}


def test_window_metrics_recomputed(found, kept):
    prediction, target = kept["predictions_mm"], kept["targets_mm"]
    assert found["n_windows"] == len(prediction)
    same_by_axis(found, prediction, target)
    same_tails(found, prediction, target)
    late = slice(found["burn_in"], None)
    same_by_axis(found["settled"], prediction[:, late], target[:, late])
    same_tails(found["settled"], prediction[:, late], target[:, late])


def test_layer_metrics_recomputed(found, kept):
    prediction, target = kept["trajectory_predictions_mm"], kept["trajectory_targets_mm"]
    assert found["n_points"] == len(prediction)
    same_by_axis(found["trajectory"], prediction, target)
    same_tails(found["trajectory"], prediction, target)
    layers = {(p, n) for p, n in zip(kept["part"], kept["layer"], strict=True)}
    assert found["trajectory"]["n_layers"] == len(layers)


def test_intervals_recomputed(found, kept):
    names = [f"{p}/{n}" for p, n in zip(kept["part"], kept["layer"], strict=True)]
    cluster = np.array([sorted(set(names)).index(name) for name in names])[kept["sequence"]]
    count = cluster.max() + 1
    wrong = rows(kept["trajectory_predictions_mm"]) - rows(kept["trajectory_targets_mm"])
    draws = np.random.default_rng(0).integers(count, size=(2000, count))
    target = rows(kept["trajectory_targets_mm"])
    mae, rmse, r2 = [], [], []
    sizes = np.bincount(cluster)
    absolute = np.array([np.abs(wrong[cluster == c]).mean() for c in range(count)])
    squared = np.array([(wrong[cluster == c] ** 2).mean() for c in range(count)])
    members = [np.flatnonzero(cluster == c) for c in range(count)]
    for draw in draws:
        mae.append(np.average(absolute[draw], weights=sizes[draw]))
        rmse.append(np.sqrt(np.average(squared[draw], weights=sizes[draw])))
        drawn = np.concatenate([members[c] for c in draw])
        if len(r2) < 100:  # each draw in full, as scikit-learn would score it
            r2.append(r2_score(target[drawn], target[drawn] + wrong[drawn]))
        else:
            r2.append(_r2_of(drawn, target, wrong))
    spans = found["trajectory"]["interval_95"]
    assert spans["mae_mm"] == pytest.approx(np.percentile(mae, [2.5, 97.5]), rel=1e-9)
    assert spans["rmse_mm"] == pytest.approx(np.percentile(rmse, [2.5, 97.5]), rel=1e-9)
    assert spans["r2"] == pytest.approx(np.percentile(r2, [2.5, 97.5]), rel=1e-8)


def _r2_of(rows_drawn: np.ndarray, target: np.ndarray, wrong: np.ndarray) -> float:
    truth = target[rows_drawn]
    lost = (wrong[rows_drawn] ** 2).sum(axis=0)
    return float(np.mean(1.0 - lost / ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)))


def _turning_deg(velocity: np.ndarray, rate: float) -> np.ndarray:
    """The widest angle to any direction of the last 0.1 s, sample by sample."""
    heading, held = [], None
    for row in velocity:
        if np.hypot(*row) > 1e-3:
            held = np.arctan2(row[1], row[0])
        heading.append(held)
    widest = np.zeros(len(velocity))
    for now in range(len(velocity)):
        for before in range(max(0, now - round(0.1 * rate)), now):
            if heading[before] is not None:
                apart = abs(heading[now] - heading[before]) % (2 * np.pi)
                widest[now] = max(widest[now], min(apart, 2 * np.pi - apart))
    return np.degrees(widest)


def test_turning_bins_recomputed(found, kept):
    velocity = kept["velocity_mm_s"].astype(float)
    rate = float(kept["sample_rate_hz"])
    turning = np.concatenate(
        [_turning_deg(velocity[kept["sequence"] == s], rate) for s in np.unique(kept["sequence"])]
    )
    edges = [0, 5, 30, 75, 120, np.inf]
    wanted, got = kept["trajectory_targets_mm"], kept["trajectory_predictions_mm"]
    for low, high in itertools.pairwise(edges):
        name = f"{low}–{high} °" if np.isfinite(high) else f"≥ {low} °"
        member = (turning >= low) & (turning < high)
        metrics = found["strata"]["turning"][name]
        assert metrics["n_points"] == member.sum()
        same(metrics, got[member], wanted[member])


def test_baselines_recomputed(found, kept):
    for name, metrics in found["baselines"].items():
        same(metrics["overall"], kept[f"baseline_{name}_mm"], kept["targets_mm"])
        layers = kept[f"trajectory_baseline_{name}_mm"]
        late = slice(found["burn_in"], None)
        windows = kept[f"baseline_{name}_mm"][:, late], kept["targets_mm"][:, late]
        same_by_axis(metrics["settled"], *windows)
        same_by_axis(metrics["trajectory"], layers, kept["trajectory_targets_mm"])
    assert not kept["baseline_zero_mm"].any()


def test_groups_recomputed(found, kept):
    prediction, target = kept["trajectory_predictions_mm"], kept["trajectory_targets_mm"]
    speed = np.hypot(*kept["velocity_mm_s"].T.astype(float))
    members = {
        ("part", "cam"): kept["part"][kept["sequence"]] == "cam",
        ("kind", "nominal"): np.ones(len(target), bool),
        ("feature_type", "walls"): np.isin(kept["feature_type"], [1, 2, 3]) & kept["extruding"],
        ("feature_type", "travel"): kept["travel"],
        ("speed", "20–50 mm/s"): (speed >= 20) & (speed < 50),
    }
    for (by, name), member in members.items():
        metrics = found["strata"][by][name]
        same(metrics, prediction[member], target[member])
        assert metrics["n_points"] == member.sum()
        sizes = np.abs(rows(prediction[member]) - rows(target[member]))
        assert metrics["p95_mm"] == pytest.approx(np.quantile(sizes, 0.95), rel=1e-9)
    for by in ("part", "kind", "feature_type", "speed", "turning"):
        assert sum(g["n_points"] for g in found["strata"][by].values()) == found["n_points"]


def test_bands_recomputed_with_scipy(found, kept):
    target = kept["trajectory_targets_mm"].astype(float)
    wrong = kept["trajectory_predictions_mm"].astype(float) - target
    ends = np.cumsum(np.bincount(kept["sequence"]))[:-1]
    for name, values in (("error_rms_mm", target), ("residual_rms_mm", wrong)):
        weights, densities = [], []
        for piece in np.split(values, ends):
            frequency, density = signal.welch(piece, kept["sample_rate_hz"], nperseg=512, axis=0)
            weights.append(max(0, (len(piece) - 256) // 256))
            densities.append(density)
        mean = np.average(densities, axis=0, weights=weights).mean(axis=1)
        for band in found["spectrum"]:
            last = band["to_hz"] == frequency[-1]
            inside = (frequency >= band["from_hz"]) & ((frequency < band["to_hz"]) | last)
            power = mean[inside].sum() * frequency[1]
            assert band[name] == pytest.approx(np.sqrt(power), rel=1e-6)


def test_window_targets_are_cuts_of_the_layers(kept):
    for k in (0, len(kept["targets_mm"]) // 2, -1):
        layer = kept["trajectory_targets_mm"][kept["sequence"] == kept["window_sequence"][k]]
        start = kept["window_start"][k]
        np.testing.assert_array_equal(kept["targets_mm"][k], layer[start : start + 128])


def test_targets_are_judged(found):
    targets = found["targets"]
    assert set(targets) == {"mae_mm", "r2", "p90_mm", "inference_ms"}
    assert found["targets_on"] == "trajectory"
    assert targets["mae_mm"]["value"] == found["trajectory"]["overall"]["mae_mm"]
    assert targets["mae_mm"]["met"] is True
    assert targets["r2"]["met"] is (found["trajectory"]["overall"]["r2"] > 0.85)
    assert targets["p90_mm"]["value"] == found["trajectory"]["percentiles_mm"]["p90"]
    assert targets["inference_ms"]["met"] is False
    step_us = found["inference"]["step_us_p50"]
    assert targets["inference_ms"]["value"] == pytest.approx(step_us / 1000)


def test_the_first_samples_of_a_layer_are_its_first_window(kept):
    """Both begin from rest, so streaming and windowing have to agree there."""
    for k in np.flatnonzero(kept["window_start"] == 0):
        layer = kept["trajectory_predictions_mm"][kept["sequence"] == kept["window_sequence"][k]]
        np.testing.assert_allclose(kept["predictions_mm"][k], layer[:128], atol=1e-6)


def test_trained_layers_are_refused_and_nothing_is_written(settings):
    with pytest.raises(DataError, match=r"split train shares 6 layers .*allow_overlap=true"):
        write_evaluation(
            replace(settings, split="train"),
            *assess(replace(settings, split="train"), {}),
            Console(quiet=True),
        )
    assert not Path(settings.output_dir).exists()


def test_allowed_overlap_is_said(found, settings):
    assert len(found["overlap"]) == 6
    said = io.StringIO()
    seen = replace(settings, split="train", allow_overlap=True)
    write_evaluation(seen, *assess(seen, {}), Console(file=said, width=100))
    assert "Not unseen data: 6 layers" in said.getvalue()


def test_the_console_speaks_the_familiar_form(settings):
    said = io.StringIO()
    (found,) = write_evaluation(settings, *assess(settings, {}), Console(file=said, width=100))
    text = said.getvalue()
    assert found["overlap"] == []
    for line in (
        "Trajectory Error Model Evaluation",
        f"Dataset: Test ({found['n_windows']} samples)",
        "Overall Metrics:",
        f"  RMSE: {found['overall']['rmse_mm']:.4f} mm",
        f"    R²:   {found['y']['r2']:.4f}",
        f"  99th:          {found['percentiles_mm']['p99']:.4f} mm",
        f"  Max, layers:   {found['trajectory']['max_mm']:.4f} mm",
        "Targets, whole layers, streamed",
        "4 of 4 sequences hold no motion before their layer",
        "noise floor",
    ):
        assert line in text
    easy = replace(settings, targets={"mae_mm": 9.0}, targets_on="settled")
    said = io.StringIO()
    write_evaluation(easy, *assess(easy, {}), Console(file=said, width=100))
    assert "Targets, windows after 40 samples" in said.getvalue()
    assert "✓ Model meets performance targets!" in said.getvalue()


def test_several_checkpoints_are_compared(settings, checkpoints):
    both = replace(settings, checkpoint=[str(checkpoints["lstm"]), str(checkpoints["fir"])])
    said = io.StringIO()
    results = write_evaluation(both, *assess(both, {}), Console(file=said, width=110))
    folder = Path(settings.output_dir)
    assert {p.name for p in folder.iterdir()} == {
        "lstm",
        "fir",
        "comparison.json",
        "comparison.png",
        "comparison.html",
    }
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    fir = results[1]["trajectory"]
    assert f"<td>{1000 * fir['overall']['rmse_mm']:.2f}</td>" in page
    low, high = (1000 * value for value in fir["interval_95"]["rmse_mm"])
    assert f"<td>{low:.2f} to {high:.2f}</td>" in page
    assert page.count("<tr>") == 6
    assert page.count("data:image/png;base64,") == 1
    assert not re.findall(r"(?:src|href)=.(?!data:)", page)
    assert "<script" not in page
    compared = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert compared["reference"] == "lstm"
    low, high = compared["checkpoints"]["fir"]["minus_reference_95"]["mae_mm"]
    gain = (
        results[1]["trajectory"]["overall"]["mae_mm"]
        - results[0]["trajectory"]["overall"]["mae_mm"]
    )
    assert low <= gain <= high
    assert compared["checkpoints"]["lstm"]["minus_reference_95"]["mae_mm"] == [0.0, 0.0]
    assert "Checkpoints, whole layers" in said.getvalue()


def test_no_checkpoint_means_the_last_finished_run(settings, checkpoints, tmp_path):
    folder = tmp_path / "outputs" / "train" / "2030-01-01" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "best.ckpt").write_bytes(checkpoints["fir"].read_bytes())
    (folder.parent / "train.json").write_text("{}")
    last = replace(settings, checkpoint=None, runs=str(tmp_path / "outputs"))
    (found,) = write_evaluation(last, *assess(last, {}), Console(quiet=True))
    assert found["model"]["name"] == "fir"
    with pytest.raises(DataError, match=r"no finished training"):
        assess(replace(last, runs=str(tmp_path)), {})


def test_data_of_another_rate_is_refused(settings, checkpoints, tmp_path):
    content = torch.load(checkpoints["fir"], weights_only=True)
    content["hyper_parameters"]["stats"]["sample_rate_hz"] = 100.0
    torch.save(content, tmp_path / "other.ckpt")
    other = replace(settings, checkpoint=str(tmp_path / "other.ckpt"))
    with pytest.raises(DataError, match=r"200 Hz, expected 100 Hz"):
        write_evaluation(other, *assess(other, {}), Console(quiet=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"burn_in": 128}, "burn_in: got 128, expected 0 to 127 samples"),
        ({"checkpoint": []}, r"checkpoint: got \[\], expected one file or more"),
    ],
)
def test_wrong_settings_name_their_key(settings, change, message):
    with pytest.raises(ConfigError, match=message):
        write_evaluation(
            replace(settings, **change),
            *assess(replace(settings, **change), {}),
            Console(quiet=True),
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "tset"}, "split: got tset, expected one of train, val, test"),
        ({"targets_on": "all"}, "targets_on: got all, expected one of windows, settled"),
        ({"stride": 0}, "stride: got 0, expected a whole number from 1 on, or null"),
        ({"burn_in": -1}, "burn_in: got -1, expected a whole number from 0 on, or null"),
        ({"targets": {"speed": 1.0}}, "targets: got speed, expected one of mae_mm"),
    ],
)
def test_settings_are_checked_at_once(settings, change, message):
    with pytest.raises(ConfigError, match=message):
        replace(settings, **change)


def test_folders_of_equal_names_are_numbered():
    assert unique_names(["base", "lstm", "base"]) == ["base", "lstm", "base_2"]
