"""The commands of the extra `commands` run where what trains is not installed."""

import subprocess
import sys

import pytest

from tests.correction.cases import small_print

ABSENT = ("lightning", "onnx", "onnxscript", "optuna", "tensorboard", "torch", "torchmetrics")
RUN = f"""
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ImportError(f"{{name}} is not installed")

sys.meta_path.insert(0, Blocker())
command = sys.argv[1]
sys.argv = sys.argv[1:]
runpy.run_module(f"trajerr.{{command}}", run_name="__main__", alter_sys=True)
"""
SHORT = ("learning.iterations=2", "learning.planned_iterations=1", "report_layers=1")


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (("collect", "part.gcode", "variants=[{}]", "workers=1"), "data/raw/DATA_CARD.md"),
        (
            ("correct", "part.gcode", "method=twin", "printer=ender3_v2", *SHORT),
            "part_corrected.gcode",
        ),
    ],
    ids=["collect", "correct"],
)
def test_a_command_runs(tmp_path, words, written):
    (tmp_path / "part.gcode").write_bytes(small_print().text)
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / written).is_file()


def test_calibration_imports(tmp_path):
    imports = "import trajerr.calibration.run, trajerr.reports.calibration_report"
    code = f"{RUN.partition('command =')[0]}\n{imports}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
