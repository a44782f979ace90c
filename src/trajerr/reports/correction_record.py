"""The numbers of a correction's proof: what ``correction.json`` holds. Draws nothing."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from trajerr.correction.board_load import board_load
from trajerr.correction.compensate import Correction
from trajerr.correction.pressure_advance import peak_filament_acceleration, stated_advance
from trajerr.correction.run import Prepared
from trajerr.files import write_atomically
from trajerr.metrics.closed_loop import UNCORRECTED, Replay
from trajerr.refining.settings import Round
from trajerr.reports.correction_page import PAGE, correction_page
from trajerr.version import __version__

REPORT = "correction.json"
UM = 1000.0  # µm per mm

Draw = Callable[[Replay, Mapping[str, Any]], None]


def write_record(
    prepared: Prepared,
    done: Correction,
    rounds: Sequence[Round],
    config: Mapping[str, Any],
    draw: Draw | None = None,
) -> dict[str, Any]:
    """Replay a correction, write its numbers and its page, and return the numbers.

    Parameters
    ----------
    prepared, done
        What was corrected, and how it came out.
    rounds
        Of refinement before; empty where there were none.
    config
        The resolved config, for the record.
    draw
        Writes what else is wanted of a replay and its numbers.
    """
    began, run = time.perf_counter(), prepared.run
    replay = prepared.replay(done)
    record = correction_record(replay, run.method, done, rounds, config)
    if run.report_page:
        text = correction_page(prepared, done, replay, record)
        write_atomically(run.report_folder / PAGE, text.encode())
    if draw is not None:
        draw(replay, record)
    record["report_seconds"] = time.perf_counter() - began
    write_atomically(run.report_folder / REPORT, json.dumps(record, indent=2).encode())
    return record


def correction_record(
    replay: Replay,
    method: str,
    done: Correction,
    rounds: Sequence[Round],
    config: Mapping[str, Any],
) -> dict[str, Any]:
    """Replay, and return the numbers.

    Parameters
    ----------
    replay
        The nominal program, the corrected one, and others to compare with.
    method
        Which of them was written.
    done
        What was predicted for it.
    rounds
        Of refinement before; empty where there were none.
    config
        The resolved config.
    """
    predicted = {
        "before": UM * root_mean_square(done.predicted_before_mm),
        "after": UM * root_mean_square(done.predicted_after_mm),
    }
    plans = {"before": replay.plans[UNCORRECTED], "after": replay.plans[method]}
    return {
        "schema_version": 1,
        "cases": replay.cases(),
        **replay.costs(method),
        "board_load": {when: asdict(board_load(planned)) for when, planned in plans.items()},
        "pressure_advance_s": stated_advance(replay.nominal),
        "peak_filament_acceleration_mm_s2": {
            when: peak_filament_acceleration(planned) for when, planned in plans.items()
        },
        "rate_hz": done.rate_hz,
        "seconds": done.seconds,
        "seconds_per_layer": done.seconds / len(done.layers),
        "method": method,
        "layers_corrected": len(done.layers),
        "layers_compared": list(replay.layers),
        "predicted_um": predicted,
        "belief_um": predicted,  # the former name, for what reads it; gone in the next version
        "largest_correction_mm": done.largest_mm,
        "refinement": [_round_record(r) for r in rounds],
        "source": {"name": replay.nominal.name, "sha256": replay.nominal.sha256},
        "printer": replay.printer.name,
        "shaper": replay.printer.to_dict()["shaper"],  # of its firmware; designed ones are rows
        "version": __version__,
        "config": dict(config),
    }


def _round_record(refined: Round) -> dict[str, Any]:
    """Return a round of refinement for the record, its predicted error by the former name, too."""
    return {**asdict(refined), "believed_um": refined.predicted_um}


def root_mean_square(values: Sequence[float]) -> float:
    """Return √mean(v²)."""
    return float(np.sqrt(np.mean(np.square(values))))
