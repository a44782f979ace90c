"""A bundle to work with: exporting's own fixtures, taken over."""

from tests.exporting.conftest import make_checkpoint, prepared, printer

__all__ = ["make_checkpoint", "prepared", "printer"]
