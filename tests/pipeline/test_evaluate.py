import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm_python import warm_python


def run(*overrides: str, cwd: Path, python: list[str] | None = None) -> subprocess.CompletedProcess:
    command = [*(python or warm_python()), "-m", "trajerr.evaluate", *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


def test_help_explains_every_key(tmp_path):
    shown = run("--help", cwd=tmp_path, python=[sys.executable])
    assert shown.returncode == 0
    assert "evaluate: checkpoint and split" in shown.stdout
    assert "allow_overlap: false" in shown.stdout


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((), "outputs/train: no finished training run"),
        (("checkpoint=text.ckpt",), "text.ckpt: not a checkpoint"),
        (("checkpoint=junk.ckpt",), "junk.ckpt: not a checkpoint"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, overrides, message):
    (tmp_path / "text.ckpt").write_text("not a checkpoint")
    (tmp_path / "junk.ckpt").write_bytes(b"junk")
    ended = run(*overrides, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith("evaluate: ")
    assert message in ended.stderr
    assert not (tmp_path / "results").exists()
