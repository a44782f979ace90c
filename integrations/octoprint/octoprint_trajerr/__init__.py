"""An OctoPrint plugin: each uploaded file is corrected by trajerr-post before it is stored.

The command runs in an environment of its own, so that OctoPrint's stays as it is. What it refuses
is stored as it was uploaded, and OctoPrint's log says why.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import PurePosixPath
from typing import Any

import octoprint.plugin
from octoprint.filemanager.util import DiskFileWrapper

GCODE = (".gcode", ".gco", ".g", ".bgcode")

__plugin_name__ = "Trajerr"
__plugin_pythoncompat__ = ">=3.9,<4"


class TrajerrPlugin(octoprint.plugin.SettingsPlugin):
    """The hook, and the settings that it is run with."""

    def get_settings_defaults(self) -> dict[str, Any]:
        """Return what holds where ``config.yaml`` says nothing."""
        return {"enabled": True, "command": "trajerr-post", "timeout_s": 1800}

    def correct(
        self,
        path: str,
        file_object: Any,  # noqa: ANN401 - OctoPrint's AbstractFileWrapper
        links: object = None,
        printer_profile: object = None,
        allow_overwrite: bool = True,
        *args: object,
        **kwargs: object,
    ) -> Any:  # noqa: ANN401 - as above
        """Return an upload as it is to be stored."""
        if not self._settings.get_boolean(["enabled"]) or not path.lower().endswith(GCODE):
            return file_object
        handle, copy = tempfile.mkstemp(suffix=PurePosixPath(path).suffix)
        with os.fdopen(handle, "wb") as target, file_object.stream() as source:
            shutil.copyfileobj(source, target)
        self._run(path, copy)
        return DiskFileWrapper(PurePosixPath(path).name, copy, move=True)

    def _run(self, path: str, copy: str) -> None:
        command = [*shlex.split(self._settings.get(["command"])), "--strict", copy]
        name = {"SLIC3R_PP_HOST": "OctoPrint", "SLIC3R_PP_OUTPUT_NAME": path}
        try:
            done = subprocess.run(  # noqa: S603 - the command that its owner has set
                command,
                capture_output=True,
                check=False,
                env={**os.environ, **name},
                timeout=self._settings.get_float(["timeout_s"]),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self._logger.warning("%s is stored as it was uploaded: %s", path, error)
            return
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode == 0:
            self._logger.info("%s", said)
        else:
            self._logger.warning("%s is stored as it was uploaded: %s", path, said)


def __plugin_load__() -> None:  # noqa: N807 - OctoPrint's name
    global __plugin_implementation__, __plugin_hooks__
    __plugin_implementation__ = TrajerrPlugin()
    __plugin_hooks__ = {"octoprint.filemanager.preprocessor": __plugin_implementation__.correct}
