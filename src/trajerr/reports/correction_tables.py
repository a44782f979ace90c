"""The tables of a correction's page: remedies compared, costs, what was left, provenance."""

import json
import platform
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from trajerr.bundle.manifest import open_bundle
from trajerr.correction.regions import Role
from trajerr.correction.run import Prepared
from trajerr.gcode.program import FeatureType
from trajerr.metrics.closed_loop import INVERSION, SHAPERS, UNCORRECTED
from trajerr.motion.path import move_lengths
from trajerr.reports.markup import table

KB = 1000.0  # bytes per kB
NAMES = {
    UNCORRECTED: "as sliced",
    **{name: f"input shaper {name.upper()}" for name in SHAPERS},
    INVERSION: "firmware's inversion, x + 2ζ/ω ẋ + ẍ/ω²",
    "subtract": "error subtracted from vertices",
    "inverse": "correction by the network",
    "twin": "correction by the simulated printer",
}


def method_name(method: str) -> str:
    """Return what a method is called in a sentence."""
    return NAMES.get(method, method)


def duration(seconds: float) -> str:
    """Return a print's time as people say it."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{seconds:.1f} s"


def methods(record: Mapping[str, Any]) -> str:
    """Return every method's contour error at every stiffness."""
    cases, own = record["cases"], record["method"]
    head = ["contour error on walls / µm", *cases, "99 %", "worst", "tracking"]
    rows = []
    for name in sorted(cases["nominal"], key=lambda name: name == own):
        cells = []
        for errors in cases.values():
            value = errors[name]["wall_contour_rms_um"]
            change = value / errors[UNCORRECTED]["wall_contour_rms_um"] - 1.0
            plain = f"{value:.1f}"
            cells.append(plain if name == UNCORRECTED else f"{plain} ({_signed(change)})")
        nominal = cases["nominal"][name]
        cells += [
            f"{nominal[key]:.1f}"
            for key in ("wall_contour_p99_um", "wall_contour_max_um", "wall_tracking_rms_um")
        ]
        rows.append([method_name(name), *cells])
    return (
        f'<div class="methods">{table(head, rows)}</div>'
        '<p class="note">Root mean square; the column 99 % holds what 99 % of the walls stay '
        "below, like the two after it on the nominal printer; tracking compares equal times and "
        "does not show on the part. Soft and stiff: "
        "the same files on a printer whose natural frequency is 10 % lower or higher. Shapers and "
        "firmware's inversion act on the file as sliced and are tuned to the nominal printer, in "
        "place of a shaper of its own; for the inversion, which needs an acceleration everywhere, "
        "the motion is first smoothed over 20 ms.</p>"
    )


def costs(record: Mapping[str, Any]) -> str:
    """Return what the corrected file costs, before and after."""
    load, advance = record["board_load"], record["pressure_advance_s"]
    peak, pair = record["peak_filament_acceleration_mm_s2"], ("before", "after")

    def both(name: str, values: Mapping[str, float], form: str, scale: float = 1.0) -> list[str]:
        return [name, *(format(scale * values[when], form) for when in pair)]

    rates = {
        (key, span): {when: load[when][key][span] for when in pair}
        for key in ("commands_per_s", "bytes_per_s", "moves_per_s")
        for span in ("mean", "peak_1s", "peak_50ms")
    }
    rows = [
        ["print time", *(duration(record["print_time_s"][when]) for when in pair)],
        both("size of the G-code / MB", record["file_bytes"], ".3f", 1e-6),
        both("moves", record["moves"], ",.0f"),
        both("filament / mm", record["extrusion_mm"], ",.2f"),
        both("moves a second, on average", rates["moves_per_s", "mean"], ".1f"),
        both("moves, in the busiest second", rates["moves_per_s", "peak_1s"], ".0f"),
        both("commands, in the busiest second", rates["commands_per_s", "peak_1s"], ".0f"),
        both(
            "commands a second, in the busiest 50 ms", rates["commands_per_s", "peak_50ms"], ".0f"
        ),
        both("kB a second, on average", rates["bytes_per_s", "mean"], ".2f", 1.0 / KB),
        both("kB, in the busiest second", rates["bytes_per_s", "peak_1s"], ".2f", 1.0 / KB),
        both("peak of dv_e/dt, filament / mm/s²", peak, ".1f"),
    ]
    if advance is None:
        note = (
            "Pressure advance adds K · dv_e/dt to the extruder's speed. K is not known: the file "
            "sets none. For K = 0.01 s, a hundredth of the last row is added, in mm/s."
        )
    else:
        rows.append(both(f"peak of K · dv_e/dt at K = {advance:g} s / mm/s", peak, ".2f", advance))
        note = (
            "K is the largest that the file sets. Its share is what the extruder adds to its speed."
        )
    note += " Accelerations are those of filament smoothed over 40 ms, as firmware smooths it."
    return table(["", "as sliced", "corrected"], rows) + f'<p class="note">{note}</p>'


def untouched(prepared: Prepared) -> str:
    """Return which share of the printed path was corrected, by feature, and why not more."""
    scope = prepared.scope
    program = scope.nominal.program
    moves, length = program.moves, move_lengths(program.moves)
    corrected, wanted = scope.role == Role.CORRECTED, set(prepared.settings.feature_types)
    inside, rows = np.isin(moves.layer, scope.layers), []
    for feature in FeatureType:
        own = moves.is_extruding & (moves.feature == feature)
        total = float(np.sum(length[own]))
        if total <= 0.0:
            continue
        done = float(np.sum(length[own & corrected]))
        rows.append(
            [
                feature.name.lower().replace("_", " "),
                f"{total / 1000.0:.2f} m",
                f"{100.0 * done / total:.0f} %" if done else "–",
                _reason(feature in wanted, own, corrected, inside),
            ]
        )
    shown = table(["", "in the file", "corrected", "why not more"], rows)
    return (
        f'<div class="reasons">{shown}</div>'
        "<p>Travels change only within moments of a corrected wall, to get into and out of it. "
        "Temperatures, fans, retractions, comments and commands that are not known stay as they "
        "are, byte for byte; a second reading by other code has checked that.</p>"
    )


def _reason(asked: bool, own: Any, corrected: Any, inside: Any) -> str:  # noqa: ANN401
    if not asked:
        return "not asked for (feature_types)"
    left = own & ~corrected
    if not np.any(left):
        return ""
    if not np.any(left & inside):
        return "in other layers than were asked for (layers)"
    return "some lines have to stay: thin or without a stated place, or in other layers"


def provenance(prepared: Prepared, record: Mapping[str, Any]) -> str:
    """Return what the correction was made from, and by what."""
    run, printer, limits = prepared.run, prepared.printer, prepared.printer.limits
    axes = ", ".join(
        f"{name} {axis.natural_freq_hz:.1f} Hz (damping {axis.damping_ratio:.2f})"
        for name, axis in (("x", printer.x), ("y", printer.y))
    )
    shaper = record["shaper"]
    rows = [
        ["file", record["source"]["name"]],
        ["its SHA-256", record["source"]["sha256"]],
        ["sliced by", prepared.program.generator or "not said"],
        ["printer", f"{printer.name}, identity {printer.identity}"],
        ["modes", axes],
        ["input shaper of its firmware", json.dumps(shaper) if shaper else "none"],
        ["firmware", limits.firmware],
        ["board", prepared.settings.board or "none named"],
        *_bundle_rows(run.bundle if run.method != "twin" else None),
        ["method", run.method],
        ["corrected moves a second, at most", f"{record['rate_hz']:g}"],
        ["time to correct", f"{record['seconds']:.1f} s"],
        ["trajerr", record["version"]],
        ["Python, NumPy", f"{platform.python_version()}, {np.__version__}"],
    ]
    config = escape(json.dumps(record["config"], indent=2, default=str, ensure_ascii=False))
    return (
        f'<div class="facts">{table(["", ""], rows)}</div>'
        f"<details><summary>All settings</summary><pre>{config}</pre></details>"
    )


def _bundle_rows(folder: str | None) -> list[list[str]]:
    if folder is None or not Path(folder).is_dir():
        return [["bundle", "none: the simulated printer is the model"]]
    manifest = open_bundle(folder).manifest
    model, machine = manifest["model"], manifest.get("machine") or {}
    return [
        ["bundle", Path(folder).name],
        ["its SHA-256", manifest["manifest_sha256"]],
        ["network", f"{model['name']} ({model['architecture']})"],
        ["learnt the motion of", f"{machine.get('name')}, identity {machine.get('identity')}"],
        ["checkpoint's SHA-256", manifest["checkpoint"]["sha256"]],
    ]


def _signed(share: float) -> str:
    return f"{100.0 * share:+.0f} %".replace("-", "−")
