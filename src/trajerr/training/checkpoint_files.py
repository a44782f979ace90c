"""Checkpoints that are whole or absent: a full disk or a kill leaves the one before as it was."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from trajerr.data.atomic import clear_leftovers, write_atomically


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
