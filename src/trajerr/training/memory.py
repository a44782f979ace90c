"""How much memory this process takes, and how much is free, as Linux says it."""

import sys
from pathlib import Path

from trajerr.errors import ConfigError

if sys.platform == "linux":
    import resource  # absent on Windows


def resident() -> int:
    """Return the bytes that this process holds.

    Raises
    ------
    ConfigError
        The system is not Linux.
    """
    _require_linux()
    return _stated("/proc/self/status", "VmRSS")


def peak() -> int:
    """Return the most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def available() -> int:
    """Return the bytes that can be taken without swapping."""
    return _stated("/proc/meminfo", "MemAvailable")


def _stated(file: str, name: str) -> int:
    lines = Path(file).read_text(encoding="ascii").splitlines()
    stated = {key: text for key, _, text in (line.partition(":") for line in lines)}
    return int(stated[name].split()[0]) * 1024


def _require_linux() -> None:
    if sys.platform != "linux":
        raise ConfigError(
            f"batch_size_find: got true on {sys.platform}, where memory is not measured; "
            "expected Linux or a GPU"
        )
