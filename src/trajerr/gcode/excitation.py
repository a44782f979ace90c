"""The note of a print that was made to excite its machine: what it holds beside slicers' motion."""

import re

from trajerr.gcode.program import Program
from trajerr.version import __version__

_NOTE = re.compile(rb"^; trajerr excitation by \S+, up to (\d+(?:\.\d+)?) Hz", re.M)


def excitation_note(rms_mm: float, band_hz: float) -> bytes:
    """Return the comment of a print with random motion on it.

    Parameters
    ----------
    rms_mm
        Of the motion on each axis, mm.
    band_hz
        Up to which it holds all frequencies alike, Hz.
    """
    said = f"up to {band_hz:g} Hz, {1e3 * rms_mm:g} um RMS on each axis"
    return f"; trajerr excitation by {__version__}, {said}".encode()


def excitation_hz(program: Program) -> float | None:
    """Return up to which frequency a print says that it excites its machine, Hz; None: it does not.

    The note stands before the first move.
    """
    first = int(program.moves.line[0]) if len(program.moves) else 0
    found = _NOTE.search(program.text[: program.line_starts[min(first, program.n_lines)]])
    return None if found is None else float(found[1])
