"""``trajerr-post [options] FILE``: what slicers run on the file that they have written."""

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trajerr.errors import TrajerrError, in_one_line
from trajerr.interrupt import end_imports_at_once, let_commands_end
from trajerr.post.job import Call
from trajerr.post.journal import log_file, write_log
from trajerr.post.settings import (
    Settings,
    merged,
    own_file,
    read_settings,
    shipped_settings,
    stated_pairs,
)
from trajerr.post.slicer import Slicer
from trajerr.version import __version__

NAME = "trajerr-post"
STANDARD_INPUT = "-"
DESCRIPTION = """\
Correct a slicer's G-code in place, in any container (.gcode, .bgcode, .gcode.gz, .gcode.3mf).
What cannot be corrected stays as it was, and the slicer goes on with it unless --strict is given;
run by a slicer, which hides output, the file gets one line of comment that says why. FILE may be
- for standard input; the result goes to standard output then."""
EPILOG = """\
Settings may stand in a YAML file as well: any of these options and any key of correct.yaml;
see docs/slicers.md for the line that a slicer takes."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one call and end with its exit code."""
    end_imports_at_once()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments, os.environ))


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one call.

    Parameters
    ----------
    arguments
        Of the command line.
    environment
        The variables of the process.

    Returns
    -------
    int
        0 where the slicer is to go on, 1 where a refusal is strict.
    """
    options = parser().parse_args(arguments)
    slicer = Slicer.of(environment)
    if options.file == STANDARD_INPUT:
        return _piped(options, slicer)
    path = Path(options.file)
    return _settled(options, Call(path, _shown(slicer, path), _path(options.out), slicer))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        NAME,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = found.add_argument
    add("file", metavar="FILE", help="what the slicer has written; slicers add it themselves")
    add("--bundle", metavar="FOLDER", help="folder that export wrote")
    add("--printer", metavar="NAME", help="the true printer: a shipped name or a YAML file")
    add("--board", metavar="NAME", help="klipper, marlin_sd, marlin_serial: as much as it takes")
    add(
        "--report",
        action="store_true",
        default=None,
        help="write a page that shows what it brings",
    )
    add("--strict", action="store_true", default=None, help="have the slicer stop at a refusal")
    add(
        "--note",
        action=argparse.BooleanOptionalAction,
        help="say a refusal in a comment, too; by itself where a slicer runs it",
    )
    add("--log", metavar="FILE", help="the log; else it is beside the bundle")
    add("--config", metavar="FILE", help="settings of your own, in YAML")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="any key of correct.yaml")
    add("-o", "--out", metavar="FILE", help="where to write in place of FILE itself")
    add("--version", action="version", version=f"trajerr {__version__}")
    return found


def _settled(options: argparse.Namespace, call: Call) -> int:
    """Correct a file, tell and log what came of it, and return the exit code."""
    told = _options(options)
    settings = shipped_settings() | told
    try:
        layers = [_own_settings(options.config), merged(stated_pairs(options.set), told)]
        settings = call.settings(layers)
        let_commands_end()
        outcome = call.correct(settings)
    except KeyboardInterrupt:
        sys.stderr.write(f"{NAME}: interrupted; {call.shown} is as it was\n")
        return 130
    except TrajerrError as error:
        return _refused(call, settings, in_one_line(error))
    except OSError as error:
        return _refused(call, settings, f"{error.filename or call.file}: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - a slicer is not to lose a print by a fault here
        reason = f"a fault of trajerr's: {type(error).__name__}: {in_one_line(error)}"
        return _refused(call, settings, reason, traceback.format_exc())
    sys.stderr.write(f"{NAME}: {call.shown}: {outcome}\n")
    write_log(log_file(settings["log"], settings["bundle"]), call.shown, outcome)
    return 0


def _options(options: argparse.Namespace) -> Settings:
    keys = ("bundle", "printer", "board", "report", "strict", "note", "log")
    stated = {key: getattr(options, key) for key in keys}
    return {key: value for key, value in stated.items() if value is not None}


def _own_settings(config: str | None) -> Mapping[str, Any]:
    path = own_file() if config is None else Path(config)
    return {} if config is None and not path.is_file() else read_settings(path)


def _refused(call: Call, settings: Settings, reason: str, details: str = "") -> int:
    """Tell and log a refusal; return the exit code."""
    strict = bool(settings["strict"]) or call.out is not None  # no slicer asks for another file
    goes_on = "" if strict else "; the file stays as it was"
    sys.stderr.write(f"{NAME}: {reason}{goes_on}\n")
    log = log_file(settings["log"], settings["bundle"])
    write_log(log, call.shown, f"refused: {reason}\n{details}")
    noted = call.slicer.runs if settings["note"] is None else settings["note"]
    if noted and not strict:
        _note(call, reason)
    return 1 if strict else 0


def _note(call: Call, reason: str) -> None:
    from trajerr.post.note import write_note  # where it is asked for

    try:
        write_note(call.file, reason)
    except (TrajerrError, OSError) as error:
        sys.stderr.write(f"{NAME}: no comment in {call.shown}: {in_one_line(error)}\n")


def _piped(options: argparse.Namespace, slicer: Slicer) -> int:
    """Correct standard input to standard output, which gets what came in where that is refused."""
    content = sys.stdin.buffer.read()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "standard_input.gcode"
        path.write_bytes(content)
        placed = options.out is not None
        call = Call(path, "standard input", _path(options.out), slicer, placed=placed)
        code = _settled(options, call)
        if code == 0 and options.out is None:
            sys.stdout.buffer.write(path.read_bytes())
    return code


def _shown(slicer: Slicer, path: Path) -> str:
    return Path(slicer.output_name).name if slicer.output_name else path.name


def _path(out: str | None) -> Path | None:
    return None if out is None else Path(out)
