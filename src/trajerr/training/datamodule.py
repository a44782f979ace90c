"""Batches for training and evaluation, as a LightningDataModule.

Knows how batches are ordered, shared among processes and gathered. A batch is gathered
from tables that lie end to end in memory, with no Python loop over its windows.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, SequentialSampler

from trajerr.checks import as_names, is_number, require, require_count, require_from_zero
from trajerr.dataset.stats import Stats, read_stats
from trajerr.dataset.store import Sequence, Split, open_split, prepared_folder
from trajerr.dataset.windows import WindowTable
from trajerr.errors import DataError

Batch = dict[str, Tensor]


class Draw(NamedTuple):
    """Which windows make one batch."""

    rows: Tensor  # (B,) first rows in the table
    noise_seed: int  # of this batch's augmentation; -1 without


class WindowBatches(Dataset[Batch]):
    """Batches by their :class:`Draw`; noise is in units of each feature's deviation."""

    def __init__(self, table: WindowTable, augment_noise: float, feature_std: Tensor) -> None:
        self.table = table
        self._noise = augment_noise * feature_std

    def __getitem__(self, draw: Draw) -> Batch:
        batch = self.table.gather(draw.rows)
        if draw.noise_seed >= 0:
            features = batch["input_features"]
            generator = torch.Generator().manual_seed(draw.noise_seed)
            features += torch.randn(features.shape, generator=generator) * self._noise
        return batch


class BatchSampler(DistributedSampler[Draw]):
    """Draws whole batches; what epoch ``e`` holds depends on the seed and ``e`` alone.

    In training the windows begin anywhere, ``samples`` of them an epoch; in evaluation at
    every ``stride``-th sample, in order. Each of ``world`` processes takes every
    ``world``-th batch, and all take equally many. A :class:`DistributedSampler`, so that
    Lightning leaves the sharing to it.
    """

    def __init__(
        self,
        table: WindowTable,
        batch_size: int,
        *,
        stride: int,
        samples: int | None = None,
        seed: int = 0,
        noisy: bool = False,
    ) -> None:
        rank, world = _rank_and_world()
        super().__init__(_Sized(), num_replicas=world, rank=rank, seed=seed)
        self._table = table
        self._batch_size = batch_size
        self._samples = samples
        self._strided = table.strided(stride)
        self._noisy = noisy

    def __len__(self) -> int:
        return len(self._batch_numbers())

    def __iter__(self) -> Iterator[Draw]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        rows = self._strided
        if self._samples is not None:
            rows = self._table.random(self._samples, generator)
        noise_seeds = torch.randint(2**62, (self._total(),), generator=generator).tolist()
        for number in self._batch_numbers():
            first = number * self._batch_size
            noise_seed = noise_seeds[number] if self._noisy else -1
            yield Draw(rows[first : first + self._batch_size], noise_seed)

    def _total(self) -> int:
        """Return the number of batches of all processes together."""
        count = len(self._strided) if self._samples is None else self._samples
        if self._samples is not None and count >= self._batch_size * self.num_replicas:
            return count // self._batch_size  # training leaves an incomplete batch out
        return -(-count // self._batch_size)

    def _batch_numbers(self) -> list[int]:
        total, world = self._total(), self.num_replicas
        if self._samples is not None and total >= world:
            total -= total % world
        each = -(-total // world)  # evaluation repeats the first batches to fill up
        return [(self.rank + i * world) % total for i in range(each)]


class FirstBatches(SequentialSampler, DistributedSampler[Draw]):
    """The same batches each epoch, for Lightning's ``overfit_batches``.

    Of both kinds, so that Lightning neither replaces it to keep its order nor to share it.
    """

    def __init__(self, drawn: BatchSampler) -> None:
        self._draws = list(drawn)

    def __len__(self) -> int:
        return len(self._draws)

    def __iter__(self) -> Iterator[Draw]:  # type: ignore[override]  # the first yields numbers
        return iter(self._draws)


class BatchLoader(DataLoader[Batch]):
    """A DataLoader that leaves its machinery out where it only gathers in this process."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # torch names its own class
        if self.num_workers or self.pin_memory:
            return super().__iter__()
        return (self.dataset[draw] for draw in self.sampler)


class PrinterDataModule(lightning.LightningDataModule):
    """Windows of a prepared folder.

    Batches are dictionaries: ``input_features`` (B, T, 15) in raw physical units,
    ``trajectory_targets`` (B, T, 2) mm and, where all data has them, ``thermal_targets``
    (B, T, 3) °C; of recorded layers that say so, ``target_uncertainty`` (B, 2) mm.

    Of a layer's lead-in as much may begin a window as the loss leaves out there, ``burn_in``
    samples: what is counted is always the layer's own. A task that Lightning trains sets it.

    Parameters
    ----------
    root
        The prepared folder.
    batch_size
        Windows a batch.
    sequence_length
        Samples a window; None: what ``prepare`` was asked for. A longer one is halved, down to
        that, until half of a split's samples lie in layers that are long enough.
    stride
        Samples between windows; None: what ``prepare`` was asked for.
    samples_per_epoch
        Training windows an epoch; None: as many as there are at ``stride``.
    augment_noise
        Noise on the training features, in units of each feature's deviation.
    kinds
        Kinds of variants to train on; None: all.
    eval_kinds
        Kinds to validate and test on; None: all.
    thermal
        Whether thermal targets are needed; data without them is refused then.
    sample_rate_hz
        What the data must have; None: any.
    beside
        Another prepared folder, whose training layers are trained on, too; None: none.
    beside_share
        Of the samples that are trained on, at most; whole layers are taken, as the seed draws.
    num_workers, pin_memory
        As for :class:`torch.utils.data.DataLoader`.
    seed
        Of the order and the noise.

    Raises
    ------
    ConfigError
        A number is out of range.
    """

    def __init__(
        self,
        root: str | Path,
        batch_size: int,
        sequence_length: int | None,
        stride: int | None,
        samples_per_epoch: int | None,
        augment_noise: float,
        kinds: Collection[str] | None,
        eval_kinds: Collection[str] | None,
        thermal: bool,
        sample_rate_hz: float | None,
        beside: str | Path | None,
        beside_share: float,
        num_workers: int,
        pin_memory: bool,
        seed: int,
    ) -> None:
        super().__init__()
        require_count("data.batch_size", batch_size)
        counts = {
            "sequence_length": sequence_length,
            "stride": stride,
            "samples_per_epoch": samples_per_epoch,
        }
        for name, count in counts.items():
            require_count(f"data.{name}", count, or_null=True)
        require_count("data.num_workers", num_workers, at_least=0)
        require_count("data.seed", seed, at_least=0)
        require_from_zero("data.augment_noise", augment_noise)
        in_range = is_number(beside_share) and 0.0 < beside_share < 1.0
        require("data.beside_share", beside_share, in_range, "between 0 and 1")
        self.root = prepared_folder(root)
        self._beside = None if beside is None else prepared_folder(beside)
        self._beside_share = beside_share
        self.batch_size = batch_size
        self._sequence_length = sequence_length
        self._stride = stride
        self._samples_per_epoch = samples_per_epoch
        self._augment_noise = augment_noise
        self._kinds = None if kinds is None else as_names(kinds)
        self._eval_kinds = None if eval_kinds is None else as_names(eval_kinds)
        self._thermal = thermal
        self._sample_rate = sample_rate_hz
        self._num_workers = num_workers
        self._pin_memory = pin_memory
        self._seed = seed
        self._stats: Stats | None = None
        self._tables: dict[tuple[str, int], WindowTable] = {}
        self.burn_in = 0

    def setup(self, stage: str) -> None:
        """Take from the task that Lightning trains what its loss leaves out of windows."""
        task = None if self.trainer is None else self.trainer.lightning_module
        self.burn_in = getattr(task, "burn_in", self.burn_in)

    @property
    def stats(self) -> Stats:
        """What ``stats.json`` says; read when first asked for."""
        if self._stats is None:
            self._stats = read_stats(self.root)
            if self._sample_rate is not None:
                self._stats.require_sample_rate(self._sample_rate)
        return self._stats

    @property
    def split_identity(self) -> str:
        """The sha256 of which data is in which split."""
        return self.stats.identity

    @property
    def sequence_length(self) -> int:
        """Samples a window, where layers are long enough."""
        return self._sequence_length or self.stats.sequence_length

    @property
    def stride(self) -> int:
        """Samples between the windows of evaluation."""
        return self._stride or self.stats.stride

    @property
    def samples(self) -> int | None:
        """Training windows an epoch; None: as many as there are at the stride."""
        return self._samples_per_epoch

    def open_split(self, split: str) -> Split:
        """Open the sequences of one split, of the kinds that this module is for.

        Raises
        ------
        DataError
            The split cannot be used, or lacks the thermal targets that are needed.
        """
        kinds = self._kinds if split == "train" else self._eval_kinds
        return self._opened(self.root, split, kinds, self._sample_rate)

    def _opened(
        self, root: Path, split: str, kinds: Collection[str] | None, sample_rate: float | None
    ) -> Split:
        opened = open_split(root, split, kinds, sample_rate)
        if self._thermal and not opened.has_temperatures:
            raise DataError(
                f"{root / split}: thermal targets are needed, but not all its layers have them"
            )
        return opened

    @property
    def sources_beside(self) -> list[dict[str, Any]]:
        """The other folder's training sources, as its ``stats.json`` has them."""
        if self._beside is None:
            return []
        sources = read_stats(self._beside).to_dict()["sources"]
        return [source for source in sources if source["split"] == "train"]

    def table(self, split: str) -> WindowTable:
        """Return all windows of one split; laid out in memory when first asked for."""
        key = split, self.burn_in
        if key not in self._tables:
            sequences = self.open_split(split).sequences
            length = self._window_length(sequences)
            if split == "train" and self._beside is not None:
                sequences = (*sequences, *self._taken_beside(self._beside, sequences))
            self._tables[key] = WindowTable.of(sequences, length, self.burn_in)
        return self._tables[key]

    def _taken_beside(self, root: Path, own: Collection[Sequence]) -> list[Sequence]:
        """Return layers of another folder, at most as many as their share allows."""
        there = self._opened(root, "train", self._kinds, self.stats.sample_rate_hz).sequences
        generator = torch.Generator().manual_seed(self._seed)
        left = self._beside_share / (1.0 - self._beside_share) * sum(map(_samples, own))
        taken = []
        for index in torch.randperm(len(there), generator=generator).tolist():
            if _samples(there[index]) <= left:
                taken.append(there[index])
                left -= _samples(there[index])
        wanted = f"a share that at least one layer of {root} fits into"
        require("data.beside_share", self._beside_share, len(taken) > 0, wanted)
        return taken

    def _window_length(self, sequences: Collection[Sequence]) -> int:
        """Return the samples a window: halved, down to as prepared, where layers are short."""
        lengths = list(map(_samples, sequences))
        window, shortest = self.sequence_length, self.stats.sequence_length
        while window > shortest and 2 * sum(n for n in lengths if n >= window) < sum(lengths):
            window = max(window // 2, shortest)
        return window

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return shuffled batches of windows at random offsets."""
        table = self.table("train")
        samples = self._samples_per_epoch or len(table.strided(self.stride))
        noisy = self._augment_noise > 0.0
        return self._loader("train", samples=samples, noisy=noisy)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the validation split in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the test split in order."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the test split in order."""
        return self._loader("test")

    def _loader(
        self, split: str, samples: int | None = None, noisy: bool = False
    ) -> DataLoader[Batch]:
        table = self.table(split)
        drawn = BatchSampler(
            table,
            self.batch_size,
            stride=self.stride,
            samples=samples,
            seed=self._seed,
            noisy=noisy,
        )
        overfits = self.trainer is not None and self.trainer.overfit_batches > 0  # type: ignore[attr-defined]
        sampler = FirstBatches(drawn) if overfits else drawn
        std = torch.tensor(self.stats.feature_std, dtype=torch.float32)
        return BatchLoader(
            WindowBatches(table, self._augment_noise, std),
            batch_size=None,  # the sampler draws whole batches
            sampler=sampler,
            num_workers=self._num_workers,
            pin_memory=self._pin_memory,
            persistent_workers=self._num_workers > 0,
        )


def _samples(sequence: Sequence) -> int:
    """Return how many samples of a sequence count."""
    return len(sequence) - sequence.context


class _Sized(Dataset[Draw]):
    """Stands for the data towards :class:`DistributedSampler`, which asks for its length."""

    def __len__(self) -> int:
        return 1


def _rank_and_world() -> tuple[int, int]:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
