"""Firmware retraction: how far and how fast G10 and G11 move the filament.

References
----------
Marlin, G010, M207, M208: S mm back at F mm/min, S mm more than that forward at M208's F; a
repeated G10 or G11 does nothing. Klipper, ``klippy/extras/firmware_retraction.py``:
SET_RETRACTION in mm and mm/s.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from trajerr.gcode import words as text

# Slicers' settings of length and speed: PrusaSlicer's family, Bambu's family, Cura.
_LENGTHS = ("retract_length", "retraction_length", "retraction_amount")
_SPEEDS = ("retract_speed", "retraction_speed")


@dataclass
class Retraction:
    """What a file has said of it so far; ``None`` where nothing."""

    length: float | None = None  # mm
    speed: float | None = None  # mm/s
    extra: float = 0.0  # mm that come back beyond the length
    return_speed: float | None = None  # mm/s
    retracted: bool = False

    @classmethod
    def of_slicer(cls, slicer: Mapping[str, str]) -> "Retraction":
        """Return what the slicer's own settings say."""
        return cls(_first(slicer, _LENGTHS), _first(slicer, _SPEEDS))

    def read(self, name: str, body: str, unit: float) -> None:
        """Apply M207, M208 or SET_RETRACTION; ``unit`` is mm per unit of the file."""
        if name == "SET_RETRACTION":
            named = {key: text.number(value) for key, value in text.parameters(body).items()}
            self.length = _or(named.get("RETRACT_LENGTH"), self.length)
            self.speed = _or(named.get("RETRACT_SPEED"), self.speed)
            self.extra = named.get("UNRETRACT_EXTRA_LENGTH") or self.extra
            self.return_speed = _or(named.get("UNRETRACT_SPEED"), self.return_speed)
            return
        words = text.loose_words(body)
        length, feed = words.get("S"), words.get("F")
        speed = None if feed is None else feed * unit / 60.0
        if name == "M207":
            self.length = _or(None if length is None else length * unit, self.length)
            self.speed = _or(speed, self.speed)
        else:
            self.extra = self.extra if length is None else length * unit
            self.return_speed = _or(speed, self.return_speed)

    def step(self, back: bool) -> tuple[float, float] | None:
        """Return how far filament moves, mm, and how fast, mm/s, at the next G10 or G11.

        Nothing moves where it is retracted (or not) already; ``None`` where the file does not
        say how far.
        """
        if back == self.retracted:
            return 0.0, 0.0
        if self.length is None or self.speed is None:
            return None
        self.retracted = back
        if back:
            return -self.length, self.speed
        return self.length + self.extra, self.return_speed or self.speed


def _or(new: float | None, old: float | None) -> float | None:
    return old if new is None or new < 0.0 else new


def _first(slicer: Mapping[str, str], keys: tuple[str, ...]) -> float | None:
    for key in keys:
        value = text.number(slicer.get(key, "").split(",")[0].split(";")[0].strip())
        if value is not None and value > 0.0:
            return value
    return None
