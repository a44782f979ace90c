import re
import shutil
from pathlib import Path

import pytest

from tests.paths import PROJECT
from trajerr.bundle.runtime import Predictor
from trajerr.errors import DataError
from trajerr.training.eager import TrajectoryErrorModel


def small_print(layers: int) -> str:
    lines = ["G21", "G90", "M83", "M204 P1000 T1500", "M205 X8 Y8"]
    for layer in range(1, layers + 1):
        lines += [";LAYER_CHANGE", f";Z:{0.2 * layer:.1f}", ";HEIGHT:0.2", f"G1 Z{0.2 * layer:.1f}"]
        lines += ["G1 X60 Y60 F6000", ";TYPE:External perimeter"]
        corners = ((80, 60), (80, 75), (60, 75), (60, 60)) * 3
        lines += [f"G1 X{x} Y{y} E0.7 F3000" for x, y in corners]
    return "\n".join(lines) + "\n"


@pytest.fixture
def workplace(base, exported, tmp_path, monkeypatch) -> Path:
    shutil.copy(base.path, tmp_path / "best.ckpt")
    shutil.copytree(exported.folder, tmp_path / "bundle")
    (tmp_path / "part.gcode").write_text(small_print(2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_snippets(document: str) -> int:
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / document).read_text(), flags=re.S)
    for block in blocks:
        exec(compile(block, document, "exec"), {})  # noqa: S102 - our own document
    return len(blocks)


def test_the_documented_snippets_run(workplace, capsys):
    assert run_snippets("docs/python.md") == 2
    said = capsys.readouterr().out
    assert len(re.findall(r"up to \d+ µm in x", said)) == 3
    assert "less contour error" in said


def test_the_snippet_of_the_readme_runs(workplace, capsys):
    (workplace / "part.gcode").write_text(small_print(10))
    assert run_snippets("README.md") == 1
    layer, *errors = capsys.readouterr().out.split()
    assert layer == "10"
    assert all(0.0 < float(error) < 10.0 for error in errors)


def test_a_checkpoint_predicts_as_its_bundle_does(workplace, real_features):
    model = TrajectoryErrorModel.load_from_checkpoint("best.ckpt")
    predictor = Predictor.load("bundle")
    assert model.sample_rate_hz == predictor.sample_rate_hz
    assert model.printer.limits == predictor.limits
    assert (model.read_features("part.gcode") == predictor.read_features("part.gcode")).all()
    for features in (real_features[:3], real_features[0]):
        eager, deployed = model.predict(features, 200.0), predictor.predict(features, 200.0)
        for name in ("error_x", "error_y"):
            assert eager[name].shape == deployed[name].shape
            assert abs(eager[name] - deployed[name]).max() < 1e-4


def test_a_checkpoint_refuses_what_its_bundle_refuses(workplace, real_features):
    model = TrajectoryErrorModel.load_from_checkpoint("best.ckpt")
    with pytest.raises(DataError, match="come at 100 Hz"):
        model.predict(real_features, 100.0)
    with pytest.raises(DataError, match="expected"):
        model.predict(real_features[..., :14])


def test_a_model_of_measured_motion_names_no_printer(make_checkpoint):
    checkpoint = make_checkpoint("lstm", with_printer=False)
    model = TrajectoryErrorModel.load_from_checkpoint(checkpoint.path)
    with pytest.raises(DataError, match="trained on measurements"):
        model.parse_features("G1 X10 F600")
