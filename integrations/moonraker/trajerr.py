"""A Moonraker component: each uploaded file is corrected by trajerr-post before it is analysed.

Lies in ``moonraker/components/`` as ``trajerr.py`` and is set up in ``moonraker.conf``::

    [trajerr]
    command: /home/pi/trajerr/bin/trajerr-post
    bundle: /home/pi/bundles/mine

Moonraker runs the command on the file in its place, and leaves files alone that carry the mark of a
correction. A refusal is strict, so that Moonraker logs why; the file stays as it was uploaded.
"""

from __future__ import annotations

import shlex
from typing import Any

NAME = "trajerr"
MARK = r"^; trajerr corrected by (?P<version>[^,\s]+)"
FILE = "{gcode_file_path}"  # what Moonraker puts the path in place of


class Trajerr:
    """Registers the command."""

    def __init__(self, config: Any) -> None:  # noqa: ANN401 - Moonraker's ConfigHelper
        self.processor = processor(config)
        manager = config.get_server().lookup_component("file_manager")
        manager.get_metadata_storage().register_gcode_processor(NAME, self.processor)


def processor(config: Any) -> dict[str, Any]:  # noqa: ANN401 - Moonraker's ConfigHelper
    """Return what Moonraker has to know of the command."""
    command = [*shlex.split(config.get("command", "trajerr-post")), "--strict"]
    for option in ("bundle", "printer", "board", "config", "log"):
        value = config.get(option, None)
        if value is not None:
            command += [f"--{option}", value]
    command += shlex.split(config.get("options", ""))
    return {
        "name": NAME,
        "command": [*command, FILE],
        "timeout": config.getfloat("timeout", 1800.0, above=0.0),
        "ident": {"regex": MARK, "location": "header"},
        "enabled": config.getboolean("enabled", True),
    }


def load_component(config: Any) -> Trajerr:  # noqa: ANN401 - Moonraker's ConfigHelper
    """Return the component, as Moonraker asks for it."""
    return Trajerr(config)
