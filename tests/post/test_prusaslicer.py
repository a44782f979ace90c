"""PrusaSlicer itself, headless, with trajerr-post as its post-processing script."""

import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from trajerr.post.line import script_line

pytestmark = pytest.mark.skipif(
    shutil.which("prusa-slicer") is None, reason="prusa-slicer is not installed"
)
SIZE = (12.0, 12.0, 3.0)
SCRIPT = [sys.executable, "-m", "trajerr.post"]


def write_block(path: Path) -> None:
    """Write a block as an STL of text."""
    facets = []
    for axis, side in product(range(3), (0, 1)):
        a, b = (other for other in range(3) if other != axis)
        ring = []
        for u, v in ((0, 0), (1, 0), (1, 1), (0, 1)):
            corner = [0, 0, 0]
            corner[axis], corner[a], corner[b] = side, u, v
            ring.append(tuple(c * s for c, s in zip(corner, SIZE, strict=True)))
        if (side == 0) != (axis == 1):
            ring.reverse()
        facets += [(ring[0], ring[1], ring[2]), (ring[0], ring[2], ring[3])]
    lines = ["solid block"]
    for facet in facets:
        corners = [f"vertex {x:g} {y:g} {z:g}" for x, y, z in facet]
        lines += ["facet normal 0 0 0", "outer loop", *corners, "endloop", "endfacet"]
    path.write_text("\n".join([*lines, "endsolid block", ""]))


def sliced(folder: Path, out: str, script: list[str]) -> subprocess.CompletedProcess[str]:
    write_block(folder / "block.stl")
    line = ["prusa-slicer", "--datadir", str(folder / "data"), "--export-gcode"]
    line += ["--gcode-flavor", "marlin2", "--center", "110,110"]
    line += ["--post-process", script_line(script, windows=False)] if script else []
    return subprocess.run(
        [*line, "-o", out, "block.stl"], cwd=folder, capture_output=True, text=True, check=False
    )


def without_own_words(path: Path) -> list[str]:
    """Lines of a file but for its date and the script in its settings."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines[1:] if not line.startswith("; post_process = ")]


@pytest.fixture(params=["parts", "Teile für's Gerät"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Where a model is sliced: a plain name, and one with a blank, an umlaut and an apostrophe."""
    path = tmp_path / request.param
    path.mkdir()
    return path


NAME = "ein Würfel's.gcode"


def test_a_sliced_file_comes_out_corrected(folder: Path) -> None:
    options = ["--set", "method=twin", "--printer", "ender3_v2", "--log", str(folder / "a log")]
    done = sliced(folder, NAME, [*SCRIPT, *options])
    assert done.returncode == 0, done.stderr
    lines = (folder / NAME).read_text(encoding="utf-8").splitlines()
    assert lines[1].startswith("; trajerr corrected by")
    assert f"{NAME}: corrected" in (folder / "a log").read_text(encoding="utf-8")


@pytest.mark.parametrize("strict", [False, True])
def test_with_a_refusal_it_comes_out_as_sliced(folder: Path, strict: bool) -> None:
    sliced(folder, "plain.gcode", [])
    options = ["--bundle", "/nowhere", "--log", str(folder / "log")]
    script = [*SCRIPT, *options, *(["--strict"] if strict else [])]
    done = sliced(folder, NAME, script)
    plain, refused = (without_own_words(folder / name) for name in ("plain.gcode", NAME))
    assert plain == refused
    assert ("bundle: got /nowhere" in done.stdout + done.stderr) == strict
    assert f"{NAME}: refused: bundle" in (folder / "log").read_text(encoding="utf-8")
