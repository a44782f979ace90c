"""A run's checkpoints: each whole or absent, and all of one training.

A full disk or a kill leaves the checkpoint before as it was.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from trajerr.errors import ConfigError
from trajerr.files import clear_leftovers, write_atomically
from trajerr.training.checkpoint import BEST, FOLDER, LAST

LOCK = ".training.lock"


class WholeCheckpointFiles(TorchCheckpointIO):
    """Writes beside the checkpoint and renames.

    Lightning's own way writes into the system's folder for temporary files; where that is another
    file system the move is a copy, which may end in the middle.
    """

    def save_checkpoint(
        self,
        checkpoint: Mapping[str, Any],
        path: str | Path,
        storage_options: Any = None,  # noqa: ANN401 - Lightning's signature; no use here
    ) -> None:
        """Write a checkpoint, and remove what a killed process left of one.

        Raises
        ------
        OSError
            The disk is full or the folder cannot be written; the file before is as it was.
        """
        content = io.BytesIO()
        torch.save(dict(checkpoint), content)
        write_atomically(Path(path), content.getvalue())
        clear_leftovers(Path(path).parent)


@contextmanager
def alone_in(output: Path) -> Iterator[None]:
    """Keep a run's folder for one training; of its processes, the first keeps it for all.

    Raises
    ------
    ConfigError
        Another training is under way there.
    """
    if getattr(rank_zero_only, "rank", 0) != 0:
        yield
        return
    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(
            f"{output}: another training is writing there, choose another hydra.run.dir"
        ) from error
    try:
        yield
    finally:
        lock.release()


def written(output: Path) -> dict[Path, int]:
    """Return the best and the last checkpoint in a run's folder, each with its time of writing."""
    paths = (output / FOLDER / name for name in (BEST, LAST))
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}


def unwritten(output: Path, before: Mapping[Path, int]) -> list[Path]:
    """Return which of the best and the last are not there, or are as they were ``before``."""
    now = written(output)
    paths = (output / FOLDER / name for name in (BEST, LAST))
    return [path for path in paths if path not in now or now[path] == before.get(path)]
