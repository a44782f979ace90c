"""What came of a piece of work, in words, tables and views, as HTML."""

import json
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from trajerr.commands.quoting import stated
from trajerr.errors import DataError
from trajerr.workbench.command_lines import PRINTS
from trajerr.workbench.elements import download, href, pictures, table, tiles, view
from trajerr.workbench.folder import Folder
from trajerr.workbench.work import Work

UM = 1000.0  # µm per mm
LEAST_DAMPING = 1e-3
JUDGED = {  # what a network is compared with
    "zero": "no prediction at all",
    "fir": "the best linear filter",
    "physics": "the calibrated printer",
}
WORD = {"x": "x (left and right)", "y": "y (front and back)"}


def outcome(work: Work, folder: Folder) -> str:
    """Return what a piece of work that is done has brought.

    Raises
    ------
    DataError
        If what it wrote is gone or damaged.
    """
    shown: dict[str, Callable[[Work, Folder], str]] = {
        "file": _file,
        "printer": _printer,
        "learn": _learnt,
        "correct": _corrected,
    }
    return shown[work.kind](work, folder)


def _file(work: Work, folder: Folder) -> str:
    said = _read(folder, work.results["understood"])
    summary = said["summary"]
    heights = said["layer_heights_mm"]
    numbers = tiles(
        (duration(summary["print_time_s"]), "print time, as the firmware plans it"),
        (f"{summary['layers']:,}", "layers" + (f", up to {heights[1]:.1f} mm" if heights else "")),
        (f"{summary['fed_mm'] / UM:.2f} m", "filament"),
        (f"{said['lines']:,}", "lines"),
    )
    about = table(
        ("", ""),
        [
            ("made by", said["generator"] or "the file does not say"),
            ("container", said["container"]),
            ("read by the rules of", f"{said['firmware']} ({said['printer']})"),
            ("kinematics", said["kinematics"]),
        ],
    )
    features = _features(summary["time_by_feature_s"])
    limits = table(
        ("limit", "machine", "file"),
        [
            (name.replace("_", " "), _short(value), _short(said["limits"]["file"].get(name, "")))
            for name, value in said["limits"]["machine"].items()
        ],
    )
    unknown = [f"{name} ({count})" for name, count in said["unknown_commands"].items()]
    return (
        f"{numbers}{_remarks(said['remarks'], unknown, said['unwritable'])}"
        f"<h2>Layers</h2>{view(work.results['viewer'], 'layers of the file')}"
        f'<p class="note">{escape(said["thinning"])}</p>'
        f'<div class="columns"><div><h2>What was understood</h2>{about}</div>'
        f"<div><h2>Where the time goes</h2>{features}</div></div>"
        f"<details><summary>Limits of speed and acceleration</summary>{limits}</details>"
        f'<p><a class="button" href="/correct?gcode={quote(work.form["gcode"])}">'
        "Correct this file</a></p>"
    )


def _features(seconds: Mapping[str, float]) -> str:
    total = sum(seconds.values()) or 1.0
    rows = [
        (name.replace("_", " "), duration(value), f"{100 * value / total:.0f} %")
        for name, value in sorted(seconds.items(), key=lambda pair: -pair[1])
    ]
    return table(("", "time", "share"), rows)


def _remarks(remarks: Sequence[str], unknown: Sequence[str], unwritable: Sequence[str]) -> str:
    parts = list(remarks)
    if unknown:
        parts.append(
            "Commands that trajerr does not know; it takes the motion to rest at each: "
            + ", ".join(unknown[:12])
        )
    if unwritable:
        parts.append(f"Lines that no correction can stand beside: {'; '.join(unwritable[:5])}")
    if not parts:
        return '<p class="good">All of the file was understood.</p>'
    items = "".join(f"<li>{escape(part)}</li>" for part in parts)
    return f'<div class="warning"><b>Worth knowing</b><ul>{items}</ul></div>'


def _printer(work: Work, folder: Folder) -> str:
    if "to_run" in work.results:
        return _to_run(work)
    found = _read(folder, work.results["found"])
    axes = found.get("axes", {})
    sentences = "".join(_axis(axis, said) for axis, said in axes.items())
    rows = [
        (axis, name, f"{said[key]['value'] * by:.5g}", _interval(said[key], by))
        for axis, said in axes.items()
        for key, (name, by) in _MEASURED.items()
        if key in said
    ]
    head = ("axis", "value", "found", "95 of 100 times within")
    numbers = f"<h2>In numbers</h2>{table(head, rows)}" if rows else ""
    name = work.form["name"]
    return (
        f"{sentences}{_stated(found)}{numbers}{pictures(folder, work.results['pictures'])}"
        f"<p>The printer is called <b>{escape(name)}</b> now and can be chosen everywhere. "
        f'<a class="button" href="/learn?printer={quote(name)}">Learn it</a> '
        f"{download(work.results['printer'], 'Download its config', quiet=True)}</p>"
    )


def _to_run(work: Work) -> str:
    file = work.results["to_run"]
    look = quote(file)
    return (
        '<p class="finding">The file is written for this printer, within its bed and limits. Look '
        "at it before you run it, and stay with the printer while it runs.</p>"
        f'<p class="row">{download(file, "Download it")} '
        f'<a class="button quiet" href="/file?gcode={look}&printer={quote(work.form["base"])}">'
        "Look at it</a></p>"
    )


def _stated(found: Mapping[str, Any]) -> str:
    """Return what a machine's own file says, and what of it was not understood."""
    if "stated" not in found:
        return ""
    rows = [(key, words) for key, words in found["stated"].items()]
    notes = list(found["notes"])
    notes += [
        f"not understood: {word['name']} {word['value']} ({word['place']})"
        for word in found["not_understood"]
    ]
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    told = f'<div class="warning"><b>Worth knowing</b><ul>{items}</ul></div>' if notes else ""
    beside = [(word["place"], word["name"], word["value"]) for word in found["understood_beside"]]
    rest = f"{len(beside)} further lines are understood, but are no part of a printer here"
    more = f"<details><summary>{rest}</summary>{table(('', '', ''), beside)}</details>"
    return f"{told}<h2>What the file says</h2>{table(('key', 'by'), rows)}{more if beside else ''}"


_MEASURED = {
    "natural_freq_hz": ("natural frequency / Hz", 1.0),
    "damping_ratio": ("damping ratio", 1.0),
    "friction_mm_s2": ("friction over mass / mm s⁻²", 1.0),
    "delay_s": ("delay / ms", 1000.0),
}


def _axis(axis: str, said: Mapping[str, Any]) -> str:
    """Return what was found of one axis in words."""
    natural = said["natural_freq_hz"]
    words = (
        f"Along <b>{WORD.get(axis, axis)}</b> the printer swings <b>{natural['value']:.1f}</b> "
        f"times a second; the recording leaves room for {natural['low']:.2f} to "
        f"{natural['high']:.2f}."
    )
    if "damping_ratio" in said:
        words += _damped(said["damping_ratio"]["value"])
    if "shaper" in said:
        choice = said["shaper"]
        words += (
            f" If you use Klipper's input shaper: {escape(choice['name'].upper())} at "
            f"{choice['frequency_hz']:.1f} Hz."
        )
    return f'<p class="finding">{words}</p>'


def _damped(ratio: float) -> str:
    # Amplitude falls by exp(−2πζ) a swing (the logarithmic decrement of small damping).
    swings = max(1, round(math.log(10.0) / (2.0 * math.pi * max(ratio, LEAST_DAMPING))))
    return f" After {swings} swing{'s' if swings > 1 else ''} a tenth of it is left."


def _learnt(work: Work, folder: Folder) -> str:
    bundle = work.results["bundle"]
    manifest = _read(folder, f"{bundle}/bundle.json")
    printer = (manifest.get("printer") or {}).get("name", "a printer that was measured")
    return (
        f'<p class="finding">The bundle <b>{escape(bundle)}</b> is written. It has learnt the '
        f"motion of {escape(str(printer))}, and every graph in it computes what the network does."
        f"</p>{_machine(work, folder)}"
        f'<p class="row"><a class="button" href="/correct?bundle={quote(bundle)}">'
        "Correct a file with it</a> "
        f'<a class="button quiet" href="/file?bundle={quote(bundle)}">See what it predicts</a></p>'
    )


def _machine(work: Work, folder: Folder) -> str:
    """Return what the recording of a machine said of it, and what its network is worth."""
    if "worth" not in work.results:
        return ""
    said = _read(folder, work.results["worth"])
    axes = _read(folder, work.results["found"]).get("axes", {})
    judged = {"this network": said} | said.get("baselines", {})
    rows = [
        (JUDGED.get(name, name), *(f"{UM * whole[key]:.1f} µm" for key in ("mae_mm", "rmse_mm")))
        for name, whole in (
            (name, each["trajectory"]["overall"])
            for name, each in judged.items()
            if "trajectory" in each
        )
    ]
    head = (
        "on recorded layers that it was not trained on",
        "off by, on average",
        "root mean square",
    )
    proof = ["python", "-m", "trajerr.calibrate", f"proof_print={PRINTS}/{work.form['name']}.gcode"]
    proof += [stated("gcode", work.form["printed"]), f"bundle={work.results['bundle']}"]
    return (
        f"{''.join(_axis(axis, found) for axis, found in axes.items())}{table(head, rows)}"
        "<p>Before you trust it, print a proof, half of it corrected, and look at it: "
        f"<code>{escape(shlex.join(proof))}</code></p>"
    )


def _corrected(work: Work, folder: Folder) -> str:
    if not folder.inside(work.results["corrected"]).is_file():
        return (
            '<p class="warning">Nothing was written: the correction would bring too little, so '
            "that the file is best left alone.</p>"
        )
    report = work.results["report"]
    said = _read(folder, f"{report}/correction.json")
    nominal = said["cases"]["nominal"]
    before, after = (
        nominal[name]["wall_contour_rms_um"] for name in ("uncorrected", said["method"])
    )
    path = work.results["corrected"]
    return (
        f'<p class="finding">Printed as sliced, the walls are <b>{before:.0f} µm</b> off their '
        f"path; corrected, <b>{after:.0f} µm</b> ({_signed(100 * (after / before - 1), '%')}), on "
        f"the simulated printer.</p><p>{download(path, 'Download the corrected file')}</p>"
        f'<p class="soft">It lies at <code>{escape(path)}</code> in the folder.</p>'
        f"{_report(folder, report)}"
    )


def _report(folder: Folder, report: str) -> str:
    """Return the report's page, with layers before and after."""
    page = f"{report}/correction.html"
    if not folder.inside(page).is_file():
        return ""
    return (
        f"<h2>Before and after</h2>{view(page, 'report of the correction', tall=True)}"
        f'<p><a href="{href(page)}" target="_blank" rel="noopener">Open the report on its own</a>'
        "</p>"
    )


def _signed(value: float, unit: str) -> str:
    return f"{value:+.0f} {unit}".replace("-", "−")


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def _read(folder: Folder, name: str) -> dict[str, Any]:
    path = folder.inside(name)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{name}: is gone, expected what this work wrote; do it again") from None
    except ValueError as error:
        raise DataError(f"{name}: damaged: {error}") from error
    return content


def _interval(estimate: Mapping[str, float], by: float) -> str:
    return f"{estimate['low'] * by:.5g} to {estimate['high'] * by:.5g}"


def _short(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value[:6]) + (" …" if len(value) > 6 else "")
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
