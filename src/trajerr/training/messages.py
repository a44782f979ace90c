"""What people hear of a training: its own lines and errors, not those of the libraries below."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOT_APPLYING = (
    # Batches are gathered in tens of µs; worker processes would only cost.
    "The '.*_dataloader' does not have many workers",
    # Epochs shorter than the logging interval are logged by epoch.
    "The number of training batches .* is smaller than the logging interval",
    # Going on in the same folder is meant so.
    "Checkpoint directory .* exists and is not empty",
    # Lightning's own use of a name that PyTorch renamed.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)


@contextmanager
def own_messages(output: Path) -> Iterator[None]:
    """Silence what Lightning says beside our own lines, and its warnings that do not apply.

    Parameters
    ----------
    output
        The run's folder, where an error says no file that could not be written.
    """
    loggers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    tell, threading.excepthook = threading.excepthook, _tell_unless_of_a_file
    try:
        with warnings.catch_warnings():
            for message in NOT_APPLYING:
                warnings.filterwarnings("ignore", message=message)
            yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(output)
        raise
    finally:
        threading.excepthook = tell
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _tell_unless_of_a_file(what: threading.ExceptHookArgs) -> None:
    """Leave to the main thread what TensorBoard's writer could not write: it is told as well."""
    if not issubclass(what.exc_type, OSError):
        threading.__excepthook__(what)
