"""From layer files or logs to a prepared folder: read, repair, split, store.

Knows the whole way. A prepared folder is written beside its place and appears at once.
"""

import getpass
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from trajerr.checks import as_names, require_count, require_one_of, require_positive
from trajerr.dataset.cards import describe
from trajerr.dataset.identity import request_hash, split_hash
from trajerr.dataset.inputs import Input, Log, find_inputs, sensor_inputs
from trajerr.dataset.repair import FaultSettings
from trajerr.dataset.scale import measure_error_rms, measure_scale
from trajerr.dataset.sensor_logs import SensorLog
from trajerr.dataset.splits import (
    Group,
    SplitSettings,
    assign_splits,
    canonical_sources,
    require_filled,
)
from trajerr.dataset.staging import Staged, stage_input
from trajerr.dataset.stats import FILE, SPLITS, Source, SplitSummary, Stats, read_stats
from trajerr.dataset.store import WINDOW, load_sequence, save_tensors
from trajerr.dataset.torch_dataset import make_window, own_storage
from trajerr.dataset.windows import count_windows
from trajerr.errors import DataError
from trajerr.motion.features import HISTORY
from trajerr.shipped import fields_of, shipped

SAME_RATE = 1e-4  # relative; rates measured from rounded time columns differ by less
LAYOUTS = ("sequences", "windows")
Progress = Callable[[str, int, int], None]  # stage, done, of how many


@dataclass(frozen=True)
class PrepareSettings:
    """What ``prepare`` is asked to do.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    data_dirs: tuple[str, ...]
    sequence_length: int  # samples
    stride: int  # samples
    layout: str
    sample_rate_hz: float | None  # resample to it; else all files must agree
    split: SplitSettings
    faults: FaultSettings
    log: Log | None = None  # None: layer files

    def __post_init__(self) -> None:
        require_one_of("layout", self.layout, LAYOUTS)
        object.__setattr__(self, "data_dirs", as_names(self.data_dirs))
        require_count("sequence_length", self.sequence_length)
        require_count("stride", self.stride)
        require_positive("sample_rate_hz", self.sample_rate_hz, or_null=True)

    @property
    def rate_hz(self) -> float | None:
        """Hz, of all that is prepared; None: that of the files."""
        own = self.log.sample_rate_hz if isinstance(self.log, SensorLog) else None
        return self.sample_rate_hz or own

    @classmethod
    def shipped(cls, **changes: Any) -> Self:  # noqa: ANN401 - of any field
        """Return what ``conf/prepare.yaml`` says, with changes."""
        parts = {"split": SplitSettings.shipped(), "faults": FaultSettings.shipped()}
        return cls(**{**fields_of(cls, shipped("prepare")), **parts, **changes})


def prepare(settings: PrepareSettings, output_dir: Path, progress: Progress | None = None) -> Stats:
    """Prepare training data; an interrupted run goes on where it stopped.

    Parameters
    ----------
    settings
        What to read and how to split it.
    output_dir
        The prepared folder; one that exists is replaced when the new one is whole, and
        left as it is when it already holds what is asked for.
    progress
        Called with stage, done and total.

    Raises
    ------
    DataError, ConfigError
        ``data_dirs`` is empty, a file cannot be used, the sample rates differ, a split would be
        empty, or ``output_dir`` holds something else than prepared data.
    """
    report = progress or _ignore
    inputs = sensor_inputs(settings.log) or find_inputs(settings.data_dirs)
    with _alone_in(output_dir, report):
        return _prepare(settings, inputs, output_dir, report)


@contextmanager
def _alone_in(output_dir: Path, report: Progress) -> Iterator[None]:
    """Wait until no other run prepares the same folder.

    The lock is a file among the temporary ones, not beside the folder, where it would stay.
    """
    place = hashlib.sha256(str(output_dir.resolve()).encode()).hexdigest()[:20]
    locks = Path(tempfile.gettempdir()) / f"trajerr-{getpass.getuser()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    lock = FileLock(locks / f"{place}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report("wait for another run", 0, 1)
        lock.acquire()
        report("wait for another run", 1, 1)
    try:
        yield
    finally:
        lock.release()


def _prepare(
    settings: PrepareSettings, inputs: list[Input], output_dir: Path, report: Progress
) -> Stats:
    request = request_hash(_plain(settings), inputs)
    work = output_dir.with_name(f".{output_dir.name}.partial")
    _restore(output_dir)
    _require_replaceable(output_dir)
    if (output_dir / FILE).is_file():
        with_same = _existing(output_dir, request)
        if with_same is not None:
            shutil.rmtree(work, ignore_errors=True)  # of a run killed while it cleared up
            return with_same
    staged = _stage(inputs, settings, work / "staged", report)
    assigned = _assign(staged, settings)
    stats = _summarise(staged, assigned, settings, request)
    built = work / f"built-{request[:16]}"
    _build(staged, assigned, stats, built, report)
    describe(built, stats)
    _replace(output_dir, built)
    shutil.rmtree(work)
    return stats


def _stage(
    inputs: list[Input], settings: PrepareSettings, folder: Path, report: Progress
) -> list[Staged]:
    """Read and repair every file; sorted so that no order of files can matter."""
    staged: list[Staged] = []
    for done, source in enumerate(inputs):
        report("read", done, len(inputs))
        staged += stage_input(
            source,
            folder,
            log=settings.log,
            faults=settings.faults,
            sample_rate=settings.rate_hz,
            min_samples=settings.sequence_length + HISTORY,
        )
    report("read", len(inputs), len(inputs))
    _require_one_rate(staged)
    if not any(record.pieces for record in staged):
        short = sum(record.faults.get("short", 0) for record in staged)
        raise DataError(
            f"no layer is long enough: {short} pieces are shorter than sequence_length "
            f"{settings.sequence_length} and the {HISTORY} samples before it"
        )
    return sorted(staged, key=lambda s: s.key)


def _require_one_rate(staged: list[Staged]) -> None:
    ordered = sorted(staged, key=lambda record: record.sample_rate)
    slowest, fastest = ordered[0], ordered[-1]
    if fastest.sample_rate - slowest.sample_rate > SAME_RATE * fastest.sample_rate:
        raise DataError(
            f"sample rates differ: {slowest.file} has {slowest.sample_rate:g} Hz, {fastest.file} "
            f"has {fastest.sample_rate:g} Hz; sample_rate_hz=NUMBER resamples all to it"
        )


def _assign(staged: list[Staged], settings: PrepareSettings) -> dict[str, str]:
    """Return the split of each staged record by its key."""
    if settings.split.by == "section":
        assigned = {record.key: record.section_split for record in staged}
        homeless = [record.file for record in staged if not record.section_split]
        if homeless:
            raise DataError(
                f"{homeless[0]}: split.by=section needs a split for every section of the log"
            )
    else:
        sources = canonical_sources((s.part, s.source_sha256) for s in staged)
        groups = {s.key: Group(sources[s.part], s.layer) for s in staged}
        named = replace(
            settings.split,
            val_parts=tuple(sources.get(p, p) for p in settings.split.val_parts),
            test_parts=tuple(sources.get(p, p) for p in settings.split.test_parts),
        )
        by_group = assign_splits([groups[s.key] for s in staged if s.pieces], named)
        assigned = {key: by_group[group] for key, group in groups.items() if group in by_group}
    counts: Counter[str] = Counter()
    for record in staged:
        if record.key in assigned:
            counts[assigned[record.key]] += _windows(record, settings)
    require_filled(counts, settings.split)
    return assigned


def _windows(record: Staged, settings: PrepareSettings) -> int:
    return sum(count_windows(n, settings.sequence_length, settings.stride) for n in record.points)


def _summarise(
    staged: list[Staged], assigned: Mapping[str, str], settings: PrepareSettings, request: str
) -> Stats:
    used = [record for record in staged if record.pieces]
    kept = [p for s in used if assigned[s.key] == "train" for p in s.pieces]
    train = [load_sequence(piece).trimmed() for piece in kept]
    thermal = all(record.has_temperatures for record in used)
    feature_mean, feature_std = measure_scale([s.features for s in train])
    target_mean, target_std = measure_scale([s.targets for s in train])
    warm = [s.temperatures for s in train if s.temperatures is not None]
    temperature_mean, temperature_std = measure_scale(warm) if thermal else (None, None)
    faults: Counter[str] = Counter()
    for record in staged:
        faults.update(record.faults)
    return Stats(
        sample_rate_hz=used[0].sample_rate,
        sequence_length=settings.sequence_length,
        stride=settings.stride,
        layout=settings.layout,
        feature_mean=feature_mean,
        feature_std=feature_std,
        target_mean=target_mean,
        target_std=target_std,
        temperature_mean=temperature_mean,
        temperature_std=temperature_std,
        splits={split: _summary(used, assigned, split, settings) for split in SPLITS},
        sources=tuple(_source(record, assigned) for record in staged),
        faults=dict(sorted(faults.items())),
        params=_common(record.params for record in used),
        settings={**_plain(settings), "request": request},
        identity=split_hash(used, assigned, used[0].sample_rate, asdict(settings.faults)),
    )


def _summary(
    used: list[Staged], assigned: Mapping[str, str], split: str, settings: PrepareSettings
) -> SplitSummary:
    chosen = [record for record in used if assigned[record.key] == split]
    pieces = [piece for record in chosen for piece in record.pieces]
    targets = [load_sequence(piece).trimmed().targets for piece in pieces]
    context = [samples for record in chosen for samples in record.context]
    return SplitSummary(
        layers=len({(record.part, record.layer) for record in chosen}),
        sequences=len(targets),
        points=sum(map(len, targets)),
        windows=sum(_windows(record, settings) for record in chosen),
        error_rms_mm=measure_error_rms(targets),
        context=sum(context),
        cold=context.count(0),
    )


def _source(record: Staged, assigned: Mapping[str, str]) -> Source:
    return Source(
        file=record.file,
        sha256=record.file_sha256,
        split=assigned.get(record.key, "") if record.pieces else "",
        part=record.part,
        layer=record.layer,
        variant=record.variant,
        kind=record.kind,
        sequences=len(record.pieces),
        points=sum(record.points),
        faults=dict(sorted(record.faults.items())),
    )


def _build(
    staged: list[Staged], assigned: Mapping[str, str], stats: Stats, built: Path, report: Progress
) -> None:
    """Fill the split folders; files that an interrupted run finished are kept."""
    # In the order in which a folder of sequences is read, so that both layouts count alike.
    pieces = sorted((piece.name, piece, assigned[s.key]) for s in staged for piece in s.pieces)
    counts: Counter[str] = Counter()
    for split in sorted(set(assigned.values())):
        (built / split).mkdir(parents=True, exist_ok=True)
    for done, (name, piece, split) in enumerate(pieces):
        report("write", done, len(pieces))
        if stats.layout == "sequences":
            _link(piece, built / split / name)
        else:
            counts[split] += _write_windows(piece, built / split, counts[split], stats)
    report("write", len(pieces), len(pieces))


def _write_windows(piece: Path, folder: Path, before: int, stats: Stats) -> int:
    """Write ``sample_00001.pt`` and so on, numbered after the ``before`` that are there."""
    sequence = load_sequence(piece).trimmed()
    length, stride = stats.sequence_length, stats.stride
    count = count_windows(len(sequence), length, stride)
    for index in range(count):
        path = folder / f"{WINDOW}{before + index + 1:05d}.pt"
        if not path.exists():
            window = make_window(sequence, index * stride, length, stats.has_temperatures)
            save_tensors(path, own_storage(window), flush=False)
    return count


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _existing(output_dir: Path, request: str) -> Stats | None:
    """Return the stats of a folder that already holds what is asked for."""
    try:
        stats = read_stats(output_dir)
    except DataError:  # of another version: to be replaced
        return None
    return stats if stats.settings.get("request") == request else None


def _require_replaceable(output_dir: Path) -> None:
    if output_dir.exists() and not output_dir.is_dir():
        raise DataError(f"{output_dir}: is not a folder; choose another output_dir")
    if output_dir.is_dir() and any(output_dir.iterdir()) and not (output_dir / FILE).is_file():
        raise DataError(
            f"{output_dir}: holds files but no {FILE}, so it is not prepared data and is not "
            "replaced; choose another output_dir"
        )


def _replace(output_dir: Path, built: Path) -> None:
    old = _set_aside(output_dir)
    if output_dir.exists():
        output_dir.replace(old)
    built.replace(output_dir)
    if old.exists():
        shutil.rmtree(old)


def _restore(output_dir: Path) -> None:
    """Bring back the folder that a run interrupted between its two renames set aside."""
    old = _set_aside(output_dir)
    if old.exists() and not output_dir.exists():
        old.replace(output_dir)
    elif old.exists():
        shutil.rmtree(old)


def _set_aside(output_dir: Path) -> Path:
    return output_dir.with_name(f".{output_dir.name}.old")


def _common(params: Iterable[Mapping[str, str | float]]) -> dict[str, str | float]:
    """Return what all records say alike."""
    every = list(params)
    return {
        name: value
        for name, value in sorted(every[0].items())
        if all(other.get(name) == value for other in every)
    }


def _plain(settings: PrepareSettings) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return plain


def _ignore(stage: str, done: int, total: int) -> None:
    """Take no notice of progress."""
