"""The line that a slicer's settings take, with names quoted as the slicer reads them.

PrusaSlicer and its kin hand the line and the file's path to a POSIX shell; on Windows they split it
as programs there do (``CommandLineToArgvW``) and put the path behind it
(PrusaSlicer, ``src/libslic3r/GCode/PostProcessor.cpp``).
"""

import shlex
import subprocess
from collections.abc import Sequence


def script_line(command: Sequence[str], *, windows: bool) -> str:
    """Return a command as a line of the settings.

    Parameters
    ----------
    command
        Program and options, without the file.
    windows
        Whether the slicer runs there.
    """
    return subprocess.list2cmdline(command) if windows else shlex.join(command)
