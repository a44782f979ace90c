"""Words and lines stand out from their ground, light and dark, as WCAG 2.1 asks.

*Web Content Accessibility Guidelines* 2.1: relative luminance and contrast ratio as defined there;
4.5 is asked of text (1.4.3), 3 of what else has to be seen (1.4.11).
"""

import re
from importlib.resources import files
from itertools import product

import pytest

TEXT, LINES = 4.5, 3.0
VARIABLE = re.compile(r"--([\w-]+):\s*(#[0-9a-f]{3,6})\b")
GROUNDS, WORDS = ("paper", "panel"), ("ink", "soft", "accent", "good", "bad")
CHECKS = {  # of each sheet: what lies on what, and the contrast that is asked for
    ("trajerr.workbench", "workbench.css"): [
        *((a, b, TEXT) for a, b in product(WORDS, GROUNDS)),  # soft: of fields' borders as well
        ("on-accent", "accent", TEXT),
        ("ink", "warn", TEXT),
        ("bad", "warn", LINES),
    ],
    ("trajerr.reports", "report.css"): [
        *((a, b, TEXT) for a, b in product(WORDS, GROUNDS)),
        ("ink", "mild", TEXT),
    ],
    ("trajerr.reports", "viewer.css"): [
        *((f"lv-{a}", f"lv-{b}", TEXT) for a, b in product(("ink", "soft"), GROUNDS)),
        *((f"lv-track-{i}", "lv-paper", LINES) for i in range(4)),
        *(("lv-accent", f"lv-{b}", LINES) for b in GROUNDS),
    ],
}


def schemes(package: str, name: str) -> dict[str, dict[str, str]]:
    """Return the colours of a style sheet, light and dark."""
    text = files(package).joinpath("assets", name).read_text(encoding="utf-8")
    light, found, dark = text.partition("@media (prefers-color-scheme: dark)")
    assert found
    dark = dark.partition("\n}")[0] if "\n}" in dark else dark.partition("} }")[0]
    return {"light": dict(VARIABLE.findall(light)), "dark": dict(VARIABLE.findall(dark))}


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255.0 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_contrast_that_the_guidelines_give():
    assert contrast("#000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sheet", CHECKS, ids=lambda sheet: sheet[1])
def test_words_and_lines_stand_out(sheet, scheme):
    colours = schemes(*sheet)[scheme]
    found = {f"{a} on {b}": contrast(colours[a], colours[b]) for a, b, _ in CHECKS[sheet]}
    asked = {f"{a} on {b}": least for a, b, least in CHECKS[sheet]}
    assert {pair: value for pair, value in found.items() if value < asked[pair]} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_colour_of_a_scale_is_seen_and_more_is_lighter(scheme):
    sheet = ("trajerr.reports", "viewer.css")
    paper = schemes(*sheet)[scheme]["lv-paper"]
    script = files(sheet[0]).joinpath("assets", "viewer.js").read_text(encoding="utf-8")
    ramp = re.findall(r"#[0-9a-f]{6}", re.search(rf"\b{scheme}: \[([^\]]+)\]", script)[1])
    assert len(ramp) >= 5
    assert min(contrast(colour, paper) for colour in ramp) >= LINES
    # Who sees no colours still sees more and less: it becomes lighter from end to end.
    assert sorted(ramp[1:], key=luminance) == ramp[1:]
