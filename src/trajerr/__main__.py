"""``trajerr COMMAND …``: the same as ``python -m trajerr.COMMAND …``."""

import runpy
import sys

from trajerr.interrupt import end_imports_at_once

COMMANDS = {
    "collect": "simulate G-code to commanded and actual motion",
    "prepare": "turn collections, MATLAB files or logs into .pt splits",
    "train": "train a model on prepared splits",
    "evaluate": "measure a checkpoint on a split",
    "export": "write a deployment bundle",
    "correct": "write G-code that compensates for the predicted error",
    "calibrate": "make a printer config from measurements of a machine",
}
OTHERS = {
    "post": "correct a slicer's file in place",
    "workbench": "all of this in the browser",
    "doctor": "say what is installed",
}


def main() -> None:
    """Run one command; without a known one, list them and exit with 2."""
    end_imports_at_once()
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in ("-h", "--help"):
        sys.stdout.write(_usage())
        return
    if name not in COMMANDS | OTHERS:
        wrong = f"trajerr: unknown command {name!r}\n" if name else ""
        sys.stderr.write(wrong + _usage())
        sys.exit(2)
    sys.argv = [f"trajerr {name}", *sys.argv[2:]]
    try:
        runpy.run_module(f"trajerr.{name}", run_name="__main__")
    except ModuleNotFoundError as error:
        absent = (error.name or "").partition(".")[0]
        if name not in COMMANDS or absent in ("", "trajerr", "hydra_plugins"):
            raise
        instead = "; trajerr-post corrects without it" if name == "correct" else ""
        sys.stderr.write(
            f"trajerr {name}: {absent} is not installed, expected it: "
            f"pip install trajerr[pipeline]{instead}\n"
        )
        sys.exit(1)


def _usage() -> str:
    rows = [f"  {name:<9} {what}" for name, what in COMMANDS.items()]
    others = [f"  {name:<9} {what}" for name, what in OTHERS.items()]
    first = "usage: trajerr COMMAND [key=value ...] [--help]"
    return "\n".join([first, "", *rows, "", "without key=value:", *others, ""])


if __name__ == "__main__":
    main()
