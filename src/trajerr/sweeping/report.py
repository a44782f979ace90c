"""What became of each run of a multirun: ``outcome.json`` in its folder, ``sweep.csv`` over all.

Runs may be in other processes or on other machines; they tell by files only. The table is
written anew after each run, so that it can be read while a sweep is under way and is there
when it was killed.
"""

import csv
import io
import json
import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from trajerr.errors import TrajerrError
from trajerr.files import write_atomically

OUTCOME = "outcome.json"
TABLE = "sweep.csv"
DONE, FAILED = "done", "failed"
WIDTH = 160  # characters of the table where it does not go to a terminal
SHOWN_METRICS = 5  # columns of the console's table; the file has them all

STORED = {"metrics": "figures"}  # keys of the outcome's file that have another name there

log = logging.getLogger("trajerr")


class SweepError(TrajerrError):
    """Some runs of a sweep failed; the others are done."""


class PastHydra(BaseException):
    """Carries its cause past Hydra, which would end on an error or print a line of its own."""


@dataclass(frozen=True)
class FailedRun:
    """What a run returns that could not be finished; as a number it is not one."""

    reason: str

    def __float__(self) -> float:
        return math.nan


@dataclass(frozen=True)
class RunOutcome:
    """What became of one run."""

    run: str  # its folder within the sweep's
    sweep: str  # which call of the command it belongs to
    status: str  # done | failed
    seconds: float
    overrides: Mapping[str, str]
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""  # of a failure


class SweepReport(Callback):
    """Hydra's callback that keeps the table of a multirun and shows it at the end.

    Parameters
    ----------
    metrics
        Name of the JSON file in a run's folder whose ``metrics``, and numbers beside them,
        belong into the table; None where only what the run returned does.
    shown
        Those of them that the console shows; None for the first few.
    figures
        The former name of ``metrics``; where it is given it is taken, with a warning.

    Notes
    -----
    At the end of a multirun with failed runs it raises :class:`SweepError`, past Hydra, so
    that the command's exit code says so.
    """

    def __init__(
        self,
        metrics: str | None = None,
        shown: Sequence[str] | None = None,
        *,
        figures: str | None = None,
    ) -> None:
        if figures is not None:
            log.warning("hydra.callbacks.sweep.figures is called metrics now; rename the key")
        self._metrics = metrics if figures is None else figures
        self._shown = None if shown is None else tuple(shown)
        self._sweep = uuid.uuid4().hex
        self._began = time.monotonic()

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ANN401 - Hydra's
        """Start the run's clock."""
        self._began = time.monotonic()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:  # noqa: ANN401
        """Note what became of a run, and bring the table up to date."""
        if str(config.hydra.mode).rpartition(".")[2] != "MULTIRUN":
            return
        folder = Path(config.hydra.runtime.output_dir)
        whole = Path(config.hydra.sweep.dir)
        failure = _failure(job_return)
        outcome = RunOutcome(
            run=str(folder.relative_to(whole.absolute())),
            sweep=self._sweep,
            status=DONE if failure is None else FAILED,
            seconds=round(time.monotonic() - self._began, 1),
            overrides=dict(o.lstrip("+").split("=", 1) for o in config.hydra.overrides.task),
            metrics={} if failure else _run_metrics(folder, self._metrics, job_return),
            reason=failure or "",
        )
        write_atomically(folder / OUTCOME, _as_json(outcome).encode())
        write_table(whole)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ANN401 - Hydra's
        """Show the table; raise if a run of this call failed."""
        whole = Path(config.hydra.sweep.dir)
        outcomes = [outcome for outcome in write_table(whole) if outcome.sweep == self._sweep]
        if not outcomes:
            return
        console = Console()
        show(outcomes, console if console.is_terminal else Console(width=WIDTH), self._shown)
        failed = [outcome for outcome in outcomes if outcome.status == FAILED]
        if failed:
            reason = f"first {failed[0].run}: {failed[0].reason}"
            message = f"{len(failed)} of {len(outcomes)} runs failed, see {whole / TABLE}; {reason}"
            raise PastHydra from SweepError(message)


def _failure(job_return: JobReturn) -> str | None:
    if job_return.status is JobStatus.FAILED:
        return str(job_return._return_value)  # the property would raise it
    returned = job_return.return_value
    return returned.reason if isinstance(returned, FailedRun) else None


def _run_metrics(folder: Path, name: str | None, job_return: JobReturn) -> dict[str, float]:
    """Return a run's numbers, or what it returned where it wrote none."""
    if name is None or not (folder / name).is_file():
        value = job_return.return_value
        return {"returned": float(value)} if isinstance(value, int | float) else {}
    content = json.loads((folder / name).read_text(encoding="utf-8"))
    beside = {k: v for k, v in content.items() if isinstance(v, int | float) and k != "seconds"}
    return {**content.get("metrics", {}), **beside}


def read_outcomes(whole: Path) -> list[RunOutcome]:
    """Read what became of a sweep's runs, in the order of their folders' names."""
    found = [_from_json(path.read_text(encoding="utf-8")) for path in whole.glob(f"**/{OUTCOME}")]
    return sorted(found, key=lambda outcome: (len(outcome.run), outcome.run))


def _as_json(outcome: RunOutcome) -> str:
    stored = {STORED.get(key, key): value for key, value in vars(outcome).items()}
    return json.dumps(stored, indent=1)


def _from_json(text: str) -> RunOutcome:
    stored = json.loads(text)
    named = {key: stored.pop(name) for key, name in STORED.items()}
    return RunOutcome(**stored, **named)


def write_table(whole: Path) -> list[RunOutcome]:
    """Write ``sweep.csv`` of all runs under a folder and return what it was made of."""
    outcomes = read_outcomes(whole)
    keys = _keys([outcome.overrides for outcome in outcomes])
    names = _keys([outcome.metrics for outcome in outcomes])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "status", *keys, *names, "seconds", "reason"])
    for o in outcomes:
        overrides = [o.overrides.get(key, "") for key in keys]
        metrics = [o.metrics.get(name, "") for name in names]
        writer.writerow([o.run, o.status, *overrides, *metrics, o.seconds, o.reason])
    write_atomically(whole / TABLE, text.getvalue().encode(), flush=False)
    return outcomes


def _keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def show(
    outcomes: Sequence[RunOutcome], console: Console, shown: Sequence[str] | None = None
) -> None:
    """Print the overrides that differ among runs, with each run's main metrics."""
    varied = [
        key
        for key in _keys([outcome.overrides for outcome in outcomes])
        if len({outcome.overrides.get(key) for outcome in outcomes}) > 1
    ]
    known = _keys([outcome.metrics for outcome in outcomes])
    names = known[:SHOWN_METRICS] if shown is None else [name for name in shown if name in known]
    ending = ["failed because"] if any(o.status == FAILED for o in outcomes) else []
    heads = ["run", *_short(varied), *names, "s", *ending]
    table = Table(*heads, box=None, header_style="bold", pad_edge=False)
    for o in outcomes:
        overrides = [_rounded(o.overrides.get(key, "")) for key in varied]
        metrics = [_rounded(str(o.metrics.get(name, ""))) for name in names]
        table.add_row(o.run, *overrides, *metrics, f"{o.seconds:.1f}", *([o.reason] * len(ending)))
    console.print(table)


def _short(keys: Sequence[str]) -> list[str]:
    """Return the last words of dotted keys, where they tell them apart."""
    words = [key.rpartition(".")[2] for key in keys]
    return [w if words.count(w) == 1 else key for key, w in zip(keys, words, strict=True)]


def _rounded(text: str) -> str:
    """Return a number's text with four digits, any other as it is."""
    try:
        return text if text.lstrip("-").isdigit() else f"{float(text):.4g}"
    except ValueError:
        return text


def plain_config(folder: Path) -> dict[str, Any]:
    """Return the task's config of a run, unresolved, as plain containers."""
    loaded = OmegaConf.load(folder / ".hydra" / "config.yaml")
    config: dict[str, Any] = cast(dict[str, Any], OmegaConf.to_container(loaded))
    return config
