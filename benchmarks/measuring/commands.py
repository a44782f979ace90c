"""The package's commands, run as people run them."""

import subprocess
import sys


def run(command: str, *overrides: str) -> None:
    """Run one of the six commands, silently unless it fails."""
    done = subprocess.run(
        [sys.executable, "-m", f"trajerr.{command}", *overrides],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command} {' '.join(overrides)}\n{done.stderr}")
