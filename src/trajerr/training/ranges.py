"""What a number or a text of a training may be."""

from dataclasses import dataclass
from pathlib import Path

from trajerr.errors import ConfigError

ABSURD = 1e12


@dataclass(frozen=True)
class Range:
    """What a number may be; an open end is not itself in the range."""

    least: float
    greatest: float = ABSURD
    above: bool = False  # open at its least
    below: bool = False  # open at its greatest

    def __contains__(self, value: float) -> bool:
        at_open_end = value in (self.least,) * self.above + (self.greatest,) * self.below
        return self.least <= value <= self.greatest and not at_open_end

    def __str__(self) -> str:
        low = f"above {self.least:g}" if self.above else f"{self.least:g} or more"
        return f"{low}, {'below' if self.below else 'at most'} {self.greatest:g}"


def require_within(key: str, value: object, allowed: Range) -> None:
    """Refuse a number out of range, or what is none; None stays what it means.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    if value is not None and (not isinstance(value, int | float) or value not in allowed):
        raise ConfigError(f"{key}: got {value}, expected {allowed}")


def require_text(key: str, value: object, expected: str) -> None:
    """Refuse what is neither a text nor None.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    if value is not None and not isinstance(value, str | Path):
        raise ConfigError(f"{key}: got {value}, expected {expected}")
