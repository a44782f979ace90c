"""What ``export`` is asked to do."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from trajerr.checks import as_names
from trajerr.exporting.export import Exported, export_bundle
from trajerr.training.checkpoint import find_best_checkpoint


@dataclass(frozen=True)
class ExportSettings:
    """Which checkpoint to export, to where, as what."""

    checkpoint: str | None  # None: the best of the newest finished training
    outputs: str  # folder whose train/ holds the trainings
    output_dir: str  # of the bundle
    format: str | Sequence[str]  # one or several
    quantize: bool
    data_root: str | None  # prepared data that int8 weights are judged on
    allowed: Collection[str] = frozenset()  # classes of the user's own that the checkpoint may name

    @property
    def source(self) -> Path:
        """The checkpoint.

        Raises
        ------
        DataError
            None is named and no training is finished.
        """
        return Path(self.checkpoint or find_best_checkpoint(self.outputs))

    def export(self) -> Exported:
        """Export it; raises as :func:`~trajerr.exporting.export.export_bundle`."""
        root = None if self.data_root is None else Path(self.data_root)
        return export_bundle(
            self.source,
            Path(self.output_dir),
            as_names(self.format),
            quantize=self.quantize,
            data_root=root,
            allowed=self.allowed,
        )
