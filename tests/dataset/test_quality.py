import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajerr.dataset.quality import (
    LayerMetrics,
    QualityLimits,
    judge,
    layer_path,
    load_metrics,
    measure,
    require_passed,
    save_metrics,
)
from trajerr.errors import ConfigError, DataError

LIMITS = QualityLimits((110.0, 170.0), (45.0, 85.0), (0.75, 0.90))
GOOD = LayerMetrics(
    "cube", 1, "a1_v1", "nominal", 100, 100 * 0.14**2, 0.3, (50.0, 60.0), (0.8, 0.85)
)


def test_metrics_of_a_layer_are_those_of_its_samples(make_record) -> None:
    record = make_record(samples=500)
    metrics = measure(record)
    error = np.linalg.norm(record.error, axis=1)
    assert metrics.points == 500
    assert metrics.square_error == pytest.approx(np.sum(error**2), rel=1e-12)
    assert metrics.max_error == pytest.approx(error.max(), rel=1e-12)
    laid = record.temperatures[record.extruding, 1]
    assert metrics.interface == (laid.min(), laid.max())
    assert measure(make_record(thermal=False)).adhesion is None


@given(cuts=st.sets(st.integers(1, 99), max_size=6))
def test_merged_pieces_equal_the_whole(cuts: set[int]) -> None:
    error = np.random.default_rng(1).normal(0.0, 0.1, (100, 2))
    edges = [0, *sorted(cuts), 100]
    pieces = [
        replace(
            GOOD,
            layer=i,
            points=stop - start,
            square_error=float(np.sum(error[start:stop] ** 2)),
            max_error=float(np.linalg.norm(error[start:stop], axis=1).max()),
        )
        for i, (start, stop) in enumerate(pairwise(edges))
    ]
    report = judge(reversed(pieces), LIMITS, 200.0, 1.0)
    length = np.linalg.norm(error, axis=1)
    assert report["points"] == 100
    assert report["rms_error_um"] == pytest.approx(1000 * np.sqrt(np.mean(length**2)), rel=1e-9)
    assert report["max_error_um"] == pytest.approx(1000 * length.max(), rel=1e-12)


def test_report_holds_what_readers_expect() -> None:
    report = judge([GOOD, replace(GOOD, layer=2, variant="a2_v1")], LIMITS, 200.0, 2.5)
    wanted = {"layers", "points", "rms_error_um", "max_error_um", "t_interface_c"}
    assert wanted | {"adhesion_ratio", "checks", "seconds"} <= report.keys()
    assert report["layers"] == 2
    assert report["t_interface_c"] == {"min": 50.0, "max": 60.0}
    assert report["rms_error_um"] == pytest.approx(140.0)
    assert all(check["passed"] for check in report["checks"].values())
    assert json.loads(json.dumps(report)) == report
    require_passed(report)


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({"square_error": 100 * 0.2**2}, "rms_error_um"),
        ({"interface": (44.9, 60.0)}, "t_interface_c"),
        ({"interface": (50.0, 85.1)}, "t_interface_c"),
        ({"adhesion": (0.8, 0.91)}, "adhesion_ratio"),
        ({"adhesion": None}, "adhesion_ratio"),
    ],
)
def test_each_check_fails_alone(change: dict, failing: str) -> None:
    report = judge([replace(GOOD, **change)], LIMITS, 200.0, 1.0)
    assert [key for key, check in report["checks"].items() if not check["passed"]] == [failing]
    with pytest.raises(DataError, match=failing):
        require_passed(report)


def test_only_nominal_variants_are_judged_by_their_error() -> None:
    wild = replace(GOOD, kind="perturbed", variant="p", square_error=100 * 0.5**2)
    report = judge([GOOD, wild], LIMITS, 200.0, 1.0)
    assert report["rms_error_um"] == pytest.approx(140.0)
    assert report["by_kind"]["perturbed"]["rms_error_um"] == pytest.approx(500.0)


def test_an_empty_collection_is_refused() -> None:
    with pytest.raises(DataError, match="nothing was collected"):
        judge([], LIMITS, 200.0, 1.0)


def test_limits_must_rise() -> None:
    with pytest.raises(ConfigError, match=r"quality.adhesion_ratio: got \[0.9, 0.7\]"):
        QualityLimits((1, 2), (1, 2), (0.9, 0.7))


def test_metrics_of_earlier_layers_are_kept_while_their_files_are(tmp_path: Path) -> None:
    for layer in (1, 2):
        layer_path(tmp_path, layer, "a1_v1").touch()
    save_metrics(tmp_path, [GOOD])
    second = replace(GOOD, layer=2, adhesion=None)
    save_metrics(tmp_path, [second])
    assert load_metrics(tmp_path) == [GOOD, second]
    layer_path(tmp_path, 1, "a1_v1").unlink()
    assert load_metrics(tmp_path) == [second]


def test_foreign_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "quality.json").write_text('{"layers": [{"part": 1}]}')
    with pytest.raises(DataError, match=r"quality\.json: not a quality report"):
        load_metrics(tmp_path)


def test_the_judged_error_is_of_the_print_as_sliced() -> None:
    faster = replace(GOOD, variant="a4_v1.5_placed", square_error=100 * 0.3**2)
    hasty = replace(GOOD, variant="a1_v1.5", square_error=100 * 0.3**2)
    changed = replace(GOOD, variant="a1_v1_perturbed", kind="perturbed", square_error=100.0)
    placed = replace(GOOD, variant="a1_v1_placed")
    report = judge([GOOD, placed, faster, hasty, changed], LIMITS, 200.0, 1.0)
    assert report["rms_error_um"] == pytest.approx(140.0)
    pooled = np.sqrt((2 * 0.14**2 + 2 * 0.3**2) / 4)
    assert report["pooled_rms_error_um"] == pytest.approx(1000 * pooled)
    assert report["checks"]["rms_error_um"]["passed"]
    report = judge([faster, changed], LIMITS, 200.0, 1.0)
    assert report["rms_error_um"] == report["pooled_rms_error_um"] == pytest.approx(300.0)
    assert not report["passed"]
