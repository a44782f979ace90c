"""Install ``trajerr[correct]`` into a fresh environment, measure it, and correct a part with it.

    python scripts/try_light_install.py [--most-mb 450]

Ends with 1 where the environment is larger, holds what a correction is to do without, or the part
does not come out corrected. Needs a package index, or a cache of pip's.
"""

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ABSENT = ("torch", "lightning", "hydra", "omegaconf", "scipy", "matplotlib", "rich")
MB = 1_000_000


def main() -> int:
    """Do all of it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most-mb", type=float, default=450.0, help="MB that are allowed")
    most = parser.parse_args().most_mb
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "venv"
        venv.create(home, with_pip=True)
        programs = home / ("Scripts" if sys.platform == "win32" else "bin")
        python = str(programs / "python")
        limits = ["--constraint", str(PROJECT / "constraints.txt")]
        run([python, "-m", "pip", "install", "--quiet", *limits, f"{PROJECT}[correct]"])
        corrected = correct(programs, Path(folder) / "part ü.gcode")
        size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) / MB
        found = [name for name in ABSENT if list(home.rglob(f"site-packages/{name}"))]
    print(f"{size:.0f} MB; corrected: {corrected}; holds {', '.join(found) or 'none'} of {ABSENT}")
    return 0 if corrected and not found and size <= most else 1


def correct(programs: Path, part: Path) -> bool:
    """Run trajerr-post on a small part; return whether it came out corrected."""
    part.write_bytes((PROJECT / "tests/containers/read_2.gcode").read_bytes())
    options = ["--strict", "--set", "method=twin", "--printer", "ender3_v2"]
    log = ["--log", str(part.with_suffix(".log"))]
    run([str(programs / "trajerr-post"), *options, *log, str(part)])
    return b"; trajerr corrected" in part.read_bytes()


def run(command: list[str]) -> None:
    """Run a command, and end with its failure."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
