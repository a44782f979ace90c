"""Whether a process still runs, on any system."""

import ctypes
import os
import sys
from typing import Any, Protocol

_QUERY = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
_STILL_ACTIVE = 259  # what GetExitCodeProcess says of a process that runs
_ACCESS_DENIED = 5  # another user's process


class Kernel(Protocol):
    """What is asked of Windows' kernel32."""

    def OpenProcess(self, access: int, inherit: bool, pid: int) -> Any: ...  # noqa: ANN401, D102, N802
    def GetExitCodeProcess(self, handle: Any, code: Any) -> int: ...  # noqa: ANN401, D102, N802
    def CloseHandle(self, handle: Any) -> int: ...  # noqa: ANN401, D102, N802
    def GetLastError(self) -> int: ...  # noqa: D102, N802


def is_running(pid: int) -> bool:
    """Whether a process of this number runs; one of another user's counts."""
    if sys.platform == "win32":
        return runs_on_windows(pid, ctypes.windll.kernel32)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def runs_on_windows(pid: int, kernel: Kernel) -> bool:
    """Whether a process runs, by the kernel: ``os.kill(pid, 0)`` would send it Ctrl-C there.

    Source: Microsoft, *Win32 API*, ``OpenProcess`` and ``GetExitCodeProcess``.
    """
    handle = kernel.OpenProcess(_QUERY, False, pid)
    if not handle:
        return kernel.GetLastError() == _ACCESS_DENIED
    try:
        code = ctypes.c_ulong()
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        return not known or code.value == _STILL_ACTIVE
    finally:
        kernel.CloseHandle(handle)
