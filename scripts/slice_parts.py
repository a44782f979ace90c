"""Model, slice and pack the four parts of the embedded default: one command, no options.

``python scripts/slice_parts.py`` rewrites ``src/trajerr/gcode/parts_data/*.gcode.xz``.
See README.md for what it needs.
"""

import lzma
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from model_parts import PARTS, checked

PROFILES = Path("/usr/share/PrusaSlicer/profiles/Creality.ini")
PRESETS = (
    "printer:Creality Ender-3 V2 (0.4 mm nozzle)",
    "print:0.20 mm NORMAL (0.4 mm nozzle) @CREALITY",
    "filament:Generic PLA @CREALITY",
)
NOT_SETTINGS = {"inherits", "renamed_from", "renamed_From", "compatible_printers"}
TARGET = Path(__file__).resolve().parents[1] / "src" / "trajerr" / "gcode" / "parts_data"
BED_CENTER = "110,110"
DATE = re.compile(rb" on \d{4}-\d{2}-\d{2} at \d{2}:\d{2}:\d{2}(?: UTC)?")


def read_presets(path: Path) -> dict[str, dict[str, str]]:
    """Read a vendor bundle: section name to its own settings."""
    presets: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = presets.setdefault(line.strip()[1:-1], {})
        elif "=" in line and not line.startswith(("#", ";")):
            key, value = line.split("=", 1)
            section[key.strip()] = value.strip()
    return presets


def resolve(presets: dict[str, dict[str, str]], name: str) -> dict[str, str]:
    """Return a preset's settings with everything that it inherits; later parents win."""
    kind = name.split(":", 1)[0]
    own = presets[name]
    settings: dict[str, str] = {}
    for parent in filter(None, (p.strip() for p in own.get("inherits", "").split(";"))):
        settings |= resolve(presets, f"{kind}:{parent}")
    return settings | own


def write_config(path: Path) -> None:
    """Write the three presets as one flat config, which ``--load`` accepts."""
    presets = read_presets(PROFILES)
    settings = {k: v for name in PRESETS for k, v in resolve(presets, name).items()}
    for preset in PRESETS:
        kind, name = preset.split(":", 1)
        settings[f"{kind}_settings_id"] = name
    lines = [f"{key} = {settings[key]}\n" for key in sorted(settings) if key not in NOT_SETTINGS]
    path.write_text("".join(lines), encoding="utf-8")


def slice_part(name: str, config: Path, folder: Path) -> bytes:
    """Model one part and return its G-code without the date of slicing."""
    solid = folder / f"{name}.stl"
    gcode = folder / f"{name}.gcode"
    checked(name).export(solid)
    options = ["--loglevel", "2", "--load", str(config), "--center", BED_CENTER]
    command = ["prusa-slicer", *options, "--export-gcode", "--output", str(gcode), str(solid)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return DATE.sub(b"", gcode.read_bytes(), count=1)


def main() -> None:
    """Slice every part and write its compressed G-code as package data."""
    TARGET.mkdir(parents=True, exist_ok=True)
    # The slicer's threads race for seam positions; on one core a single body always ends alike.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_config(folder / "ender3_v2.ini")
        for name in sys.argv[1:] or PARTS:
            text = slice_part(name, folder / "ender3_v2.ini", folder)
            packed = lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)
            (TARGET / f"{name}.gcode.xz").write_bytes(packed)
            lines = len(text.splitlines())
            estimate = re.search(rb"estimated printing time \(normal mode\) = (.*)", text)
            print(
                f"{name}: {text.count(b';LAYER_CHANGE')} layers, {lines} lines, "
                f"{len(text) / 1e3:.0f} kB, packed {len(packed) / 1e3:.0f} kB, "
                f"{estimate[1].decode() if estimate else 'no estimate'}"
            )


if __name__ == "__main__":
    main()
