"""Where the project and what belongs to it are."""

from pathlib import Path

from trajerr.shipped import conf_dir

PROJECT = Path(__file__).resolve().parents[1]
CASES = PROJECT / "tests" / "cases"  # inputs that failed
FIRMWARE = PROJECT / "tests" / "firmware"  # what real firmware made of G-code
CONF = conf_dir()
CONTAINERS = PROJECT / "tests" / "containers"  # binary G-code of Prusa's own library
