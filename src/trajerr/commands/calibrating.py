"""What ``calibrate`` is asked for: one thing at a time, named by the key that is given.

Knows no Hydra.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trajerr.calibration.target import refuse_existing
from trajerr.checks import require, shown
from trajerr.commands.building import build, build_printer
from trajerr.errors import ConfigError
from trajerr.shipped import shipped

if TYPE_CHECKING:
    from trajerr.correction.run import CorrectionRun
    from trajerr.test_prints.shakedown import Written

OF_PROOF = ("gcode", "bundle")
USED_BY = {  # keys that act for some of what may be asked for, and are refused beside the rest
    "gcode": ("accelerometer", "proof_print", "excitation_print"),
    "bundle": ("proof_print",),
    "firmware": ("printer_cfg",),
}
RUN = ("test_print", "excitation_print", "ringing_tower")  # G-code to run
MEASURED = ("log_file", "accelerometer")  # a calibration, which checks itself what it has
MADE = (
    "printer_cfg",
    "m503",
    "ringing",
    "test_print",
    "excitation_print",
    "ringing_tower",
    "proof_print",
)


def asked_for(config: Mapping[str, Any]) -> str:
    """Return the key of what is wanted.

    Parameters
    ----------
    config
        Plain containers and values of ``conf/calibrate.yaml``.

    Raises
    ------
    ConfigError
        If several things are asked for, or a key is given that does not act for them.
    """
    given = [key for key in (*MEASURED, *MADE) if _is_given(key, config[key])]
    made = [key for key in given if key in MADE]
    asked = next(iter(made or given), None)
    for key, users in USED_BY.items():
        idle = config[key] is not None and asked is not None and asked not in users
        require(key, config[key], not idle, f"null: it acts with {' or '.join(users)} alone")
    if not made:
        return MEASURED[0]
    for other in given:
        if other != made[0]:
            raise ConfigError(
                f"{other}: got {shown(config[other])} beside {made[0]}, expected one of them"
            )
    return made[0]


def _is_given(key: str, value: Any) -> bool:  # noqa: ANN401 - whatever a config holds
    if key in ("accelerometer", "ringing"):
        return isinstance(value, Mapping) and any(value.get(axis) is not None for axis in "xy")
    return value is not None


def gcode_to_run(asked: str, config: Mapping[str, Any]) -> "Written":
    """Return the G-code that is asked for, of :data:`RUN`, for the chosen printer.

    Raises
    ------
    ConfigError
        If a key is missing or out of range, or the machine is too small.
    GcodeError
        If the file to be rewritten cannot be.
    DataError
        If the file exists, and is not to be replaced.
    """
    from trajerr.test_prints.excitation import excitation_print
    from trajerr.test_prints.shakedown import shakedown
    from trajerr.test_prints.tower import tower

    path = Path(config[asked])
    refuse_existing(path, overwrite=config["overwrite"])
    printer, name = build_printer(config["printer"]), path.name
    if asked == "test_print":
        return shakedown(printer, build(config["record"], "record"), name)
    if asked == "excitation_print":
        gcode = config["gcode"]
        require("gcode", gcode, isinstance(gcode, str), f"a path, as {asked} needs it")
        how = build(config["excitation"], "excitation")
        return excitation_print(Path(gcode), path, printer, how)
    return tower(printer, build(config["tower"], "tower"), name)


def proof_run(config: Mapping[str, Any]) -> "CorrectionRun":
    """Return the correction of ``proof_print``: as ``correct`` has it, its printer the bundle's.

    Raises
    ------
    ConfigError
        If a key is missing or out of range.
    DataError
        If the file exists, and is not to be replaced.
    """
    from trajerr.commands.correcting import correction_run

    for key in OF_PROOF:
        require(key, config[key], isinstance(config[key], str), "a path, as proof_print needs it")
    refuse_existing(Path(config["proof_print"]), overwrite=config["overwrite"])
    own = {key: config[key] for key in OF_PROOF} | {"out": config["proof_print"]}
    return correction_run({**shipped("correct"), **own}, 0)
