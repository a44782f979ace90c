import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.paths import PROJECT
from trajerr.bundle.manifest import MANIFEST, ONNX, ONNX_STEP, SEAL, write_manifest
from trajerr.bundle.runtime import Predictor
from trajerr.errors import BundleError, ConfigError, DataError, GcodeError
from trajerr.gcode.parts import load_part, part_text
from trajerr.motion.features import FEATURES, compute_features
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

TOLERANCE_MM = 1e-4

# What a small machine has: anything else that is imported there ends the program.
ONLY_NUMPY_AND_ONNXRUNTIME = """
import sys, sysconfig

ALLOWED = {"lazy_loader", "numpy", "onnxruntime", "trajerr"} | set(sys.stdlib_module_names)

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED and not name.startswith("_"):
            raise ModuleNotFoundError(f"{name} is not there", name=name)

sys.meta_path.insert(0, Refuse())
"""
PREDICT = """
import json
import numpy as np
from trajerr.bundle.runtime import Predictor

bundle, gcode, windows, out = sys.argv[1:]
predictor = Predictor.load(bundle)
errors = predictor.predict(np.load(windows))
(layer,) = predictor.predict_gcode(gcode, layers=[3])
stream = predictor.stream()
last = [stream.update(position) for position in layer.commanded[:50]][-1]
np.savez(out, **errors, layer_x=layer.error_x, layer_y=layer.error_y, last=last)
assert not {"torch", "scipy", "numba", "onnx", "hydra", "lightning"} & set(sys.modules)
"""


@pytest.fixture
def copy(exported, tmp_path) -> Path:
    """A bundle to damage."""
    return shutil.copytree(exported.folder, tmp_path / "bundle")


@pytest.fixture(scope="session")
def gcode(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("gcode") / "tugboat.gcode"
    path.write_bytes(part_text("tugboat"))
    return path


def rewrite(folder: Path, **changes) -> None:
    """Change a manifest and hash everything anew, as another version would have written it."""
    manifest = json.loads((folder / MANIFEST).read_text()) | changes
    write_manifest(folder, {k: v for k, v in manifest.items() if k not in ("files", SEAL)})


def test_predictions_equal_the_network(predictor, base, real_features):
    errors = predictor.predict(real_features)
    with torch.inference_mode():
        eager = base.network(torch.from_numpy(real_features)).numpy()
    np.testing.assert_allclose(errors["error_x"], eager[..., 0], rtol=0.0, atol=TOLERANCE_MM)
    np.testing.assert_allclose(errors["error_y"], eager[..., 1], rtol=0.0, atol=TOLERANCE_MM)


def test_a_single_window_needs_no_batch(predictor, real_features):
    alone = predictor.predict(real_features[2].tolist(), sample_rate_hz=200.0)
    together = predictor.predict(real_features)
    for name in ("error_x", "error_y"):
        assert alone[name].shape == (200,)
        np.testing.assert_allclose(alone[name], together[name][2], rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((128, 14)), r"\(128, 14\), expected \(T, 15\) or \(B, T, 15\)"),
        (np.zeros(15), r"\(15,\), expected"),
        (np.zeros((0, 15)), r"\(0, 15\), expected"),
        (np.full((1, 4, 15), np.nan), "NaN or infinite"),
        (np.full((4, 15), 1e300), "NaN or infinite"),
    ],
)
def test_features_that_are_none_are_refused(predictor, features, message):
    with pytest.raises(DataError, match=message):
        predictor.predict(features)


def test_another_sample_rate_is_refused(predictor, real_features):
    with pytest.raises(DataError, match="come at 100 Hz, the model expects 200 Hz"):
        predictor.predict(real_features, sample_rate_hz=100.0)


def test_threads_share_a_predictor(predictor, real_features):
    alone = [predictor.predict(window)["error_x"] for window in real_features]
    with ThreadPoolExecutor(8) as pool:
        shared = list(pool.map(lambda w: predictor.predict(w)["error_x"], [*real_features] * 4))
    for index, error in enumerate(shared):
        np.testing.assert_array_equal(error, alone[index % len(alone)])


def test_threads_and_int8_are_choices(exported, real_features, predictor):
    both = Predictor.load(exported.folder, threads=2).predict(real_features)
    small = Predictor.load(exported.folder, quantized=True).predict(real_features)
    one = predictor.predict(real_features)["error_x"]
    np.testing.assert_allclose(both["error_x"], one, rtol=0.0, atol=TOLERANCE_MM)
    assert 0.0 < np.abs(small["error_x"] - one).max() < 0.2 * np.ptp(one)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            {"providers": ["AbacusExecutionProvider"]},
            r"got \[AbacusExecutionProvider\], expected some",
        ),
        ({"providers": []}, r"providers: got \[\], expected some of"),
        ({"threads": 0}, "threads: got 0, expected a whole number from 1 on"),
    ],
)
def test_what_this_machine_lacks_is_named(exported, choice, message):
    with pytest.raises(ConfigError, match=message):
        Predictor.load(exported.folder, **choice)


def test_a_file_is_predicted_layer_by_layer(predictor, gcode):
    second, fourth = predictor.predict_gcode(gcode, layers=[2, 4])
    assert (second.layer, fourth.layer) == (2, 4)
    assert second.time[-1] < fourth.time[0]
    assert second.commanded.shape == (*second.error_x.shape, 3)
    alone = next(iter(predictor.predict_gcode(gcode, layers=[4])))
    np.testing.assert_array_equal(alone.error_x, fourth.error_x)
    assert len(list(predictor.predict_gcode(gcode, layers=[]))) == 0


def test_a_layer_that_does_not_exist_is_named_before_any_is_predicted(predictor, gcode):
    with pytest.raises(GcodeError, match="layer 999 does not exist"):
        predictor.predict_gcode(gcode, layers=[2, 999])


def test_limits_decide_how_a_file_is_planned(copy, predictor, gcode, printer):
    rewrite(copy, printer=None)
    measured = Predictor.load(copy)
    with pytest.raises(BundleError, match=r"names no printer.*give limits"):
        measured.predict_gcode(gcode)
    (given,) = measured.predict_gcode(gcode, layers=[2], limits=printer.limits)
    (own,) = predictor.predict_gcode(gcode, layers=[2])
    np.testing.assert_array_equal(given.error_x, own.error_x)


def test_features_of_lines_equal_those_of_the_file(predictor, tmp_path):
    text = "G21\nG90\nG1 X20 Y0 F3000\nG1 X20 Y20\n"
    (tmp_path / "two.gcode").write_text(text)
    features = predictor.parse_features(text)
    np.testing.assert_array_equal(features, predictor.read_features(tmp_path / "two.gcode"))
    assert features.shape[1] == len(FEATURES)
    # At the speed stated; Marlin's step interrupt, which has a clock of its own, is 1.3 % faster.
    exact = replace(predictor.limits, firmware="marlin_estimated")
    speed = predictor.parse_features(text, exact)[:, FEATURES.index("v_mag")]
    assert speed.max() == pytest.approx(50.0, rel=1e-6)
    np.testing.assert_allclose(features[-1, :2], [20.0, 20.0], atol=0.05)
    with pytest.raises(GcodeError, match="no move"):
        predictor.parse_features("M117 hello\n")


def test_a_path_of_another_rate_is_resampled_on_request(predictor):
    planned = plan(load_part("tugboat"), predictor.limits)
    start, stop = planned.layer_span(3)
    at_model_rate = sample(planned, 200.0, start, stop)
    fine = sample(planned, 1000.0, at_model_rate.time[0], stop)
    own = predictor.predict_path(at_model_rate.position, 200.0)
    features = compute_features(at_model_rate.position, 200.0)
    np.testing.assert_array_equal(own["error_x"], predictor.predict(features)["error_x"])
    with pytest.raises(DataError, match="come at 1000 Hz"):
        predictor.predict_path(fine.position, 1000.0)
    resampled = predictor.predict_path(fine.position, 1000.0, resample=True)
    assert resampled["error_x"].shape == (len(fine.position),)
    common = resampled["error_x"][::5]  # both grids hold the instants k / 200
    np.testing.assert_allclose(common, own["error_x"], rtol=0.0, atol=TOLERANCE_MM)


def test_resampling_keeps_a_smooth_path(predictor):
    time = np.arange(200) / 100.0
    path = np.column_stack([20 * np.sin(3 * time), 20 * np.cos(3 * time), 0 * time])
    coarse = predictor.predict_path(path, 100.0, resample=True)
    fine = np.arange(400) / 200.0
    path = np.column_stack([20 * np.sin(3 * fine), 20 * np.cos(3 * fine), 0 * fine])
    exact = predictor.predict_path(path, 200.0)
    later = slice(20, 199)  # a start at full speed is a jump, which rates show differently
    difference = coarse["error_x"][later] - exact["error_x"][::2][later]
    assert np.abs(difference).max() < 0.05 * np.ptp(exact["error_x"])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("feature_names", ["y", "x", *FEATURES[2:]], "feature_names are y, x, z"),
        ("feature_units", ["m"] * 15, "feature_units are m, m"),
        ("target_units", ["um", "um"], "target_units are um, um; this trajerr has mm, mm"),
    ],
)
def test_other_order_or_units_are_refused(copy, key, value, message):
    rewrite(copy, **{key: value})
    with pytest.raises(BundleError, match=message):
        Predictor.load(copy)


def test_an_older_bundle_is_refused(copy):
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps({**manifest, "schema_version": 0}))
    with pytest.raises(BundleError, match="schema version 0, this trajerr reads 1; export"):
        Predictor.load(copy)


def test_a_tampered_graph_is_refused(copy):
    content = bytearray((copy / ONNX).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / ONNX).write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx: changed since export"):
        Predictor.load(copy)


def test_a_truncated_graph_is_refused_even_with_a_right_hash(copy):
    (copy / ONNX).write_bytes((copy / ONNX).read_bytes()[:-1000])
    rewrite(copy)
    with pytest.raises(BundleError, match="ONNX Runtime cannot load it") as refused:
        Predictor.load(copy)
    assert "\n" not in str(refused.value)


def test_one_graph_in_the_place_of_another_is_refused(copy):
    (copy / ONNX).write_bytes((copy / ONNX_STEP).read_bytes())
    rewrite(copy)
    with pytest.raises(BundleError, match=r"begins with sample, .* expected input_features"):
        Predictor.load(copy)


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize("name", [ONNX, MANIFEST])
def test_loading_never_unpickles(copy, name, monkeypatch):
    monkeypatch.chdir(copy.parent)
    (copy / name).write_bytes(pickle.dumps(Bomb()))
    if name == ONNX:
        rewrite(copy)
    with pytest.raises(BundleError):
        Predictor.load(copy)
    assert not Path("exploded").exists()


@dataclass(frozen=True)
class Elsewhere:
    """An interpreter that has NumPy and ONNX Runtime, and what it runs first."""

    python: Path
    before: str


@pytest.fixture(params=["imports refused", pytest.param("installed", marks=pytest.mark.slow)])
def elsewhere(request, tmp_path) -> Elsewhere:
    """This interpreter with all other imports refused; a new one with ``trajerr[runtime]``."""
    if request.param == "imports refused":
        return Elsewhere(Path(sys.executable), ONLY_NUMPY_AND_ONNXRUNTIME)
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=120)
    pip = [venv / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    got = subprocess.run(
        [*pip, "install", "-c", PROJECT / "constraints.txt", f"{PROJECT}[runtime]"],
        capture_output=True,
        text=True,
        timeout=400,
    )
    if "Could not find a version" in got.stderr or "Temporary failure" in got.stderr:
        pytest.skip("no package index can be reached from here")
    assert got.returncode == 0, got.stderr
    sizes = [f.stat().st_size for f in (venv / "lib").rglob("*") if f.is_file()]
    assert sum(sizes) < 300e6  # bytes; torch alone is more
    return Elsewhere(venv / "bin" / "python", "import sys\n")


def test_numpy_and_onnxruntime_suffice(
    elsewhere, exported, predictor, gcode, real_features, tmp_path, environment
):
    windows, out = tmp_path / "windows.npy", tmp_path / "errors.npz"
    np.save(windows, real_features)
    program = elsewhere.before + PREDICT
    done = subprocess.run(
        [elsewhere.python, "-W", "error", "-c", program, exported.folder, gcode, windows, out],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    there, here = np.load(out), predictor.predict(real_features)
    (layer,) = predictor.predict_gcode(gcode, layers=[3])
    stream = predictor.stream()
    last = [stream.update(position) for position in layer.commanded[:50]][-1]
    expected = {**here, "layer_x": layer.error_x, "layer_y": layer.error_y, "last": last}
    for name, values in expected.items():
        np.testing.assert_allclose(there[name], values, rtol=0.0, atol=1e-6)


def test_the_hash_in_the_manifest_is_the_file_s(exported):
    manifest = json.loads((exported.folder / MANIFEST).read_text())
    for name, record in manifest["files"].items():
        content = (exported.folder / name).read_bytes()
        assert record == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_features_count_from_the_corner_of_the_bed_that_was_simulated(copy, predictor):
    """A centred bed's X0 Y0 is its middle; of measured motion no bed is known."""
    centred = "; bed_shape = -110x-110,110x-110,110x110,-110x110\nG1 X-50 Y0 F6000\n"
    features = predictor.parse_features(centred)
    np.testing.assert_allclose(features[0, :2], [110, 110], atol=1.0)
    np.testing.assert_allclose(features[-1, :2], [60, 110], atol=1.0)
    rewrite(copy, printer=None)
    measured = Predictor.load(copy).parse_features(centred, predictor.limits)
    np.testing.assert_allclose(measured[:, :2], features[:, :2] - 110.0, atol=1e-9)
