"""The notebooks run, and what is committed is what they show."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.paths import PROJECT

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
ALLOWED = {"trajerr", "numpy", "matplotlib", "pathlib", "tempfile"}


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


def test_there_are_three() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_executed_and_clean(path: Path) -> None:
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    shown = json.dumps([o for o in outputs if "image/png" not in o.get("data", {})])
    assert not re.search(r"Warning|Traceback|/tmp/|/home/|/root/|0x[0-9a-f]{6}", shown)
    assert all(cell["metadata"] == {} for cell in code)
    assert path.stat().st_size < 500_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_trajerr_and_what_draws(path: Path) -> None:
    source = "\n".join("".join(c["source"]) for c in cells(path) if c["cell_type"] == "code")
    modules = re.findall(r"^\s*(?:from|import) (\w+)", source, flags=re.M)
    assert "trajerr" in modules
    assert set(modules) <= ALLOWED


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    script = PROJECT / "scripts" / "run_notebooks.py"
    done = subprocess.run(
        [sys.executable, script, path, "--out", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / path.name).is_file()
