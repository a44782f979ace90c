"""``trajerr doctor``: what is installed, what is missing, and the line for a slicer."""

import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from trajerr.bundle.manifest import open_bundle
from trajerr.errors import TrajerrError
from trajerr.post.line import script_line
from trajerr.post.settings import MACHINES, Settings, own_file, read_printer, read_settings
from trajerr.shipped import conf_dir
from trajerr.version import __version__

NEEDED = {  # package → what cannot run without it
    "numpy": "correct",
    "numba": "correct",
    "onnxruntime": "correct",
    "pyyaml": "correct",
    "heatshrink2": "correct",
    "platformdirs": "correct",
    "matplotlib": "report",
    "rich": "report",
    "hydra-core": "pipeline",
    "torch": "pipeline",
    "lightning": "pipeline",
    "h5py": "pipeline",
    "scipy": "pipeline",
    "aiohttp": "workbench",
}
TO_CORRECT = "correct"


def main() -> None:
    """Print what there is; exit with 1 where a correction could not run."""
    rows = list(_rows())
    sys.stdout.write("\n".join(f"{mark} {text}" for mark, text in rows) + "\n")
    sys.exit(1 if any(mark == "✗" for mark, _ in rows) else 0)


def _rows() -> Iterator[tuple[str, str]]:
    """Yield lines, and whether each is well (✓), a fault (✗) or but missing (·)."""
    yield "✓", f"trajerr {__version__}, Python {platform.python_version()}, {platform.platform()}"
    yield from map(_package, NEEDED)
    shipped = sorted(path.stem for path in (conf_dir() / "printer").glob("*.yaml"))
    yield "✓", f"shipped printers: {', '.join(shipped)}"
    path = own_file()
    if not path.is_file():
        yield "·", f"no settings of your own: {path}"
    else:
        yield from _own(path)
    program = shutil.which("trajerr-post")
    command = [program] if program else [sys.executable, "-m", "trajerr.post"]
    line = script_line(command, windows=sys.platform == "win32")
    yield "✓", f"line for the slicer's settings (docs/slicers.md): {line}"


def _package(name: str) -> tuple[str, str]:
    extra = NEEDED[name]
    try:
        return "✓", f"{name} {version(name)}"
    except PackageNotFoundError:
        mark = "✗" if extra == TO_CORRECT else "·"
        return mark, f"{name}: not installed; pip install trajerr[{extra}]"


def _own(path: Path) -> Iterator[tuple[str, str]]:
    try:
        settings = read_settings(path)
    except TrajerrError as error:
        yield "✗", str(error)
        return
    yield "✓", f"settings of your own: {path}"
    yield from _named(settings, path.name)
    for name, keys in settings[MACHINES].items():
        yield from _named(keys, name)


def _named(settings: Settings, where: str) -> Iterator[tuple[str, str]]:
    """Yield whether the bundle and the printer that settings name can be read."""
    try:
        if settings.get("bundle"):
            bundle = open_bundle(settings["bundle"])
            yield "✓", f"{where}: bundle {bundle.folder}"
        if settings.get("printer"):
            read_printer(settings["printer"])
            yield "✓", f"{where}: printer {settings['printer']}"
    except TrajerrError as error:
        yield "✗", f"{where}: {error}"


if __name__ == "__main__":
    main()
