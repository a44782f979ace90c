import json
import resource
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from trajerr.bundle.manifest import (
    ONNX,
    ONNX_GUIDED,
    ONNX_INT8,
    ONNX_STEP,
    PT2,
    TORCHSCRIPT,
    open_bundle,
)
from trajerr.bundle.runtime import Predictor
from trajerr.dataset.store import open_split
from trajerr.dynamics.axis_steps import solve
from trajerr.errors import BundleError, ConfigError, DataError
from trajerr.exporting import export, graphs
from trajerr.exporting.export import export_bundle
from trajerr.gcode.parts import load_part
from trajerr.motion.features import FEATURES
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

BATCHES = (1, 5, 33)
LENGTHS = (1, 17, 128, 200)
TOLERANCE_MM = 1e-4


def onnx_errors(path, windows: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    error_x, error_y = session.run(["error_x", "error_y"], {"input_features": windows})
    return np.stack([error_x, error_y], axis=-1)


def torch_errors(module, windows: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        errors = module(torch.from_numpy(windows))
    return np.stack([errors["error_x"].numpy(), errors["error_y"].numpy()], axis=-1)


def read_back(path):
    """Load a graph as its users would, not as the export does."""
    if path.name == TORCHSCRIPT:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated")
            module = torch.jit.load(path)
        return lambda windows: torch_errors(module, windows)
    if path.name == PT2:
        module = torch.export.load(path).module()
        return lambda windows: torch_errors(module, windows)
    return lambda windows: onnx_errors(path, windows)


def assert_equal_to_eager(network, path, windows: np.ndarray) -> None:
    predict = read_back(path)
    for batch in BATCHES:
        for length in LENGTHS:
            part = np.ascontiguousarray(windows[:batch, :length])
            with torch.inference_mode():
                eager = network(torch.from_numpy(part)).numpy()
            assert np.ptp(eager) > 0.0
            np.testing.assert_allclose(predict(part), eager, rtol=0.0, atol=TOLERANCE_MM)


@pytest.mark.parametrize("name", [TORCHSCRIPT, PT2, ONNX])
def test_each_graph_equals_eager_mode_at_any_batch_and_length(exported, base, real_features, name):
    assert_equal_to_eager(base.network, exported.folder / name, real_features)


def assert_streams_as_whole(predictor: Predictor) -> None:
    """Step through a whole layer, and predict it at once."""
    planned = plan(load_part("tugboat"), predictor.limits)
    path = sample(planned, 200.0, *planned.layer_span(2)).position
    assert len(path) > 2000
    whole, stream = predictor.predict_path(path, 200.0), predictor.stream()
    stepped = np.array([stream.update(position) for position in path])
    for column, name in enumerate(("error_x", "error_y")):
        np.testing.assert_allclose(stepped[:, column], whole[name], rtol=0.0, atol=TOLERANCE_MM)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "large", "lstm", "hybrid"])
def test_each_model_exports_to_graphs_that_equal_it(make_checkpoint, real_features, tmp_path, name):
    checkpoint = make_checkpoint(name)
    found = export_bundle(checkpoint.path, tmp_path / "bundle", ("torchscript", "onnx", "pt2"))
    guided = {ONNX_GUIDED} if name in ("small", "hybrid") else set()
    assert set(found.parity_mm) == {TORCHSCRIPT, PT2, ONNX, ONNX_STEP} | guided
    for file in (TORCHSCRIPT, PT2, ONNX):
        assert_equal_to_eager(checkpoint.network, found.folder / file, real_features)
    assert_streams_as_whole(Predictor.load(found.folder))
    kinds = {node.op_type for node in onnx.load(found.folder / ONNX).graph.node}
    assert "Range" not in kinds  # attention by blocks; sample by sample takes ten times longer


def test_a_solution_in_machine_code_guides_the_network_alike(exported, real_features):
    plain = Predictor.load(exported.folder).predict(real_features[:3])
    calls = []

    def solving(*given):
        calls.append(given)
        return solve(*given)

    guided = Predictor.load(exported.folder, solve=solving).predict(real_features[:3])
    assert len(calls) == 1
    for name, error in plain.items():
        np.testing.assert_allclose(guided[name], error, rtol=0.0, atol=TOLERANCE_MM)


def test_the_manifest_says_what_the_graphs_mean(exported, base, printer, prepared):
    manifest = open_bundle(exported.folder).manifest
    assert manifest["feature_names"] == list(FEATURES)
    assert manifest["sample_rate_hz"] == 200.0
    assert manifest["context_length"] == base.network.context_length
    assert manifest["model"]["name"] == "base"
    assert manifest["model"]["parameters"] == sum(p.numel() for p in base.network.parameters())
    assert manifest["printer"] == printer.to_dict()
    assert (
        manifest["stats"]["identity"]
        == json.loads((prepared / "stats.json").read_text())["identity"]
    )
    assert manifest["metrics"] == {"val/mae_mm": 0.01, "val/r2": None}
    assert manifest["checkpoint"]["file"] == "base.ckpt"
    assert manifest["versions"]["torch"] == torch.__version__
    assert manifest["training_config"]["seed"] == 0
    assert manifest["parity"]["max_difference_mm"] == exported.parity_mm
    assert manifest["parity"]["batches"] == [1, 5, 33]
    assert manifest["latency"] == exported.latency
    for measured in ("window_ms", "step_us"):
        assert 0.0 < exported.latency[f"{measured}_p50"] <= exported.latency[f"{measured}_p99"]
    graphs = {TORCHSCRIPT, PT2, ONNX, ONNX_STEP, ONNX_GUIDED, ONNX_INT8}
    assert set(manifest["files"]) == {*graphs, "MODEL_CARD.md"}


def test_onnx_graphs_name_their_tensors_and_leave_batch_and_time_open(exported):
    graph = onnx.load(exported.folder / ONNX).graph
    (features,) = graph.input
    assert features.name == "input_features"
    assert [d.dim_param or d.dim_value for d in features.type.tensor_type.shape.dim] == [
        "batch",
        "time",
        15,
    ]
    assert [output.name for output in graph.output] == ["error_x", "error_y"]


def test_no_path_of_the_exporting_machine_is_in_the_files(exported):
    here = str(export.__file__).removesuffix("/src/trajerr/exporting/export.py").encode()
    for name in (ONNX, ONNX_STEP, ONNX_GUIDED, ONNX_INT8):
        assert here not in (exported.folder / name).read_bytes(), name


def test_stepping_equals_the_window(exported, base, real_features):
    session = onnxruntime.InferenceSession(str(exported.folder / ONNX_STEP))
    window = real_features[3]
    state = {node.name: np.zeros(node.shape, np.float32) for node in session.get_inputs()[1:]}
    stepped = []
    for row in window:
        error_x, error_y, *after = session.run(None, {"sample": row[None], **state})
        state = dict(zip(state, after, strict=True))
        stepped.append([error_x[0], error_y[0]])
    with torch.inference_mode():
        whole = base.network(torch.from_numpy(window[None]))[0].numpy()
    np.testing.assert_allclose(stepped, whole, rtol=0.0, atol=TOLERANCE_MM)


def test_the_cost_of_int8_is_measured_on_the_test_split(exported, prepared):
    split = open_split(prepared, "test")
    wrong, moved = [], []
    for sequence in split.sequences:
        for start in range(0, len(sequence) - 127, 128):
            rows = slice(start, start + 128)
            window = sequence.features[rows].numpy()[None]
            small = onnx_errors(exported.folder / ONNX_INT8, window)[0]
            wrong.append(small - sequence.targets[rows].numpy())
            moved.append(small - onnx_errors(exported.folder / ONNX, window)[0])
    said = open_bundle(exported.folder).manifest["int8"]
    assert said["windows"] == len(wrong)
    assert said["int8"]["mae_mm"] == pytest.approx(np.mean(np.abs(wrong)), rel=1e-3)
    assert said["rms_difference_mm"] == pytest.approx(np.sqrt(np.mean(np.square(moved))), rel=1e-2)
    assert 0.0 < said["rms_difference_mm"] < 0.1 * said["float32"]["rmse_mm"]
    weights = (exported.folder / ONNX).stat().st_size
    assert (exported.folder / ONNX_INT8).stat().st_size < 0.6 * weights


@pytest.fixture
def faulty(monkeypatch):
    """Replace the ONNX writer by one that is quick and whose graph says what it is told."""

    def replace(spoil) -> None:
        def write(network, path):
            path.write_bytes(b"graph")
            return lambda windows: spoil(network(torch.from_numpy(windows)).detach().numpy())

        monkeypatch.setattr(export, "WRITERS", {"onnx": (ONNX, write)})
        monkeypatch.setattr(export, "write_step", lambda network, path: path.write_bytes(b"step"))
        monkeypatch.setattr(export, "_step_parity", lambda *_: 0.0)
        monkeypatch.setattr(export, "_latency", lambda *_: {})

    return replace


@pytest.mark.parametrize(
    ("spoil", "difference"),
    [
        (lambda error: error + 2e-4, "2.00e-04"),
        (lambda error: np.full_like(error, np.nan), "inf"),
        (lambda error: error[:1], "inf"),  # a batch that was frozen
    ],
)
def test_a_graph_that_differs_leaves_the_old_bundle_alone(
    plain, tmp_path, faulty, spoil, difference
):
    target = tmp_path / "bundle"
    faulty(lambda error: error)
    export_bundle(plain.path, target, ["onnx"])
    before = (target / "bundle.json").read_bytes()
    faulty(spoil)
    with pytest.raises(BundleError, match=f"differs from the network by {difference} mm"):
        export_bundle(plain.path, target, ["onnx"])
    assert (target / "bundle.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.fixture
def little_room():
    """No file may grow beyond 10 kB: a write fails halfway, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", export.FORMATS)
def test_a_graph_that_finds_no_room_ends_in_an_error_and_leaves_nothing(
    plain, tmp_path, little_room, name
):
    with pytest.raises(OSError, match="File too large") as refused:
        export_bundle(plain.path, tmp_path / "bundle", [name])
    assert refused.value.filename == str(tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_a_failed_first_export_leaves_nothing(plain, tmp_path, faulty):
    faulty(lambda error: error + 1.0)
    with pytest.raises(BundleError, match="no bundle was written"):
        export_bundle(plain.path, tmp_path / "bundle", ["onnx"])
    assert not list(tmp_path.iterdir())


def test_a_model_of_measured_motion_exports_without_printer(make_checkpoint, tmp_path, faulty):
    faulty(lambda error: error)
    checkpoint = make_checkpoint("lstm", with_printer=False)
    export_bundle(checkpoint.path, tmp_path / "bundle", ["onnx"])
    assert open_bundle(tmp_path / "bundle").manifest["printer"] is None


def test_windows_of_the_check_are_real_and_varied(base):
    windows = export.real_windows(export.load_checkpoint(base.path))
    assert windows.shape == (33, 200, 15)
    speed = windows[..., FEATURES.index("v_mag")]
    assert speed.max() > 20.0
    assert len(np.unique(windows[:, 0, :2], axis=0)) > 20


@pytest.mark.parametrize(
    ("formats", "arguments", "message"),
    [
        (["onnx", "tflite"], {}, r"format: got \[onnx, tflite\], expected some of"),
        ([], {}, r"format: got \[\], expected some of"),
        (
            ["onnx"],
            {"quantize": True},
            "data_root: got null, expected the folder that prepare wrote",
        ),
        (["pt2"], {"quantize": True}, r"format: got \[pt2\], expected onnx among them"),
    ],
)
def test_requests_that_contradict_themselves_are_refused(
    base, tmp_path, formats, arguments, message
):
    with pytest.raises(ConfigError, match=message):
        export_bundle(base.path, tmp_path / "bundle", formats, **arguments)
    assert not list(tmp_path.iterdir())


def test_int8_is_not_judged_on_other_data(base, prepared, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    stats = json.loads((prepared / "stats.json").read_text())
    (other / "stats.json").write_text(json.dumps({**stats, "identity": "0" * 64}))
    (other / "test").symlink_to(prepared / "test")
    with pytest.raises(DataError, match="may hold layers that were trained on"):
        export_bundle(base.path, tmp_path / "b", ["onnx"], quantize=True, data_root=other)


def test_a_network_that_does_not_rest_at_zero_has_no_step_graph(base, tmp_path, monkeypatch):
    monkeypatch.setattr(base.network, "initial_state", lambda _: [torch.ones(1)], raising=False)
    with pytest.raises(BundleError, match="state at rest is not zero"):
        graphs.write_step(base.network, tmp_path / ONNX_STEP)


def test_a_network_that_cannot_be_exported_ends_in_one_line(tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, features):
            return features[..., :2] if float(features.sum()) > 0 else features[..., 2:4]

    with pytest.raises(BundleError, match=r"model\.onnx: cannot be exported") as refused:
        graphs.write_onnx(Odd(), tmp_path / ONNX)
    assert "\n" not in str(refused.value)
