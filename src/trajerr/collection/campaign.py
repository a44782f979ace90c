"""Collecting: print layers on the simulated machine and write them as ``.mat`` files.

plan → sample finely → change the command where a variant asks → simulate → decimate →
temperatures → :class:`LayerRecord`. Each file depends on its own settings alone: seeds are
drawn from (seed, source, layer, variant), so neither order nor processes matter.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trajerr.checks import require, require_count
from trajerr.collection.placement import IN_PLACE, Placement, draw, place
from trajerr.collection.process_pool import ProcessPool, stopped
from trajerr.collection.variants import Variant, command
from trajerr.dataset.matlab import read_layer, write_layer
from trajerr.dataset.quality import LayerMetrics, layer_path, measure, save_metrics
from trajerr.dataset.record import LayerRecord
from trajerr.dataset.repair import PLANNED_SPEED
from trajerr.dynamics.error_sources import ErrorSources, split_error
from trajerr.dynamics.layer import lookahead, simulate_layer, simulation_rate
from trajerr.dynamics.plant import SIMULATION_RATE_HZ
from trajerr.dynamics.printer import Printer
from trajerr.dynamics.thermal import temperatures
from trajerr.errors import DataError
from trajerr.files import clear_leftovers
from trajerr.gcode.program import MoveKind, Program
from trajerr.gcode.sources import LayerSpec, Source, select_layers
from trajerr.motion.bed import bed_notes, check_inside
from trajerr.motion.lead_in import LEAD_IN_S, LayerMotion
from trajerr.motion.planner import Plan, plan
from trajerr.motion.rests import LONGEST_REST_S, busy_span, without_long_rests
from trajerr.motion.sampling import sample
from trajerr.version import __version__

GRAIN_MM = 2.0**-20  # about 1 nm; positions rounded to it compress to two thirds
LAYERS_A_TASK = 2
NOZZLE_TIMES = 8.0  # time constants of the heater after which a rest tells nothing more
LEFT_OUT = "rest_left_out_s"  # of a layer's long rests, not in its samples
LEAST_LEFT_OUT_S = 1e-6  # less is rounding
SPLIT_S = 20.0  # of a layer's motion, enough to split its error by source


@dataclass(frozen=True)
class Collection:
    """What to collect and how; plain values that travel to other processes.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    printer: Printer
    variants: tuple[Variant, ...]
    layers: LayerSpec
    sample_rate_hz: float
    seed: int
    out: Path

    def __post_init__(self) -> None:
        rate = self.sample_rate_hz
        holds = 10.0 <= rate <= SIMULATION_RATE_HZ
        require("sample_rate_hz", rate, holds, f"10 to {SIMULATION_RATE_HZ:g}")
        require_count("seed", self.seed, at_least=0)

    @property
    def simulation_rate(self) -> float:
        """Hz, the least multiple of the sample rate that the plant may be simulated at."""
        return simulation_rate(self.sample_rate_hz)

    def folder(self, part: str) -> Path:
        """Return where a part's layers go."""
        return self.out / f"data_simulation_{part}"


@dataclass(frozen=True)
class Task:
    """Some layers of one source, in all variants that take them."""

    source: Source
    layers: tuple[tuple[int, int], ...]  # (place in the selection, layer)
    files: int  # how many that makes
    notes: tuple[str, ...] = ()  # what is worth telling of the source, a line each


def collect(
    collection: Collection,
    sources: Sequence[Source],
    pool: ProcessPool,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> list[LayerMetrics]:
    """Collect all sources and return the metrics of every layer and variant.

    Files that are there are checked and kept, so that an interrupted collection resumes.

    Parameters
    ----------
    collection
        What and how.
    sources
        Of G-code.
    pool
        Processes that do it.
    on_progress
        Told how many files are done, of how many.
    on_note
        Told what is worth telling of the sources, a line each.

    Raises
    ------
    TrajerrError
        If a source is unusable or a file that is there was made with other settings.
    OSError
        If the disk is full or the folder cannot be written.
    """
    # With many sources each is read by one process only; few are shared out layer by layer.
    grain = LAYERS_A_TASK if len(sources) < 4 * pool.workers else None
    surveys = list(pool.map(functools.partial(survey, collection), sources))
    for note in sorted(note for task in surveys for note in task.notes):
        on_note(note)
    tasks = [piece for task in surveys for piece in _pieces(collection, task, grain)]
    tasks.sort(key=lambda task: (task.source.name, task.layers))
    total = sum(task.files for task in tasks)
    on_progress(0, total)
    done: list[LayerMetrics] = []
    for metrics in pool.map(functools.partial(run, collection), tasks):
        done += metrics
        on_progress(len(done), total)
    for name in {source.name for source in sources}:
        save_metrics(collection.folder(name), (row for row in done if row.part == name))
    return done


def split_errors(
    collection: Collection, sources: Sequence[Source], pool: ProcessPool
) -> dict[str, tuple[int, ErrorSources]]:
    """Split the error of each source's middle layer in the first variant by effect.

    Returns
    -------
    dict
        Source name → number of the layer, RMS by effect.
    """
    return dict(sorted(pool.map(functools.partial(_split, collection), sources)))


def _split(collection: Collection, source: Source) -> tuple[str, tuple[int, ErrorSources]]:
    variant = collection.variants[0]
    layers = [layer for i, layer in survey(collection, source).layers if variant.takes(i)]
    layer = layers[len(layers) // 2]
    planned = without_long_rests(_plan(collection, source, variant))
    begin, end = busy_span(planned, layer)
    commanded = sample(planned, SIMULATION_RATE_HZ, begin, min(end, begin + SPLIT_S))
    split = split_error(collection.printer, commanded, seed=collection.seed)
    return source.name, (layer, split)


def survey(collection: Collection, source: Source) -> Task:
    """Return all of a source's work.

    Raises
    ------
    TrajerrError
        If the G-code, its layers or its place on the bed are not usable.
    """
    program = _program(collection, source)
    clear_leftovers(collection.folder(source.name))
    moves = program.moves
    printing = np.unique(moves.layer[moves.is_extruding & (moves.layer > 0)])
    chosen = tuple(enumerate(select_layers(collection.layers, printing, source.name)))
    bed = collection.printer.bed(program)
    check_inside(program, bed, layers=[layer for _, layer in chosen])
    return replace(
        _task(collection, source, chosen), notes=(*program.notes, *bed_notes(program, bed))
    )


def _task(collection: Collection, source: Source, chosen: tuple[tuple[int, int], ...]) -> Task:
    files = sum(variant.takes(index) for index, _ in chosen for variant in collection.variants)
    return Task(source, chosen, files)


def _pieces(collection: Collection, task: Task, grain: int | None) -> list[Task]:
    size = grain or max(1, len(task.layers))
    starts = range(0, len(task.layers), size)
    return [_task(collection, task.source, task.layers[start : start + size]) for start in starts]


def run(collection: Collection, task: Task) -> list[LayerMetrics]:
    """Collect a task's layers and return the metrics of each; files that are there are kept.

    Raises
    ------
    DataError
        If a file that is there was made with other settings, or is not ours.
    OSError
        If the disk is full or the folder cannot be written.
    """
    metrics = []
    for variant in sorted(collection.variants, key=lambda variant: variant.scales):
        for index, layer in task.layers:
            if variant.takes(index) and not stopped():
                metrics.append(_collect_layer(collection, task.source, layer, variant))
    return metrics


def _collect_layer(
    collection: Collection, source: Source, layer: int, variant: Variant
) -> LayerMetrics:
    program = _program(collection, source)
    path = layer_path(collection.folder(source.name), layer, variant.name)
    placement = _placement(collection, source, variant)
    params = _params(collection, program, variant) | placement.params()
    if path.is_file():
        return measure(_checked(path, params))
    planned = _plan(collection, source, variant)
    record = record_layer(collection, planned, source.name, layer, variant, params)
    write_layer(path, record)
    return measure(record)


def _program(collection: Collection, source: Source) -> Program:
    return _read(source, source.stamp(), collection.printer.limits.firmware)


@functools.lru_cache(maxsize=1)
def _read(source: Source, stamp: tuple[int, int], firmware: str) -> Program:
    return source.read(firmware)


def _placement(collection: Collection, source: Source, variant: Variant) -> Placement:
    """Return where a source's part stands in a variant."""
    if not variant.placed:
        return IN_PLACE
    return _drawn(source, source.stamp(), collection.printer, collection.seed, variant.name)


@functools.lru_cache(maxsize=64)
def _drawn(
    source: Source, stamp: tuple[int, int], printer: Printer, seed: int, name: str
) -> Placement:
    program = printer.placed(_read(source, stamp, printer.limits.firmware))
    return draw(program, printer.bed_mm, seed_of(seed, program.sha256, name))


def _plan(collection: Collection, source: Source, variant: Variant) -> Plan:
    """Return a source's plan in a variant."""
    placement = _placement(collection, source, variant)
    return _planned(source, source.stamp(), collection.printer, variant.scales, placement)


@functools.lru_cache(maxsize=8)  # those in a common choice of variants
def _planned(
    source: Source,
    stamp: tuple[int, int],
    printer: Printer,
    scales: tuple[float, float],
    placement: Placement,
) -> Plan:
    acceleration, speed = scales
    program = printer.placed(_read(source, stamp, printer.limits.firmware))
    if placement != IN_PLACE:
        program = place(program, placement)
    return plan(program, printer.limits, acceleration_scale=acceleration, speed_scale=speed)


def record_layer(
    collection: Collection,
    planned: Plan,
    part: str,
    layer: int,
    variant: Variant,
    params: dict[str, str | float],
) -> LayerRecord:
    """Print one layer in one variant and return it at the data rate.

    Simulation begins a lead-in before the layer, so that the layer starts in the state that the
    print so far leaves behind; the record keeps it as context. Of a rest so long that nozzle and
    carriage settle, no more is sampled than that takes; the layer's temperatures know it all.
    """
    thermal = collection.printer.thermal
    longest = max(LONGEST_REST_S, NOZZLE_TIMES * thermal.nozzle_time_s)
    motion, rate = LayerMotion.of(planned, layer, longest), collection.simulation_rate
    seed = seed_of(collection.seed, params["source_sha256"], layer, variant.name)
    beyond = lookahead(collection.printer)
    commanded, added = command(
        variant, collection.printer, lambda: motion.pieces(rate, beyond), seed
    )
    simulated = simulate_layer(
        collection.printer, motion, collection.sample_rate_hz, seed=seed, commanded=commanded
    )
    coarse, context = simulated.commanded, simulated.context
    whole_begin, whole_end = planned.layer_span(layer)
    left_out = (whole_end - whole_begin) - (motion.end - motion.begin)
    own = coarse.rows(slice(context, None))
    heat, adhesion = temperatures(thermal, own, whole_end - whole_begin, left_out)
    added |= _raised_speed(collection, motion.planned, motion.start, motion.end)
    added |= {LEFT_OUT: left_out} if left_out > LEAST_LEFT_OUT_S else {}
    return LayerRecord(
        part=part,
        layer=layer,
        variant=variant.name,
        sample_rate=collection.sample_rate_hz,
        time=coarse.time,
        commanded=_rounded(coarse.position),
        actual=_rounded(simulated.actual),
        extruding=coarse.kind == MoveKind.PRINT,
        travel=coarse.kind == MoveKind.TRAVEL,
        feature=coarse.feature,
        # Temperatures are those of a layer: its lead-in, which nothing counts, has its first.
        temperatures=np.pad(heat, ((context, 0), (0, 0)), mode="edge"),
        adhesion=np.pad(adhesion, (context, 0), mode="edge"),
        params=params | added,
        context=context,
    )


def _raised_speed(
    collection: Collection, planned: Plan, begin: float, end: float
) -> dict[str, float]:
    """Return the highest speed planned within a time, where the G-code raised the limits to it."""
    ends = planned.start_time + planned.duration
    within = (ends > begin) & (planned.start_time < end)
    moves_head = planned.segments.direction[:, :3].any(axis=1)
    highest = float(np.max(planned.cruise[within & moves_head], initial=0.0))
    own = collection.printer.limits.highest_speed
    return {PLANNED_SPEED: highest} if highest > own else {}


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(values / GRAIN_MM) * GRAIN_MM)


def seed_of(seed: int, *names: object) -> int:
    """Return a seed that depends on a run's seed and on what it is for, on nothing else."""
    text = "|".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _params(collection: Collection, program: Program, variant: Variant) -> dict[str, str | float]:
    return {
        "kind": variant.kind,
        "acceleration_scale": float(variant.acceleration_scale),
        "speed_scale": float(variant.speed_scale),
        "seed": float(collection.seed),
        "sample_rate_hz": float(collection.sample_rate_hz),
        "simulation_rate_hz": collection.simulation_rate,
        "lead_in_s": LEAD_IN_S,
        "printer_name": collection.printer.name,
        "printer": json.dumps(collection.printer.to_dict(), sort_keys=True),
        "source": program.name,
        "source_sha256": program.sha256,
        "generator": program.generator,
        "trajerr_version": __version__,
        "numpy_version": np.__version__,
    }


_MAY_DIFFER = {"trajerr_version", "numpy_version", "generator", "source"}


def _checked(path: Path, params: dict[str, str | float]) -> LayerRecord:
    """Read a layer collected before and make sure that it is what would be collected now."""
    record = read_layer(path)
    for key, wanted in params.items():
        found: Any = record.params.get(key)
        if key not in _MAY_DIFFER and found != wanted:
            raise DataError(
                f"{path}: was collected with {key} {_short(found)}, now it is {_short(wanted)}; "
                f"clear {path.parent} or choose another out"
            )
    return record


def _short(value: Any) -> str:  # noqa: ANN401 - whatever the file holds
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
