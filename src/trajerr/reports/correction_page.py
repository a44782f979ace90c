"""``correction.html``: what a correction brings, on one page. Needs no matplotlib."""

import os
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from trajerr.correction.compensate import Correction
from trajerr.correction.plausible import some_layers
from trajerr.correction.run import Prepared
from trajerr.metrics.closed_loop import UNCORRECTED, Replay
from trajerr.reports.corners import Corner, close_ups, worst
from trajerr.reports.correction_drawings import corner_figure, key, layer_chart
from trajerr.reports.correction_layers import AFTER, BEFORE, QUANTITIES, viewed_layer
from trajerr.reports.correction_tables import (
    costs,
    duration,
    method_name,
    methods,
    provenance,
    untouched,
)
from trajerr.reports.markup import asset, page, table
from trajerr.reports.viewer import layer_viewer, viewer_script, viewer_style
from trajerr.reports.viewer_data import ViewedLayer

PAGE = "correction.html"
LINK = b"; trajerr: report "
UM = 1000.0  # µm per mm
CORNERS = 6
LINES = (("nominal", "the path that is wanted"), ("before", BEFORE), ("after", AFTER))


def correction_page(
    prepared: Prepared, done: Correction, replay: Replay, record: Mapping[str, Any]
) -> str:
    """Return the page.

    Parameters
    ----------
    prepared, done
        What was corrected, and how it came out.
    replay
        Of both files.
    record
        The numbers of ``correction.json``.
    """
    corners: list[Corner] = []
    viewer = layer_viewer(
        _layers(prepared, done, replay, corners),
        QUANTITIES,
        of_layers=len(done.layers),
        in_address=True,
    )
    body = "\n".join(
        [
            _summary(prepared, done, record),
            "<h2>Layer by layer</h2>",
            "<p>Where the nozzle goes on the walls. How far it is off the path that is wanted is "
            "drawn larger, by as much as you choose.</p>",
            viewer,
            "<h2>The corners that were worst</h2>",
            _corners(worst(corners, CORNERS)),
            "<h2>Every layer, as the model predicts it</h2>",
            _by_layer(done),
            "<h2>Beside other remedies</h2>",
            methods(record),
            "<h2>What it costs</h2>",
            costs(record),
            "<h2>What was left as it was</h2>",
            untouched(prepared),
            "<h2>Settings and provenance</h2>",
            provenance(prepared, record),
        ]
    )
    script = f"<script>{viewer_script()}</script>\n"
    title = f"{replay.nominal.name}, corrected"
    return page(title, body, script, viewer_style() + asset("correction.css"), dark=True)


def link(folder: Path, corrected: Path) -> bytes:
    """Return a line of comment that says where a page is, relative to the corrected file.

    Parameters
    ----------
    folder
        Of the report.
    corrected
        Where the corrected file will lie.
    """
    way = Path(os.path.relpath((folder / PAGE).absolute(), corrected.absolute().parent))
    return LINK + quote(way.as_posix()).encode()  # whatever a name holds, it stays one line


def _layers(
    prepared: Prepared, done: Correction, replay: Replay, corners: list[Corner]
) -> Iterator[ViewedLayer]:
    """Yield layers to look at; their worst corners are added to a list on the way."""
    for number in some_layers(done.layers, prepared.run.page_layers):
        before = replay.walls(UNCORRECTED, number)
        after = replay.walls(prepared.run.method, number)
        corners += close_ups(number, before, after, CORNERS)
        yield viewed_layer(replay, number, before, after)


def _summary(prepared: Prepared, done: Correction, record: Mapping[str, Any]) -> str:
    method, cases = prepared.run.method, record["cases"]
    before, after = (
        cases["nominal"][name]["wall_contour_rms_um"] for name in (UNCORRECTED, method)
    )
    soft, stiff = (cases[case][method]["wall_contour_rms_um"] for case in ("soft", "stiff"))
    worst_um = [cases["nominal"][n]["wall_contour_max_um"] for n in (UNCORRECTED, method)]
    time_s, size = record["print_time_s"], record["file_bytes"]
    longer, larger = time_s["after"] / time_s["before"] - 1.0, size["after"] / size["before"]
    peak = record["board_load"]["after"]["commands_per_s"]["peak_1s"]
    limits, board = prepared.printer.limits, prepared.settings.board
    machine = f"{prepared.printer.name} with {_named_version(limits.firmware)}"
    change = after / before - 1.0 if before > 0.0 else 0.0
    tiles = [
        (f"{before:.1f} µm", "off its path as sliced"),
        (f"{after:.1f} µm", "left when corrected"),
        (_percent(change), "change of the error"),
        (_percent(longer, 2), f"print time, {duration(time_s['after'])}"),
        (f"× {larger:.2f}", f"size, {size['after'] / 1e6:.2f} MB"),
        (f"{peak:.0f} /s", "commands, in the busiest second"),
    ]
    shown = "".join(f'<div class="tile"><b>{a}</b><span>{escape(b)}</span></div>' for a, b in tiles)
    compared = len(record["layers_compared"])
    fits = (
        f"chosen so that board {board} takes it" if board else "with no board named to bound them"
    )
    notes = "".join(f'<p class="warning">{escape(note)}</p>' for note in prepared.notes)
    text = (
        f"<h1>{escape(record['source']['name'])}, corrected</h1>"
        f'<p class="soft">For {escape(machine)}: {escape(method_name(method))}, '
        f"{len(done.layers)} layer{'s' if len(done.layers) > 1 else ''}.</p>"
        f'<div class="tiles">{shown}</div>'
        f"<p><b>What was wrong.</b> Printed as sliced, this machine draws the walls "
        f"{before:.1f} µm off the path that the slicer asks for (root mean square), and "
        f"{worst_um[0]:.0f} µm where it is worst: the carriage swings behind corners and "
        "lags where it turns.</p>"
        f"<p><b>What is left.</b> Corrected, it is {after:.1f} µm, and {worst_um[1]:.0f} µm where "
        f"it is worst. If the machine is a tenth softer than it is taken for (by its natural "
        f"frequency), {soft:.1f} µm are left; if it is a tenth stiffer, {stiff:.1f} µm.</p>"
        f"<p><b>What it costs.</b> {_time_text(longer, time_s)} The file is {larger:.2f} times "
        f"as large. The printer gets up to {peak:.0f} commands in a second, {fits}.</p>"
        "<p><b>What was not touched.</b> All but the walls that were to be corrected and the "
        "travels into and out of them: those lines are the same, byte for byte. Nothing was "
        f"moved by more than {UM * done.largest_mm:.0f} µm.</p>"
        f'{notes}<p class="note">These numbers are simulated: both files were planned as the '
        f"firmware plans them and driven through the simulated printer, on {compared} of the "
        "corrected layers. They are as good as the printer's config is; no print was measured.</p>"
    )
    return text.replace(" µm", "\u00a0µm")  # a number stays beside its unit


def _named_version(firmware: str) -> str:
    """Return a firmware as people call it: ``marlin_2_1_2`` is marlin 2.1.2."""
    return re.sub(r"(?<=\d)_(?=\d)", ".", firmware).replace("_", " ")


def _percent(share: float, digits: int = 0) -> str:
    text = f"{100.0 * share:+.{digits}f} %".replace("-", "−")
    return text if any(digit in text for digit in "123456789") else "± 0 %"


def _time_text(longer: float, time_s: Mapping[str, float]) -> str:
    if abs(longer) < 5e-5:
        return f"The print takes as long as before, {duration(time_s['after'])}."
    word = "longer" if longer > 0.0 else "shorter"
    return (
        f"The print is {100.0 * abs(longer):.2f} % {word}: {duration(time_s['after'])} in place "
        f"of {duration(time_s['before'])}."
    )


def _corners(corners: list[Corner]) -> str:
    if not corners:
        return "<p>None: nothing was off its path.</p>"
    return (
        "<p>True proportions, nothing magnified; a click shows the place in its layer.</p>"
        f'{key(LINES)}<div class="corners">{"".join(map(corner_figure, corners))}</div>'
    )


def _by_layer(done: Correction) -> str:
    before, after = (
        UM * np.array(values) for values in (done.predicted_before_mm, done.predicted_after_mm)
    )
    sizes = [f"{float(np.sqrt(np.mean(np.square(values)))):.1f}" for values in (before, after)]
    text = (
        f"<p>Contour error on the walls, µm: {sizes[0]} before and {sizes[1]} after, over all "
        "corrected layers.</p>"
    )
    if len(done.layers) < 3:
        rows = [
            [f"layer {n}", f"{a:.1f}", f"{b:.1f}"]
            for n, a, b in zip(done.layers, before, after, strict=True)
        ]
        return text + table(["", "before / µm", "after / µm"], rows)
    return text + key(LINES[1:]) + layer_chart(done.layers, before, after)
