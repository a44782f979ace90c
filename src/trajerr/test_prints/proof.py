"""The proof to look at: one object, its lower half as sliced, its upper half corrected."""

from dataclasses import dataclass, replace
from pathlib import Path

from trajerr.correction.compensate import Correction
from trajerr.correction.run import CorrectionRun
from trajerr.errors import GcodeError

UPPER = "upper"  # of the layers, as correct's key "layers" takes it


@dataclass(frozen=True)
class Proof:
    """A half corrected object, as it was written."""

    path: Path
    correction: Correction

    @property
    def sentence(self) -> str:
        """What to look at."""
        layers = self.correction.layers
        return (
            f"layers {layers[0]} to {layers[-1]} are corrected, those below are as sliced: "
            "compare the walls below and above the middle"
        )


def write_proof(run: CorrectionRun) -> Proof:
    """Correct the upper half of a print and write it.

    Parameters
    ----------
    run
        The correction; which layers, is decided here.

    Raises
    ------
    GcodeError
        If the file cannot be corrected, or the bundle promises nothing for it.
    ConfigError
        If file or bundle are not what they should be.
    """
    prepared = replace(run, layers=UPPER, report=False).prepare(None)
    done = prepared.correct(lambda found: [f"; {Proof(run.target, found).sentence}".encode()])
    if done.text is None:
        raise GcodeError(
            f"{run.gcode}: the bundle promises {100.0 * done.improvement:.0f} % less error, "
            f"expected {100.0 * run.settings.least_improvement:.0f} % or more to be seen; "
            "nothing is written"
        )
    return Proof(run.target, done)
