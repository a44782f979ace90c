"""The page in a real browser, as a reader would open it: from disk, without a network."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from tests import chromium

SIZE = "--window-size=1100,1600"


@pytest.fixture
def page(results: Path) -> Path:
    return results / "report.html"


@pytest.fixture
def browse(page: Path, tmp_path: Path):
    """Open a page at an address and return what the browser prints with a flag."""

    def opened(address: str, flag: str, page: Path = page) -> str:
        return chromium.browse(page, tmp_path / "profile", SIZE, flag, address=address)

    return opened


class _References(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [v for k, v in attrs if k in ("src", "href", "srcset", "action", "data")]
        assert tag not in ("link", "iframe", "object", "embed", "base")


def test_the_page_refers_to_nothing_outside_itself(page):
    text = page.read_text(encoding="utf-8")
    references = _References()
    references.feed(text)
    assert references.found
    assert all(reference.startswith("data:image/png;base64,") for reference in references.found)
    assert "@import" not in text
    assert "url(" not in text
    assert re.search(r"Content-Security-Policy\" content=\"default-src 'none'", text)


def test_the_page_says_what_it_was_made_from_and_escapes_it(page, checkpoints):
    text = page.read_text(encoding="utf-8")
    assert "<script>alert(1)</script>" not in text
    assert "<script>alert(1)</script>" in unescape(text)
    assert str(checkpoints["lstm"]) in text
    assert "checkpoint_sha256" in text
    assert "Not unseen data: 6 layers" in text


def test_the_view_shows_what_its_address_says(browse):
    shown = browse("layer=2&show=residual&gain=50", "--dump-dom")
    assert 'data-ready="1"' in shown
    assert "residual / µm" in shown
    assert re.search(r'id="layer-count">2 of 12<', shown)
    other = browse("layer=3&show=speed&travel=1", "--dump-dom")
    assert "commanded speed / mm/s" in other
    names = [re.search(r'id="name">([^<]+)<', text)[1] for text in (shown, other)]
    assert names[0] != names[1]
    segments = [int(re.search(r'data-segments="(\d+)"', text)[1]) for text in (shown, other)]
    assert segments[1] > segments[0] > 500  # travel adds to the path


def test_an_address_that_makes_no_sense_shows_the_first_layer(browse):
    shown = browse("layer=99999&show=nonsense&gain=x", "--dump-dom")
    assert re.search(r'id="layer-count">12 of 12<', shown)
    assert "true error / µm" in shown


def test_the_canvas_is_painted(browse, tmp_path):
    browse("layer=1&show=error", f"--screenshot={tmp_path / 'page.png'}")
    picture = imread(tmp_path / "page.png")[..., :3]
    spread = picture.max(axis=2) - picture.min(axis=2)
    colourful = np.argwhere(spread > 0.35)
    assert len(colourful) > 2000
    assert np.ptp(colourful[:, 0]) > 300  # the path, not only the legend and the verdict


ACT = """<script>
const act = (id, value) => {
  const input = document.getElementById(id);
  input.value = value;
  input.dispatchEvent(new Event("input"));
};
act("layer", 4);
act("gain", 100);
const canvas = document.getElementById("view"), box = canvas.getBoundingClientRect();
const spot = { clientX: box.x + 300, clientY: box.y + 200 };
canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, ...spot }));
for (let x = 0; x < box.width && !document.getElementById("readout").textContent; x += 5) {
  const place = { clientX: box.x + x, clientY: box.y + box.height / 2 };
  canvas.dispatchEvent(new PointerEvent("pointermove", place));
}
</script></body>"""


def test_slider_wheel_and_pointer_work(browse, page, tmp_path):
    played = tmp_path / "played.html"
    played.write_text(page.read_text(encoding="utf-8").replace("</body>", ACT), encoding="utf-8")
    shown = browse("layer=1", "--dump-dom", played)
    assert re.search(r'id="layer-count">5 of 12<', shown)
    assert re.search(r'id="gain-value">× 100<', shown)
    assert re.search(r'id="readout">[\d.]+ s .* true \([−\d.]+, [−\d.]+\) µm', shown)
