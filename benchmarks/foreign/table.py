"""What came of some machines, as one table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trajerr.arrays import Floats
from trajerr.metrics.closed_loop import SHAPERS, UNCORRECTED

CASES = ("nominal", "soft", "stiff")
METRIC = "wall_contour_rms_um"
TITLES = {
    "twin": "calibrated printer",
    "network": "transferred network",
    "machine": "the machine itself",
    **{name: name.upper() for name in SHAPERS},
}
Results = Sequence[Mapping[str, Any]]


def rms(cases: Mapping[str, Any], method: str) -> Floats:
    """Return (3,) a part's contour error on walls at each stiffness, µm RMS."""
    return np.array([cases[case][method][METRIC] for case in CASES])


def change(cases: Mapping[str, Any], method: str) -> Floats:
    """Return (3,) by how much a method changes a part's error, %."""
    return 100.0 * (rms(cases, method) / rms(cases, UNCORRECTED) - 1.0)


def over_parts(result: Mapping[str, Any], of: Callable[..., Floats], method: str) -> Floats:
    """Return (3,) the mean over a machine's parts."""
    parts = result["parts"].values()
    return np.asarray(np.mean([of(cases, method) for cases in parts], axis=0))


def table(results: Results, methods: Sequence[str]) -> str:
    """Return one line a machine, then their mean, the worst machine and the worst part.

    A cell has three numbers: at nominal natural frequency, 10 % below, 10 % above it. A
    machine's is the mean over its parts.
    """
    shown = [*methods, *SHAPERS]
    titles = ["walls' contour RMS", "uncorrected µm", *(f"{TITLES[name]} %" for name in shown)]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    before = [over_parts(result, rms, UNCORRECTED) for result in results]
    after = {m: [over_parts(result, change, m) for result in results] for m in shown}
    for i, result in enumerate(results):
        name = result["machine"]["name"]
        lines.append(_line(name, before[i], [after[m][i] for m in shown]))
    means = [np.mean(after[m], axis=0) for m in shown]
    lines.append(_line("mean", np.mean(before, axis=0), means))
    worst = [np.max(after[m], axis=0) for m in shown]
    lines.append(_line("worst machine", np.max(before, axis=0), worst))
    parts = [cases for result in results for cases in result["parts"].values()]
    worst = [np.max([change(cases, m) for cases in parts], axis=0) for m in shown]
    highest = np.max([rms(cases, UNCORRECTED) for cases in parts], axis=0)
    lines.append(_line("worst part", highest, worst))
    return "\n".join(lines)


def reconstruction_table(results: Results) -> str:
    """Return one line a machine, µm RMS of x and y, then mean and worst over axes."""
    columns = {
        "error": ("alone", "error"),
        "calibrated printer alone": ("alone", "printer"),
        "with the accelerometer": ("alone", "both"),
        "and with a reference": ("reference", "both"),
    }
    lines = ["| " + " | ".join(["reconstruction, µm RMS x / y", *columns]) + " |"]
    lines.append("|" + "---|" * (1 + len(columns)))
    values = np.array([[result[a][b] for a, b in columns.values()] for result in results])
    for result, row in zip(results, values, strict=True):
        cells = [f"{x:.1f} / {y:.1f}" for x, y in row]
        lines.append("| " + " | ".join([str(result["machine"]), *cells]) + " |")
    for name, over in (("mean", np.mean), ("worst", np.max)):
        cells = [f"{over(values[:, column]):.1f}" for column in range(len(columns))]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def _line(name: str, before: Floats, changes: Sequence[Floats]) -> str:
    cells = [name, " / ".join(f"{value:.1f}" for value in before)]
    cells += [" / ".join(f"{value:+.0f}".replace("-", "−") for value in row) for row in changes]
    return "| " + " | ".join(cells) + " |"
