"""A corrected print beside the original where its printer is simulated: what proves no network.

A network may get motion that it has never seen, such as one much faster than what was recorded,
wrong by any amount. A calibrated printer is not exact, but wrong by no such amount.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from trajerr.correction.boards import on_board
from trajerr.correction.original import Original
from trajerr.correction.settings import CorrectionSettings
from trajerr.errors import GcodeError
from trajerr.gcode.program import Program
from trajerr.metrics.closed_loop import UNCORRECTED, Replay
from trajerr.motion.planner import Plan

PROVED = 3  # layers on which a correction is simulated before it is written
MOST_WORSE = 1.5  # times the uncorrected error there, beyond which it is none


def some_layers(corrected: Sequence[int], most: int) -> list[int]:
    """Return some of the corrected layers, the middles of equal parts.

    A first layer, printed slowly, is no fifth of a print.
    """
    count = min(most, len(corrected))
    picked = (np.arange(count) + 0.5) * len(corrected) / count
    return [corrected[i] for i in picked.astype(int)]


def replayed(
    original: Original,
    planned: Plan,
    settings: CorrectionSettings,
    layers: Sequence[int],
    others: Mapping[str, Program] | None = None,
) -> Replay:
    """Return a corrected print beside the original and others, on some layers.

    Parameters
    ----------
    original
        What was corrected; its printer is the true one.
    planned
        The corrected file's motion, as the board of the settings plans it.
    settings
        Those of the correction.
    layers
        Those compared.
    others
        Programs by the names of their methods.
    """
    method, board = settings.method, settings.board
    return Replay(
        original.program,
        {**(others or {}), method: planned.program},
        on_board(original.printer, board),
        layers,
        settings.feature_types,
        planned={UNCORRECTED: original.planned_on(board), method: planned},
    )


def require_plausible(
    original: Original, planned: Plan, settings: CorrectionSettings, layers: Sequence[int]
) -> None:
    """Refuse what its printer, simulated, says is far from a correction.

    Parameters
    ----------
    original, planned, settings, layers
        As for :func:`replayed`.

    Raises
    ------
    GcodeError
        If walls come out half as bad again as uncorrected, or worse.
    """
    replay = replayed(original, planned, settings, layers)
    pair = (UNCORRECTED, settings.method)
    before, after = (replay.errors(name).wall_contour_rms_um for name in pair)
    if after > MOST_WORSE * before:
        raise GcodeError(
            f"{original.program.name}: where {original.printer.name} is simulated, walls would be "
            f"off by {after:.0f} µm in place of {before:.0f}: the network has not learnt such "
            "motion; nothing is written. Record a print that moves as fast, or correct by "
            "method=twin"
        )
