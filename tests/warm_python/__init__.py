"""A Python that has imported already what takes seconds: in a test's command line, for Python's.

``[*warm_python(), "-m", "trajerr.train", …]`` runs what ``[sys.executable, "-m", …]`` would run: in
a process, folder and environment of its own, with its own streams, signals and exit code. That
process is forked from one that holds torch and its like, so that it starts at once.

What a test says of the start itself (what is imported, and when; Python's own variables of the
environment; limits that a process inherits) needs ``sys.executable``.
"""

import atexit
import os
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
PATIENCE_S = 120.0  # for an interpreter to be there at all, not for its imports


@cache
def warm_python() -> list[str]:
    """Return the beginning of a command line; where Linux's means are absent, Python's own."""
    if sys.platform != "linux":
        return [sys.executable]
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")
    address = f"trajerr-{run}"
    server = subprocess.Popen(
        [sys.executable, str(FOLDER / "server.py"), address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    lease = _connected(address)
    lease.sendall(b"lease")
    atexit.register(_give_back, lease, server)
    return [sys.executable, "-IS", str(FOLDER / "relay.py"), address]


def _connected(address: str) -> socket.socket:
    """Return a connection to the one server of this run of the tests, whoever has started it."""
    connection = socket.socket(socket.AF_UNIX)
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            connection.connect(f"\0{address}")
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return connection


def _give_back(lease: socket.socket, server: subprocess.Popen[bytes]) -> None:
    lease.close()
    server.communicate()
