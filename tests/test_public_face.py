"""What users may rely on: it is there, listed, light to import, and needs no more than it must."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import trajerr
from tests.correction.cases import linear_printer, small_print
from tests.paths import PROJECT

ROOMS = sorted(stub.parent.name for stub in Path(trajerr.__file__).parent.glob("*/__init__.pyi"))
PACKAGES = ["trajerr", *(f"trajerr.{room}" for room in ROOMS)]
HEAVY = (
    "h5py",
    "hydra",
    "lightning",
    "matplotlib",
    "numba",
    "numpy",
    "onnxruntime",
    "scipy",
    "torch",
)
NOT_TO_CORRECT = ("hydra", "lightning", "matplotlib", "omegaconf", "rich", "scipy", "torch")

BLOCKED = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_TO_CORRECT}:
            raise ImportError(f"{{name}} is not installed")

sys.meta_path.insert(0, Blocker())
"""
CORRECTS = """
import json, pathlib
import trajerr.bundle, trajerr.correction
from trajerr import Printer, apply_correction
from trajerr.correction import TwinModel

rooms = (trajerr.bundle, trajerr.correction)
names = [getattr(room, name) for room in rooms for name in room.__all__]
printer = Printer.from_dict(json.loads(pathlib.Path("printer.json").read_text()))
done = apply_correction(
    pathlib.Path("part.gcode"), pathlib.Path("out.gcode"), TwinModel(printer), printer
)
print(len(names), done.improvement)
"""


def run(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_listed(package):
    module = importlib.import_module(package)
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None
    sections = re.split(r"^## ", (PROJECT / "docs" / "api.md").read_text(), flags=re.MULTILINE)
    (section,) = (text for text in sections if text.split("\n", 1)[0] == package)
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(module.__all__)


def test_importing_the_package_loads_nothing_heavy_and_changes_nothing(tmp_path):
    code = (
        "import os, signal, sys\n"
        "before = dict(os.environ), signal.getsignal(signal.SIGINT)\n"
        "import trajerr\n"
        "assert before == (dict(os.environ), signal.getsignal(signal.SIGINT))\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert run(code, tmp_path) == "[]\n"


def test_a_file_is_corrected_without_torch_lightning_hydra_and_matplotlib(tmp_path):
    (tmp_path / "part.gcode").write_bytes(small_print().text)
    (tmp_path / "printer.json").write_text(json.dumps(linear_printer().to_dict()))
    names, improvement = run(BLOCKED + CORRECTS, tmp_path).split()
    assert int(names) > 10
    assert float(improvement) > 0.5
    assert (tmp_path / "out.gcode").is_file()
