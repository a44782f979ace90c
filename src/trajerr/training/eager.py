"""Predict with a checkpoint in PyTorch, in the words of :mod:`trajerr.bundle.runtime`.

For notebooks and scripts that have just trained a model; what is deployed is a bundle.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from trajerr.bundle.given import check_features, check_sample_rate
from trajerr.bundle.runtime import gcode_features
from trajerr.dynamics.printer import Printer
from trajerr.errors import DataError
from trajerr.gcode.reader import parse_program, read_program
from trajerr.motion.features import TARGETS
from trajerr.training.checkpoint import Loaded, load_checkpoint


@dataclass(frozen=True)
class TrajectoryErrorModel:
    """A trained network at work."""

    loaded: Loaded

    @classmethod
    def load_from_checkpoint(cls, path: str | Path) -> Self:
        """Load what ``python -m trajerr.train`` wrote; tensors and plain values only.

        Raises
        ------
        DataError
            The checkpoint cannot be used.
        """
        return cls(load_checkpoint(path))

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second that features have to have."""
        return self.loaded.sample_rate_hz

    @property
    def context_length(self) -> int:
        """Samples after which a prediction has settled, whatever was before."""
        return int(self.loaded.network.context_length)  # type: ignore[arg-type]

    @property
    def printer(self) -> Printer:
        """The simulated printer that the model was trained on.

        Raises
        ------
        DataError
            It was trained on measured motion.
        """
        if self.loaded.printer is None:
            raise DataError(f"{self.loaded.path}: names no printer, it was trained on measurements")
        return Printer.from_dict(self.loaded.printer)

    def predict(
        self, features: ArrayLike, sample_rate_hz: float | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Predict ``error_x`` and ``error_y``, (T,) or (B, T) mm, as the runtime's ``predict``."""
        if sample_rate_hz is not None:
            check_sample_rate(sample_rate_hz, self.sample_rate_hz)
        windows = torch.from_numpy(check_features(features))
        batch = windows if windows.ndim == 3 else windows[None]
        with torch.inference_mode():
            error = self.loaded.network(batch)
        both = (error if windows.ndim == 3 else error[0]).numpy()
        return {name: both[..., column] for column, name in enumerate(TARGETS)}

    def read_features(self, path: str | Path) -> NDArray[np.float64]:
        """Return the (N, 15) features of a G-code file, as the printer would move."""
        program = read_program(Path(path), self.printer.limits.firmware)
        program = self.printer.placed(program)
        return gcode_features(program, self.printer.limits, self.sample_rate_hz)

    def parse_features(self, gcode: str) -> NDArray[np.float64]:
        """Return the (N, 15) features of one or more lines of G-code; the first begins at rest."""
        program = parse_program(gcode.encode(), "G-code", self.printer.limits.firmware)
        program = self.printer.placed(program)
        return gcode_features(program, self.printer.limits, self.sample_rate_hz)
