"""What a slicer tells a post-processing script beside the file's path.

PrusaSlicer, SuperSlicer, OrcaSlicer and Bambu Studio set one variable for each of their settings,
``SLIC3R_`` and its name in capitals, and two more for where the file goes
(PrusaSlicer, ``src/libslic3r/GCode/PostProcessor.cpp``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PRINTER = ("physical_printer_settings_id", "printer_settings_id", "printer_model")
_PREFIX = "SLIC3R_"
_SETTING = re.compile(rb"^; ?(\w+) = ([^\r\n]*)", re.MULTILINE)
FILE_HOST = "File"  # what PP_HOST says where no printer is sent to


@dataclass(frozen=True)
class Slicer:
    """A slicer's call."""

    output_name: str | None = None  # where the file goes in the end; a path where it is no upload
    host: str | None = None  # "File", "PrusaLink", "OctoPrint", …
    printers: tuple[str, ...] = ()  # what it calls the printer, the nearest first

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Slicer":
        """Return what the variables of a process say."""
        names = (environment.get(f"{_PREFIX}{key.upper()}", "") for key in _PRINTER)
        return cls(
            environment.get(f"{_PREFIX}PP_OUTPUT_NAME") or None,
            environment.get(f"{_PREFIX}PP_HOST") or None,
            tuple(name.strip('"') for name in names if name),
        )

    @property
    def runs(self) -> bool:
        """Whether a slicer runs the script, and hides what it says."""
        return self.output_name is not None

    @property
    def is_upload(self) -> bool:
        """Whether the file goes to a printer, so that its name is no place on this machine."""
        return self.host not in (None, FILE_HOST)


def printers_in(text: bytes) -> tuple[str, ...]:
    """Return what a file's own settings call the printer, the nearest first."""
    found = {key.decode(): value for key, value in _SETTING.findall(text)}
    names = (found[key].decode("utf-8", "replace") for key in _PRINTER if key in found)
    return tuple(name.strip().strip('"') for name in names if name.strip())
