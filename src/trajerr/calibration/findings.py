"""What measurements tell about one axis, with where it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass

from trajerr.calibration.identify import Identified
from trajerr.calibration.print_fit import FittedAxis
from trajerr.calibration.recommendation import ShaperChoice
from trajerr.calibration.recordings import PowerSpectrum
from trajerr.calibration.resonance import Resonance
from trajerr.calibration.uncertainty import Estimate


@dataclass(frozen=True)
class AxisFindings:
    """All that was found of one axis, and what it was found in."""

    natural_freq_hz: Estimate
    damping_ratio: Estimate
    resonance: Resonance | None = None  # of an accelerometer
    spectrum: PowerSpectrum | None = None
    column: int = 0  # of the spectrum
    identified: Identified | None = None  # of a log
    recorded: FittedAxis | None = None  # of a print
    delay_s: Estimate | None = None  # against the earlier axis, of a print
    best: ShaperChoice | None = None
    shapers: Sequence[ShaperChoice] = ()
