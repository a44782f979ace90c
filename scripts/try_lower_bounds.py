"""Install the oldest packages that pyproject.toml allows, and correct a part with them.

    python scripts/try_lower_bounds.py [--extra correct]

Each package that an extra names is installed at its lower bound; what these need in turn is as new
as they allow. Needs a package index, and a Python of which the oldest packages have wheels: 3.11.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from try_light_install import PROJECT, correct, run

REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?>=([0-9.]+)")
OWN = re.compile(r"trajerr\[([\w,]+)\]")


def bounds(extra: str) -> dict[str, str]:
    """Return the lower bound of each package that an extra needs, others' extras included."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, str] = {}
    waiting, done = [extra], set[str]()
    lines = list(project["dependencies"])
    while waiting:
        name = waiting.pop()
        if name not in done:
            done.add(name)
            lines += project["optional-dependencies"][name]
            for line in project["optional-dependencies"][name]:
                own = OWN.match(line)
                waiting += own[1].split(",") if own else []
    for line in lines:
        stated = REQUIREMENT.match(line)
        if stated:
            found[stated[1]] = stated[2]
        elif not OWN.match(line):
            raise ValueError(f"{line}: expected a lower bound, NAME>=VERSION")
    return found


def main() -> int:
    """Do all of it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extra", default="correct", help="of pyproject.toml")
    extra = parser.parse_args().extra
    with tempfile.TemporaryDirectory() as folder:
        home, oldest = Path(folder) / "venv", Path(folder) / "oldest.txt"
        pins = [f"{name}=={version}" for name, version in sorted(bounds(extra).items())]
        oldest.write_text("\n".join(pins) + "\n", encoding="utf-8")
        venv.create(home, with_pip=True)
        programs = home / ("Scripts" if sys.platform == "win32" else "bin")
        python = str(programs / "python")
        limits = ["--constraint", str(oldest)]
        run([python, "-m", "pip", "install", "--quiet", *limits, f"{PROJECT}[{extra}]"])
        run([python, "-c", "import trajerr; print(trajerr.__version__)"])
        corrected = correct(programs, Path(folder) / "part.gcode")
    print(f"{', '.join(pins)}; corrected: {corrected}")
    return 0 if corrected else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"lower bounds: {' '.join(map(str, error.cmd))}: ended with {error.returncode}")
