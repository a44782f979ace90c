"""Where a file's slicer says that the bed is, in the file's coordinates.

Knows the slicers' words for it. What the machine makes of it is decided elsewhere.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

_OUTLINES = ("printable_area", "bed_shape")  # OrcaSlicer's family; PrusaSlicer's and Slic3r
_CENTRED = 1.0  # mm, how far the middle of a bed may be from X0 Y0 to be there

Pair = tuple[float, float]


@dataclass(frozen=True)
class StatedBed:
    """A bed as a slicer states it."""

    size: Pair | None  # mm, of its bounding rectangle; None where only its middle is told
    low: Pair  # mm, the rectangle's front left corner, or without a size the bed's middle

    @property
    def is_centred(self) -> bool:
        """Whether X0 Y0 is the middle of the bed."""
        half = (0.0, 0.0) if self.size is None else (self.size[0] / 2.0, self.size[1] / 2.0)
        return all(abs(x + h) <= _CENTRED for x, h in zip(self.low, half, strict=True))

    def corner(self, size: Pair) -> Pair:
        """Return what the file calls the front left corner of a bed of another size, mm.

        What is centred stays so. Else the corner is zero, or below zero where the stated bed
        begins there; slicers let it begin above zero to keep off clips.
        """
        if self.is_centred:
            return -size[0] / 2.0, -size[1] / 2.0
        return min(self.low[0], 0.0), min(self.low[1], 0.0)


def read_stated_bed(slicer: Mapping[str, str]) -> StatedBed | None:
    """Return the bed that a file's settings state, ``None`` where they state none.

    Parameters
    ----------
    slicer
        The settings as :func:`trajerr.gcode.slicer.read_settings` returns them.
    """
    for read in (_outline, _cura, _simplify3d, _kisslicer):
        found = read(slicer)
        if found is not None:
            return found
    return None


def _outline(slicer: Mapping[str, str]) -> StatedBed | None:
    """Read a polygon, ``0x0,220x0,220x220,0x220``; a round bed has many corners."""
    for key in _OUTLINES:
        corners = [_point(text) for text in slicer.get(key, "").split(",")]
        known = [corner for corner in corners if corner is not None]
        if len(known) == len(corners) >= 3:
            x, y = zip(*known, strict=True)
            return _rectangle((min(x), min(y)), (max(x) - min(x), max(y) - min(y)))
    return None


def _point(text: str) -> Pair | None:
    x, _, y = text.strip().partition("x")
    return _pair(x, y)


def _cura(slicer: Mapping[str, str]) -> StatedBed | None:
    """Read Cura's settings: the bed begins at zero, or zero is its middle."""
    centred = slicer.get("machine_center_is_zero", "").lower()
    if centred not in ("true", "false"):
        return None
    size = _pair(slicer.get("machine_width"), slicer.get("machine_depth"))
    if centred == "false":
        return _rectangle((0.0, 0.0), size) if size else None
    return _rectangle((-size[0] / 2.0, -size[1] / 2.0), size) if size else StatedBed(None, (0, 0))


def _simplify3d(slicer: Mapping[str, str]) -> StatedBed | None:
    """Read Simplify3D's machine: how far zero is from the corner. It may be switched off."""
    if slicer.get("overrideMachineDefinition") != "1":
        return None
    size = _pair(slicer.get("strokeXoverride"), slicer.get("strokeYoverride"))
    zero = _pair(slicer.get("originOffsetXoverride"), slicer.get("originOffsetYoverride"))
    return _rectangle((-zero[0], -zero[1]), size) if size and zero else None


def _kisslicer(slicer: Mapping[str, str]) -> StatedBed | None:
    """Read KISSlicer's bed: its size, and where its middle is."""
    size = _pair(slicer.get("bed_size_x_mm"), slicer.get("bed_size_y_mm"))
    middle = _pair(slicer.get("bed_offset_x_mm"), slicer.get("bed_offset_y_mm"))
    if not size or not middle:
        return None
    return _rectangle((middle[0] - size[0] / 2.0, middle[1] - size[1] / 2.0), size)


def _rectangle(low: Pair, size: Pair) -> StatedBed | None:
    return StatedBed(size, low) if min(size) > 0.0 else None


def _pair(x: str | None, y: str | None) -> Pair | None:
    """Return two finite numbers, ``None`` where either is none."""
    try:
        pair = float(x or ""), float(y or "")
    except ValueError:
        return None
    return pair if all(map(math.isfinite, pair)) else None
