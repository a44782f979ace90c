"""The site's pages: all in its navigation, what they name is there, nothing from elsewhere."""

import importlib.util
import re
import types
from pathlib import Path

import pytest
import yaml

from tests.paths import PROJECT

DOCS = PROJECT / "docs"
STANDINGS = {"solid", "simulated only", "exploratory", "not done"}


class Loader(yaml.SafeLoader):
    """Reads MkDocs' own tags as words."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda _, name, __: name)


def site() -> dict:
    return yaml.load((PROJECT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)  # noqa: S506


def script(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, PROJECT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages(nav: list) -> list[str]:
    found = []
    for entry in nav:
        (value,) = entry.values()
        found += pages(value) if isinstance(value, list) else [value]
    return found


def rows() -> list[list[str]]:
    text = (DOCS / "status.md").read_text(encoding="utf-8")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [line for line in lines if line[1] != "standing"]


def test_every_page_is_in_the_navigation():
    listed = pages(site()["nav"])
    assert len(listed) == len(set(listed))
    assert set(listed) == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


def test_every_picture_is_there_and_shown():
    shown = set()
    for page in DOCS.glob("*.md"):
        for place in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (DOCS / place).is_file(), f"{page.name}: {place}"
            shown.add(place)
    assert shown == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.png")}


def test_the_gallery_takes_what_it_shows(tmp_path):
    gallery = script("make_gallery")
    assert set(gallery.PICTURES) == {path.stem for path in gallery.GALLERY.glob("*.png")}


def test_each_status_has_a_standing_and_what_shows_it():
    assert len(rows()) > 20
    for feature, standing, *shown in rows():
        assert standing.rstrip(" |") in STANDINGS, feature
        assert any(shown) == (standing.rstrip(" |") != "not done"), feature


def test_what_shows_a_status_is_there():
    named = re.findall(
        r"`((?:tests|benchmarks|docs|scripts|\.github)/[\w./-]+)`",
        (DOCS / "status.md").read_text(encoding="utf-8"),
    )
    assert len(named) > 30
    assert [place for place in named if not (PROJECT / place).exists()] == []


def test_the_readme_brings_what_the_results_say():
    brings = (PROJECT / "README.md").read_text(encoding="utf-8").split("## What it brings")[1]
    figure = re.compile(r"−?\d+(?:\.\d+)+|−\d+")
    stated = figure.findall(brings.split("\n## ")[0])
    pages = [(DOCS / page).read_text(encoding="utf-8") for page in ("results.md", "firmware.md")]
    assert len(stated) > 30
    assert set(stated) - set(figure.findall("\n".join(pages))) == set()


def executed() -> dict[str, list[tuple[float, float]]]:
    """Gains in per cent of corrected files that firmware ran, promised and executed."""
    section = (
        (DOCS / "firmware.md").read_text(encoding="utf-8").split("## Corrected files, executed")[1]
    )
    found: dict[str, list[tuple[float, float]]] = {"Klipper": [], "Marlin": []}
    firmware = ""
    for line in section.split("\n## ")[0].splitlines():
        gains = re.findall(r"µm, −(\d+\.\d) %", line)
        if line.startswith("| ") and gains:
            firmware = line.strip("| ").split()[0] if line[2] != "|" else firmware
            promised, ran = map(float, gains)
            found[firmware].append((promised, ran))
    return found


def test_the_readme_says_what_firmware_made_of_corrected_files():
    readme = " ".join((PROJECT / "README.md").read_text(encoding="utf-8").split())
    (within,) = re.findall(r"promised within (\d\.\d) points", readme)
    for firmware, gains in executed().items():
        assert len(gains) >= 6
        ran = [gain for _, gain in gains]
        assert f"−{min(ran)} to −{max(ran)} % on {firmware}" in readme
        assert max(abs(promised - gain) for promised, gain in gains) <= float(within)


def test_the_theme_loads_nothing_from_elsewhere():
    settings = site()
    assert settings["theme"]["font"] is False
    assert not {"repo_url", "extra_javascript", "extra_css"} & set(settings)
    assert "analytics" not in settings["extra"]


@pytest.mark.parametrize(
    ("html", "loads"),
    [
        ('<script src="https://elsewhere.org/a.js"></script>', 1),
        ('<link rel="stylesheet" href="//elsewhere.org/a.css">', 1),
        ('<img src="http://elsewhere.org/a.png">', 1),
        ('<a href="https://elsewhere.org/">there</a><img src="own.png">', 0),
        ('<link rel="canonical" href="https://trajerr.github.io/">', 0),
    ],
)
def test_a_page_that_loads_from_elsewhere_is_found(tmp_path: Path, html: str, loads: int):
    page = tmp_path / "index.html"
    page.write_text(html, encoding="utf-8")
    assert len(script("check_site").foreign(page)) == loads
