"""The layer viewer: what is packed is what was given, and a browser draws it."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from tests.chromium import DARK, browse
from trajerr.reports.markup import page
from trajerr.reports.viewer import layer_viewer, viewer_script, viewer_style
from trajerr.reports.viewer_data import Quantity, Track, ViewedLayer, viewer_data

QUANTITIES = {"contour": Quantity("contour error", "µm"), "speed": Quantity("speed", "mm/s", 80.0)}
SQUARE = np.array([[80.0, 80.0], [140.0, 80.0], [140.0, 140.0], [80.0, 140.0], [80.0, 80.0]])


def walls(amplitude: float, name: str) -> Track:
    """Two squares, one within the other, each an uninterrupted stretch that rings."""
    s = np.arange(0.0, 240.0, 0.05)
    outer = np.column_stack([np.interp(s, 60.0 * np.arange(5), SQUARE[:, i]) for i in range(2)])
    path = np.concatenate([outer, 110.0 + 0.9 * (outer - 110.0)])
    wave = np.tile(amplitude * np.exp(-(s % 60.0) / 4.0) * np.cos(2.0 * s), 2)
    deviation = np.column_stack([wave, -0.5 * wave])
    values = {"contour": 1000.0 * np.abs(wave), "speed": np.tile(20.0 + s / 4.0, 2)}
    return Track(name, path, np.array([0, len(s)]), values, deviation)


def layers(count: int) -> list[ViewedLayer]:
    tracks = [walls(0.05, "as sliced"), walls(0.005, "<b>corrected</b>")]
    return [ViewedLayer(n, 0.2 * n, tracks, [SQUARE]) for n in range(1, count + 1)]


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def positions(packed: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, 2) mm and the starts, by a plain loop."""
    starts = unpacked(packed["starts"], "<i4").tolist()
    origin = unpacked(packed["origin"], "<i4").reshape(-1, 2)
    steps = unpacked(packed["step"], "<i2").reshape(-1, 2)
    place, found = np.zeros(2), []
    for i, step in enumerate(steps):
        place = origin[starts.index(i)] if i in starts else place + step
        found.append(place)
    return np.array(found) / 1000.0, np.array(starts)


def test_what_is_packed_is_what_was_given_within_a_micrometre():
    track = walls(0.05, "as sliced")
    data = viewer_data(layers(1), QUANTITIES)
    packed = data["layers"][0]["tracks"][0]
    path, starts = positions(packed)
    assert len(path) < len(track.path) / 4
    np.testing.assert_allclose(path[starts], track.path[track.starts], atol=5.1e-4)
    off = unpacked(packed["off"], "<i2").reshape(-1, 2) * packed["off_unit"]
    contour = unpacked(packed["values"]["contour"], "<u2") * packed["units"]["contour"]
    # Along each stretch, both are drawn as lines between samples.
    for begin, finish, first, last in (
        (0, len(track.path) // 2, 0, starts[1]),
        (len(track.path) // 2, len(track.path), starts[1], len(path)),
    ):
        corner = path[first:last]
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corner, axis=0), axis=1))])
        whole = track.path[begin:finish]
        at = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(whole, axis=0), axis=1))])
        for wanted, got, within in (
            (whole, corner, 0.0025),
            (track.deviation[begin:finish], off[first:last], 0.003),
            (track.values["contour"][begin:finish, None], contour[first:last, None], 3.0),
        ):
            for column in range(wanted.shape[1]):
                drawn = np.interp(at, along, got[:, column])
                assert np.max(np.abs(drawn - wanted[:, column])) < within


def test_long_lines_are_split_so_that_their_steps_fit():
    line = np.array([[0.0, 5.0], [250.0, 5.0]])
    far = Track("a", np.array([[0.0, 0.0], [0.0, 220.0], [-200.0, 3.0]]), np.array([0, 2]))
    data = viewer_data([ViewedLayer(1, 0.2, [far], [line])], {})
    path, starts = positions(data["layers"][0]["tracks"][0])
    np.testing.assert_allclose(path[starts], [[0.0, 0.0], [-200.0, 3.0]])
    np.testing.assert_allclose(path[starts[1] - 1], [0.0, 220.0])
    nominal, _ = positions(data["layers"][0]["nominal"])
    np.testing.assert_allclose(nominal[[0, -1]], line)
    assert np.all(nominal[:, 1] == 5.0)


def test_a_bounded_page_keeps_layers_evenly_and_says_of_how_many():
    whole = viewer_data(layers(30), QUANTITIES)
    assert [layer["number"] for layer in whole["layers"]] == list(range(1, 31))
    one = len(layer_viewer(layers(1), QUANTITIES))
    data = viewer_data(layers(30), QUANTITIES, most_bytes=10 * one)
    numbers = [layer["number"] for layer in data["layers"]]
    assert 8 <= len(numbers) <= 11
    assert set(np.diff(numbers)) <= {2, 3, 4}
    assert data["of_layers"] == 30
    coarse = viewer_data(layers(1), QUANTITIES, most_bytes=one // 4)
    assert coarse["layers"][0]["tolerance_um"] > 1.0


def ringing(size_mm: float, off_mm: float) -> ViewedLayer:
    """One square as large as is said, whose nozzle is off by as much, and half of it not at all."""
    path = SQUARE / 60.0 * size_mm
    off = np.where(np.arange(len(path))[:, None] % 2 == 0, [[off_mm, 0.0]], 0.0)
    return ViewedLayer(1, 0.2, [Track("a", path, np.array([0]), {}, off)], [path])


@pytest.mark.parametrize(
    ("size_mm", "off_mm", "gain"),
    [(60.0, 0.05, 20), (12.0, 0.1, 2), (200.0, 0.06, 50), (5.0, 0.2, 1), (200.0, 1e-4, 500)],
)
def test_deviations_are_drawn_as_large_as_the_part_wants(size_mm, off_mm, gain):
    data = viewer_data([ringing(size_mm, off_mm)], {})
    assert data["gain"] == gain
    assert data["gain"] in data["gains"]
    drawn = data["gain"] * off_mm / size_mm
    assert 0.008 < drawn < 0.03 or gain in (1, 500)


def test_deviations_of_nothing_are_drawn_as_they_are():
    plain = Track("a", SQUARE, np.array([0]))
    for track in (plain, Track("a", SQUARE, np.array([0]), {}, np.zeros_like(SQUARE))):
        assert viewer_data([ViewedLayer(1, 0.2, [track])], {})["gain"] == 1
    assert viewer_data([ViewedLayer(1, 0.2, [])], {})["gain"] == 1


def test_no_layer_is_refused():
    with pytest.raises(ValueError, match="expected at least one"):
        viewer_data([], QUANTITIES)


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    body = layer_viewer(layers(5), QUANTITIES, of_layers=40, in_address=True)
    path = tmp_path / "viewer.html"
    script = f"<script>{viewer_script()}</script>"
    path.write_text(page("viewer", body, script, viewer_style(), dark=True), encoding="utf-8")
    return path


def test_a_browser_shows_what_the_address_says(shown, tmp_path):
    dom = browse(
        shown, tmp_path / "p", "--dump-dom", address="layer=4&gain=100&colour=contour&side=1"
    )
    assert 'data-ready="1"' in dom
    assert "layer 4, z 0.80 mm" in dom
    assert "× 100" in dom
    assert "contour error / µm" in dom
    assert "5 of 40 layers" in dom
    assert "<b>corrected</b>" not in dom  # it is a name, not markup
    assert int(re.search(r'data-segments="(\d+)"', dom)[1]) > 200


ACT = """<script>
const root = document.querySelector("[data-layer-viewer]");
const canvas = root.querySelector("canvas"), viewer = window.trajerrViewer.of(root);
setTimeout(() => {
  viewer.paint();  // at once: a browser without a screen draws no frame that could be waited for
  const key = (name) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
  const before = { ...viewer.view };
  key("+");
  key("ArrowLeft");
  root.dataset.zoomed = String(viewer.view.zoom / before.zoom);
  root.dataset.panned = String(viewer.view.x < before.x);
  key("PageUp");
  key("0");
  viewer.paint();
  const box = canvas.getBoundingClientRect();
  const told = () => root.querySelector(".lv-readout").textContent;
  for (let y = 0; y < box.height && !told(); y += 4) {
    const place = { clientX: box.x + box.width / 2, clientY: box.y + y };
    canvas.dispatchEvent(new PointerEvent("pointermove", place));
  }
}, 200);
</script></body>"""


def test_it_begins_with_the_gain_that_the_part_wants(shown, tmp_path):
    dom = browse(shown, tmp_path / "p", "--dump-dom", address="layer=2")
    gain = viewer_data(layers(5), QUANTITIES)["gain"]
    assert f"× {gain}<" in dom


def test_keys_and_pointer_work(shown, tmp_path):
    played = tmp_path / "played.html"
    played.write_text(shown.read_text(encoding="utf-8").replace("</body>", ACT), encoding="utf-8")
    dom = browse(played, tmp_path / "p", "--dump-dom", address="layer=2")
    assert "layer 3, z 0.60 mm" in dom
    assert 'data-zoomed="1.25"' in dom
    assert 'data-panned="true"' in dom
    assert re.search(
        r'lv-readout"[^>]*>(as sliced|&lt;b&gt;corrected).* · x [\d.]+ y [\d.]+ mm', dom
    )


def colourful(picture: Path) -> tuple[np.ndarray, float]:
    image = imread(picture)[..., :3]
    return image.max(axis=2) - image.min(axis=2) > 0.35, float(np.median(image))


@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_painted_light_and_dark_on_screens_of_any_width(shown, tmp_path, width):
    grounds = []
    for name, flags in (("light", ()), ("dark", (DARK,))):
        path = tmp_path / f"{name}.png"
        size = f"--window-size={width},1100"
        address = "layer=3&gain=50"
        browse(shown, tmp_path / "p", *flags, size, f"--screenshot={path}", address=address)
        lines, ground = colourful(path)
        assert np.ptp(np.argwhere(lines)[:, 0]) > 200  # the path, not the controls alone
        grounds.append(ground)
    assert grounds[0] > 0.9 > 0.2 > grounds[1]
