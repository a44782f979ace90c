"""An evaluation to be shown: evaluation's own fixtures, taken over."""

from tests.evaluation.conftest import checkpoints, prepared, printer, raw, results, settings

__all__ = ["checkpoints", "prepared", "printer", "raw", "results", "settings"]
