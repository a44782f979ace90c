"""Whether a process runs: asked of this system, and as Windows is asked."""

import ctypes
import os
import subprocess
import sys

import pytest

from trajerr.running import is_running, runs_on_windows

STILL_ACTIVE = 259


class Kernel:
    """Windows' kernel with one process; notes what stays open."""

    def __init__(self, pid: int, exit_code: int = STILL_ACTIVE, error: int = 87) -> None:
        self.pid, self.exit_code, self.error, self.open = pid, exit_code, error, 0

    def OpenProcess(self, access: int, inherit: bool, pid: int) -> int:  # noqa: N802
        assert (access, inherit) == (0x1000, False)
        self.open += pid == self.pid
        return 7 if pid == self.pid else 0

    def GetExitCodeProcess(self, handle: int, code: ctypes.c_ulong) -> int:  # noqa: N802
        assert handle == 7
        code._obj.value = self.exit_code
        return 1

    def CloseHandle(self, handle: int) -> int:  # noqa: N802
        self.open -= 1
        return 1

    def GetLastError(self) -> int:  # noqa: N802
        return self.error


def test_this_process_and_an_ended_one():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_running(os.getpid())
    assert not is_running(ended.pid)
    assert not is_running(2**70)


@pytest.mark.parametrize(
    ("kernel", "runs"),
    [
        (Kernel(42), True),
        (Kernel(42, exit_code=0), False),
        (Kernel(42, exit_code=1), False),
        (Kernel(1), False),
        (Kernel(1, error=5), True),  # there, and another user's
    ],
)
def test_windows_is_asked_without_a_signal(kernel, runs):
    assert runs_on_windows(42, kernel) is runs
    assert kernel.open == 0
