"""The merged quality report of a collection that many runs made, one a G-code file or so."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from trajerr.dataset.quality import REPORT, QualityLimits, collected_metrics, judge
from trajerr.dynamics.error_sources import as_report, average, from_report
from trajerr.reports.collection_report import BY_PART, show, write_report
from trajerr.shipped import fields_of
from trajerr.sweeping.report import OUTCOME, plain_config


class MergedQuality(Callback):
    """Hydra's callback that judges, after a multirun, what all its runs collected together."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ANN401 - Hydra's
        """Write and show one report for each folder that runs collected into."""
        whole = Path(config.hydra.sweep.dir)
        runs = sorted(path.parent for path in whole.glob(f"**/{OUTCOME}"))
        for out, members in _by_out([run for run in runs if (run / REPORT).is_file()]).items():
            report = merge(out, members, time.monotonic() - self._began)
            write_report(out, report)
            show(report)


def _by_out(runs: list[Path]) -> dict[Path, list[Path]]:
    outs = {run: Path(plain_config(run)["out"]) for run in runs}
    return {out: [run for run in runs if outs[run] == out] for out in dict.fromkeys(outs.values())}


def merge(out: Path, runs: list[Path], seconds: float) -> dict[str, Any]:
    """Return the report of everything in a folder, with what runs know of the error's sources.

    Parameters
    ----------
    out
        Folder of a collection.
    runs
        Folders of the runs that made it; the last one's limits and sample rate hold.
    seconds
        That it took.
    """
    settings = plain_config(runs[-1])
    splits: dict[str, Mapping[str, Any]] = {}
    for run in runs:
        splits |= json.loads((run / REPORT).read_text(encoding="utf-8"))[BY_PART]
    limits = QualityLimits(**fields_of(QualityLimits, settings["quality"]))
    report = judge(collected_metrics(out), limits, settings["sample_rate_hz"], seconds)
    sources = as_report(average([from_report(splits[part]) for part in sorted(splits)]))
    return {**report, "sources": sources, BY_PART: {k: splits[k] for k in sorted(splits)}}
