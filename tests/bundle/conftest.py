"""A bundle as exporting makes it: its own fixtures, taken over."""

from tests.exporting.conftest import (
    base,
    environment,
    exported,
    make_checkpoint,
    predictor,
    prepared,
    printer,
    real_features,
)

__all__ = [
    "base",
    "environment",
    "exported",
    "make_checkpoint",
    "predictor",
    "prepared",
    "printer",
    "real_features",
]
