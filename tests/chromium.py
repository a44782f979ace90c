"""A page in a real browser, as a reader would open it: from disk, without a network."""

import shutil
import subprocess
from pathlib import Path

import pytest

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=4000",
]
DARK = "--blink-settings=preferredColorScheme=0"


def browse(page: Path, profile: Path, *flags: str, address: str = "") -> str:
    """Open a page and return what the browser prints; no fault may be on its console."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("chromium is not installed")
    command = [browser, *FLAGS, f"--user-data-dir={profile}", *flags, f"{page.as_uri()}#{address}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    faults = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    assert not faults, faults
    return ran.stdout
