"""A flow of M221 beside corrected pieces: Marlin rounds it once a block, in whole steps of E."""

import re
from pathlib import Path

import pytest

from tests.correction.cases import Dialect, linear_printer, small_print
from trajerr.correction.compensate import apply_correction
from trajerr.correction.error_models import TwinModel
from trajerr.correction.settings import CorrectionSettings

STEPS_PER_MM, MANY = 93, 10**6


def fed_by_marlin(text: str, steps_per_mm: int = STEPS_PER_MM) -> list[float]:
    """Return the mm of filament of each layer, as Marlin's planner rounds those of each block.

    ``position.e = LROUND(93 * e)`` and ``esteps = ABS(de * e_factor) + 0.5f``, `planner.cpp`.
    With very many steps per mm it is what the file asks for.
    """
    at, counted, flow, relative, layers = 0.0, 0, 100, False, [0]
    for line in text.splitlines():
        layers += [0] * line.startswith(";LAYER_CHANGE")
        code = line.split(";")[0]
        e = re.search(r"E([-.\d]+)", code)
        if found := re.match(r"M221 S(\d+)", code):
            flow = int(found[1])
        elif code[:3] in ("M82", "M83"):
            relative = code.startswith("M83")
        elif e and code.startswith("G92"):
            at = float(e[1])
            counted = round(at * steps_per_mm)
        elif e and code.startswith("G1"):
            at = at + float(e[1]) if relative else float(e[1])
            step = round(at * steps_per_mm) - counted
            counted += step
            layers[-1] += int(abs(step) * flow / 100 + 0.5) * (1 if step > 0 else -1)
    return [steps / steps_per_mm for steps in layers]


def sliced(dialect: Dialect, flow: int) -> str:
    """A print with a flow that changes in the middle of its second layer."""
    text = small_print(3, dialect).text.decode()
    first, second, third = text.split(";Z:0.2\n")[0], *text.split(";Z:0.2\n")[1].split(";Z:0.4\n")
    third = third.replace("M106 S128", f"M221 S{flow + 3}\nM106 S200", 1)
    return f"{first}M221 S{flow}\n;Z:0.2\n{second};Z:0.4\n{third}"


def corrected(text: str, firmware: str, folder: Path) -> str:
    path, out = folder / "part.gcode", folder / "out.gcode"
    path.write_text(text)
    printer = linear_printer(firmware)
    settings = CorrectionSettings.shipped(method="twin", layers=(1, 2))
    apply_correction(path, out, TwinModel(printer), printer, settings)
    return out.read_text()


def unfolded(text: str, flow: int, absolute_e: bool) -> str:
    """The same with the file's own factor on E as it was meant, which Marlin rounds away.

    Absolute E goes on from where the file's own count stood.
    """
    lines, inside, count, start = [], False, 0.0, 0.0
    for line in text.splitlines():
        if line.startswith("M221"):
            inside, start = line == "M221 S100", count if absolute_e else 0.0
        found = re.search(r"E([-.\d]+)", line.split(";")[0])
        if found and line[:3] in ("G1 ", "G92"):
            count = float(found[1])
            if inside and line.startswith("G1 "):
                line = line.replace(found[0], f"E{start + 100 / flow * (count - start):.5f}")
        lines.append(f"M221 S{flow}" if line == "M221 S100" else line)
    return "\n".join(lines)


@pytest.mark.parametrize("firmware", ["marlin", "marlin_2_1_2"])
@pytest.mark.parametrize("flow", [95, 106])
@pytest.mark.parametrize("absolute_e", [False, True])
def test_marlin_feeds_what_the_flow_asks_for(absolute_e, flow, firmware, tmp_path):
    text = sliced(Dialect(absolute_e=absolute_e), flow)
    done = corrected(text, firmware, tmp_path)
    asked, fed = fed_by_marlin(text, MANY), fed_by_marlin(done)
    assert len(asked) == 4
    assert fed[1:3] == pytest.approx(asked[1:3], rel=0.003)
    own = fed_by_marlin(unfolded(done, flow, absolute_e))
    assert abs(own[1] / asked[1] - 1.0) > 0.015


@pytest.mark.parametrize("absolute_e", [False, True])
def test_the_files_own_flow_holds_wherever_its_own_lines_run(absolute_e, tmp_path):
    text = sliced(Dialect(absolute_e=absolute_e), 95)
    done = corrected(text, "marlin_2_1_2", tmp_path)
    untouched = text[text.index(";LAYER_CHANGE\n;Z:0.6") :]
    assert done.endswith(untouched)
    body = done[: -len(untouched)]
    assert re.findall(r"(?m)^M221 S\d+$", body)[-1] == "M221 S98"
    assert ("G92 E" in body.split("M221 S100", 1)[1]) is absolute_e


def test_klipper_feeds_fractions_of_steps_and_is_told_nothing(tmp_path):
    text = sliced(Dialect(klipper=True), 95)
    done = corrected(text, "klipper", tmp_path)
    assert re.findall(r"M221 S\d+", done) == ["M221 S95", "M221 S98"]
