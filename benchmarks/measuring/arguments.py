"""Numbers of a command line, for :mod:`argparse`."""

import argparse
import math


def from_zero(text: str) -> int:
    """Read a whole number from 0 on."""
    return _whole(text, 0)


def count(text: str) -> int:
    """Read a whole number from 1 on."""
    return _whole(text, 1)


def positive(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"got {text}, expected a number above 0")
    return value


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"got {text}, expected a whole number from {least}")
    return int(text)
