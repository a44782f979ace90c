"""Corrected files pass; each way to spoil one is found, in its line."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.correction.cases import Dialect, linear_printer, noted, small_print
from trajerr.correction.compensate import correct_program
from trajerr.correction.error_models import TwinModel
from trajerr.correction.final_check import check_corrected
from trajerr.correction.settings import CorrectionSettings, LearningSettings
from trajerr.errors import GcodeError
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.gcode.writer import replace_lines
from trajerr.verification.stretch import VerifySettings
from trajerr.verification.verify import Verified, _Check, verify

DIALECTS = {
    "relative E": Dialect(),
    "absolute E": Dialect(absolute_e=True),
    "inches": Dialect(inches=True),
    "G91": Dialect(relative_xyz=True),
    "G91, absolute E": Dialect(relative_xyz=True, absolute_e=True),
    "CRLF": Dialect(newline="\r\n"),
    "Klipper": Dialect(klipper=True),
}
BED = (np.zeros(2), np.array([220.0, 220.0]))
QUICK = LearningSettings.shipped(iterations=3, planned_iterations=1)


@dataclass(frozen=True)
class Corrected:
    """An original and what stands in the place of its lines."""

    original: bytes
    replaced: dict[int, list[bytes]]
    settings: VerifySettings

    @property
    def text(self) -> bytes:
        return b"".join(x + b"\n" for _, x in self.lines())

    def lines(self) -> list[tuple[int, bytes]]:
        """The corrected file, each line beside the index of the original's."""
        return [
            (i, text)
            for i, line in enumerate(self.original.splitlines())
            for text in self.replaced.get(i, [line])
        ]

    def verified(self, text: bytes | None = None, **keys) -> Verified:
        return verify(
            self.original, text or self.text, self.replaced, self.settings, name="a.gcode", **keys
        )

    def spoiled(self, which, change) -> tuple["Corrected", int]:
        """Change the last replacing line that ``which`` finds; return also the line it is at.

        ``change`` returns what stands instead, or None to leave it out.
        """
        found = [
            (i, k)
            for i, lines in self.replaced.items()
            for k, text in enumerate(lines)
            if which(text)
        ]
        i, k = sorted(found)[-1]
        new = change(self.replaced[i][k])
        lines = [*self.replaced[i]]
        lines[k : k + 1] = [] if new is None else [new]
        at = [j for j, _ in self.lines()].index(i) + k + 1
        return replace(self, replaced={**self.replaced, i: lines}), at


def correct(program: Program, firmware: str = "marlin", **keys) -> Corrected:
    printer = linear_printer(firmware)
    settings = CorrectionSettings.shipped(method="twin", layers=(1,), learning=QUICK, **keys)
    done = correct_program(program, TwinModel(printer), printer, settings)
    assert done.text is not None
    check_corrected(program, done.text, done.replaced, printer, settings.max_correction_mm)
    begin = (b"M201 X3000 Y3000", b"M205 X8 Y8")
    allowed = VerifySettings(firmware=firmware, begin=begin, bed_mm=BED)
    original = program.text.replace(b"\r\n", b"\n")
    replaced = {i: [x.rstrip() for x in lines] for i, lines in done.replaced.items()}
    return Corrected(original, replaced, allowed)


@pytest.fixture(scope="module")
def relative() -> Corrected:
    return correct(small_print())


@pytest.fixture(scope="module")
def absolute() -> Corrected:
    return correct(small_print(dialect=DIALECTS["absolute E"]))


def is_piece(text: bytes) -> bool:
    """A piece that lays much down: its own words for E are those of no other line."""
    found = re.search(rb" E([\d.]+)", text)
    return text.startswith(b"G1 X") and found is not None and float(found[1]) > 0.05


def scaled(letter: str, factor: float = 1.0, more: float = 0.0):
    """Return what changes the value behind a letter."""

    def change(text: bytes) -> bytes:
        return re.sub(
            rb"\b%b(-?[\d.]+)" % letter.encode(),
            lambda m: b"%b%.5f" % (letter.encode(), float(m[1]) * factor + more),
            text,
        )

    return change


@pytest.mark.parametrize("dialect", DIALECTS)
def test_corrected_files_pass_in_any_dialect(dialect):
    program = small_print(dialect=DIALECTS[dialect])
    printer = linear_printer("klipper" if DIALECTS[dialect].klipper else "marlin")
    settings = CorrectionSettings.shipped(method="twin", layers=(1,), learning=QUICK)
    done = correct_program(program, TwinModel(printer), printer, settings)
    seen = check_corrected(program, done.text, done.replaced, printer, 0.5)
    assert seen.replaced == len(done.replaced) > 20
    assert seen.stretches >= 1
    assert seen.filament_mm[1] == pytest.approx(seen.filament_mm[0], abs=1e-4)
    assert seen.filament_mm[0] == pytest.approx(program.moves.end[-1, 3], abs=1e-6)


def test_files_whose_notes_tell_features_and_files_with_arcs_pass():
    correct(noted(small_print(layers=3)))
    lines = [b"; arcs", b"G21", b"G90", b"M83", b"M204 P1000 T1500", b";LAYER_CHANGE", b";Z:0.2"]
    lines += [b"G1 Z0.2 F600", b"G1 X40 Y60 F7200", b";TYPE:External perimeter", b"G1 F2400"]
    lines += [b"G3 X60 Y60 I10 J0 E1.1", b"G3 X40 Y60 R10 E1.1", b"G1 E-.8 F2100", b"M84"]
    correct(parse_program(b"\n".join(lines), "arcs.gcode"), least_improvement=-np.inf)


def test_subtracting_passes_too():
    program, printer = small_print(), linear_printer()
    settings = CorrectionSettings.shipped(method="subtract", layers=(1,), learning=QUICK)
    done = correct_program(program, TwinModel(printer), printer, settings)
    check_corrected(program, done.text, done.replaced, printer, 0.5)


def refused(corrected: Corrected, *, line: int | None = None, what: str = "", **keys) -> str:
    with pytest.raises(GcodeError) as raised:
        corrected.verified(**keys)
    message = str(raised.value)
    found = re.match(r"a\.gcode:(\d+): the corrected file would .*\(at line \d+ of the", message)
    assert found, message
    assert what in message
    assert line is None or int(found[1]) == line, message
    return message


@pytest.mark.parametrize("at", [0, 7, 30, 60, 90])
@pytest.mark.parametrize("how", ["drop", "swap", "repeat", "change"])
def test_the_text_is_the_originals_lines_and_the_replacements(relative, at, how):
    lines = relative.text.splitlines(keepends=True)
    while lines[at] == lines[at + 1]:
        at += 1
    drops = {"drop": [], "swap": lines[at : at + 2][::-1], "repeat": [lines[at]] * 2}
    new = drops.get(how, [lines[at].rstrip() + b" \n"])
    lines[at : at + (2 if how == "swap" else 1)] = new
    if how == "change":
        lines[at] = lines[at].replace(b" \n", b"0\n")
    refused(relative, text=b"".join(lines), line=at + (2 if how == "repeat" else 1))


def test_nothing_may_follow_or_lack_at_the_end(relative):
    refused(relative, text=relative.text + b"G28\n", what="go on where the original ends")
    refused(relative, text=relative.text.removesuffix(b"M84\n"), what="lack a line")


@pytest.mark.parametrize(
    ("old", "new"), [(b"M83", b"M82"), (b"M106 S128", b"M106 S255"), (b"G21", b"G20")]
)
def test_kept_commands_cannot_change(relative, old, new):
    line = relative.text.splitlines().index(old) + 1
    refused(relative, text=relative.text.replace(old, new, 1), line=line)


@pytest.mark.parametrize("kind", ["relative", "absolute"])
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: None, ""),
        (scaled("E", 1.05), ""),
        (scaled("E", 2.0), ""),
        (scaled("E", 0.9), ""),
        (scaled("Y", more=300.0), "leave the bed at Y3"),
        (scaled("Y", more=-200.0), "leave the bed at Y-1"),
        (scaled("X", more=60.0), "off the original's path"),
        (lambda text: text + b" Z.5", "Z0.5"),
        (lambda text: text.replace(b"G1", b"G2"), "which a correction does not write"),
        (lambda text: b"M104 S250", "which a correction does not write"),
        (lambda text: b"M82", "which a correction does not write"),
        (lambda text: b"G1 H2 X4", "which a correction does not write"),
        (lambda text: text + b" F0", "a feedrate of 0"),
    ],
)
def test_a_spoiled_piece_is_found(kind, change, what, request):
    corrected = request.getfixturevalue(kind)
    corrected.verified()
    spoiled, _ = corrected.spoiled(is_piece, change)
    refused(spoiled, what=what)


def test_faults_of_one_piece_are_told_with_its_line(relative):
    for change in (scaled("E", 20.0), scaled("Y", more=250.0), scaled("F", 0.0)):
        spoiled, line = relative.spoiled(lambda t: is_piece(t) and b"F" in t, change)
        refused(spoiled, line=line)


def test_filament_that_moves_from_one_piece_to_its_neighbour_is_too_much(relative):
    """The sum stays; the place is a blob."""
    first, _ = relative.spoiled(is_piece, scaled("E", more=1.5))
    refused(first, what="mm² at once")
    spoiled, _ = relative.spoiled(is_piece, lambda text: text + b"\nG1 E1.5\nG1 E-1.5")
    lines = {i: b"\n".join(v).split(b"\n") for i, v in spoiled.replaced.items()}
    refused(replace(spoiled, replaced=lines), what="mm of filament")


@pytest.mark.parametrize("kind", ["relative", "absolute"])
@pytest.mark.parametrize(
    ("which", "what"),
    [
        (re.compile(rb"M204 P1000 T1500").fullmatch, "have the limit M204"),
        (re.compile(rb"M201 X3000 Y3000").fullmatch, "have the limit M201 X 5000 in force"),
        (re.compile(rb"M205 X8 Y8").fullmatch, "have the limit M205"),
    ],
)
def test_limits_that_are_not_restored_are_found(kind, which, what, request):
    spoiled, _ = request.getfixturevalue(kind).spoiled(which, lambda text: None)
    refused(spoiled, what=what)


def test_a_reading_with_the_other_mode_of_e_is_found():
    """Without M83 the printer may count E otherwise than the reader took it."""
    known = correct(small_print(dialect=DIALECTS["Klipper"]), "klipper")
    text = known.original.replace(b"M83\n", b";\n")
    smooth = b"SET_VELOCITY_LIMIT MINIMUM_CRUISE_RATIO=.5 ACCEL_TO_DECEL=500"
    told = replace(known.settings, begin=(smooth, b"M83"))
    good = Corrected(text, known.replaced, told)
    good.verified()
    refused(replace(good, settings=replace(told, begin=told.begin[:1])))


def hand(text: str, replaced: dict[int, str], **keys) -> Corrected:
    """An original with a line for each line of text, and by index what replaces it."""
    given = {i: [x.encode() for x in lines.split("|") if x] for i, lines in replaced.items()}
    return Corrected(text.replace("|", "\n").encode() + b"\n", given, VerifySettings(**keys))


WALL = "G90|M83|G1 X10 Y10 Z.2 F6000|G1 X50 E1.6 F1800|"


@pytest.mark.parametrize("park", ["G27 P0", "CLEAN_NOZZLE", "G28", "T1"])
def test_the_way_back_from_a_parking_place_has_to_stay_whole(park):
    text = WALL + park + "|G1 X50 Y10 Z.2 F7200|G1 Y50 E1.6 F1800"
    wall = {6: "G1 X50 Y50 E1.6 F1800"}
    hand(text, {5: "G1 X48 Y9 Z.2 F7200|G1 X50.05 Y10", **wall}).verified()
    lost_height = () if park == "T1" else ("G1 X50 Y10",)
    for lost in ("G1 F7200", "G1 Y10 Z.2", "G1 X50 Y10 Z.2 E.1", "", *lost_height):
        spoiled = hand(text, {5: lost, **wall})
        what = f"although the position after '{park.split()[0]}' (line 5 of the original)"
        refused(spoiled, what=what)


def test_without_a_known_height_nothing_is_corrected():
    text = WALL + "CLEAN_NOZZLE|G1 X50 Y10 F7200|G1 Y50 E1.6 F1800|G1 X10 E1.6|G1 Z.4|G1 X40"
    hand(text, {}).verified()
    refused(hand(text, {7: "G1 X10 Y50 E1.6"}), what="the position after 'CLEAN_NOZZLE'")
    hand(text, {9: "G1 X40 Y50"}).verified()


def test_a_saved_place_is_come_back_to():
    text = WALL + "G60|G1 X100 Y100|G61 X Y|G1 Y50 E1.6"
    hand(
        text, {3: "G1 X30 Y10.1 E.8|G1 X50 Y10 E.8 F1800", 7: "G1 X50.1 Y30 E.8|G1 X50 Y50 E.8"}
    ).verified()
    spoiled = hand(text, {7: "G1 X100 Y100 E.1|G1 X50 Y50 E1.5"})
    refused(spoiled, what="go to X100.000, 50.000 mm off")


@pytest.mark.parametrize(
    "bound", ["G1 Y50 F1200", "G91|G1 X0 Y5", "G1 X50 Y20 E.4", "G2 X70 Y10 I10"]
)
def test_what_is_kept_begins_where_it_began(bound):
    text = WALL + bound + "|G90|G1 X50 Y20"
    hand(text, {3: "G1 X30 Y10.3 E.8|G1 X50 Y10 E.8 F1800"}).verified()
    refused(hand(text, {3: "G1 X50.1 Y10 E1.6 F1800"}), what="be at X50.1000 in place of X50.0000")


@pytest.mark.parametrize(
    ("line", "what"), [("G92 X0", "at G92"), ("PARK", "at PARK"), ("G27", "at G27")]
)
def test_commands_that_build_on_the_place_find_it(line, what):
    text = WALL + line + "|G1 X1 Y1"
    hand(text, {3: "G1 X50 Y10 E1.6 F1800"}).verified()
    refused(hand(text, {3: "G1 X50.1 Y10 E1.6 F1800"}), what=what)


def test_a_kept_line_feeds_what_it_fed():
    text = "G90|M82|G1 X10 Y10 Z.2 F6000|G1 X50 E1.6 F1800|G1 X60 E2 F1800"
    hand(text, {3: "G1 X50 E1.60005 F1800"}).verified()
    refused(hand(text, {3: "G1 X50 E1.6003 F1800"}), what="feed 0.3997 mm of filament in place")


def test_a_kept_line_has_the_feedrate_that_it_had():
    text = WALL + "G1 X60 E.4 F1200|G1 X70"
    hand(text, {4: "G1 X55 E.2 F1300|G1 X60 E.2|G1 F1200"}).verified()
    spoiled = hand(text, {4: "G1 X55 E.2 F1300|G1 X60 E.2"})
    refused(spoiled, line=7, what="have F1300 mm/min in force in place of F1200")


def test_small_differences_do_not_add_up_to_a_layer():
    text = "G90|M83|G1 X10 Y10 Z.2 F6000" + "|G1 X11 E.04|G0 X10" * 20 + "|G1 X11"
    more = {3 + 2 * i: "G1 X11 E.0402" for i in range(20)}
    refused(hand(text, more), what="feed 0.80400 mm of filament in a layer in place of 0.80000")
    assert refused(hand(text, more), layers=[21], line=22)


def test_what_stands_beside_a_motion_survives():
    text = WALL + "G1 X60 E.4 M106 S9|G1 X70"
    hand(text, {4: "G1 X60 Y10 E.4|M106 S9"}).verified()
    refused(hand(text, {4: "G1 X60 Y10 E.4"}), what="lose or repeat M106 S9")
    refused(hand(text, {4: "G1 X60 Y10 E.4|M106 S9|M106 S9"}), what="lose or repeat M106")
    refused(hand(WALL + "G1 X60 G92 E0|G1 X70", {4: "G1 X60"}), what="replace a line that holds")


def test_a_line_that_is_no_motion_may_stand_beside_a_mark():
    hand("G21|" + WALL, {0: "G21|; a mark"}).verified()
    refused(hand("G21|" + WALL, {0: "; a mark"}), what="replace a line that holds G21")


def test_the_end_is_the_same_place():
    refused(hand(WALL[:-1], {3: "G1 X50.2 Y10 E1.6 F1800"}), what="end at X50.2000 in place of X50")


def test_pulling_back_and_pushing_is_bounded_by_the_original():
    text = WALL + "G1 E-.8|G1 E.8|G1 X60 E.4|G1 X70"
    hand(text, {4: "G1 E-.8", 5: "G1 E.8", 6: "G1 X60 E.4"}).verified()
    refused(hand(text, {4: "G1 E-.9", 5: "G1 E.8", 6: "G1 X60 E.5"}), what="pull 0.9 mm")
    refused(hand(text, {4: "G1 E-.8", 5: "G1 E.9", 6: "G1 X60 E.3"}), what="push 0.9 mm")


def test_lines_that_cannot_be_read_are_refused_with_their_line():
    with pytest.raises(GcodeError, match=r"a\.gcode:5: the check cannot read 'G1 X1 E.1:.2': "):
        hand(WALL + "G1 X1 E.1:.2", {}).verified()


def test_modes_that_differ_are_refused():
    check = _Check(VerifySettings(), "a.gcode", ())
    check.after.run(b"G91")
    with pytest.raises(GcodeError, match="have absolute coordinates False in force"):
        check.keep(b"M104 S200")


@pytest.mark.parametrize(
    ("key", "value"),
    [("firmware", "grbl"), ("max_correction_mm", 0.0), ("filament_diameter_mm", np.inf)],
)
def test_settings_out_of_range_are_refused(key, value):
    with pytest.raises(GcodeError, match=f"{key} of the check: got"):
        VerifySettings(**{key: value})


def test_nothing_is_written_when_the_check_refuses(tmp_path, monkeypatch):
    import trajerr.correction.compensate as compensate

    program, printer = small_print(), linear_printer()
    path, out = tmp_path / "part.gcode", tmp_path / "out.gcode"
    path.write_bytes(program.text)
    true = compensate.write_lines

    def faulty(*args):
        lines = true(*args)
        longest = max(lines, key=lambda i: len(lines[i]))
        return {**lines, longest: lines[longest][:-1]}

    monkeypatch.setattr(compensate, "write_lines", faulty)
    settings = CorrectionSettings.shipped(method="twin", layers=(1,), learning=QUICK)
    expected = r"part\.gcode:\d+: the corrected file would .*; nothing was written; please report"
    with pytest.raises(GcodeError, match=expected):
        compensate.apply_correction(path, out, TwinModel(printer), printer, settings)
    assert not out.exists()
    monkeypatch.setattr(compensate, "write_lines", true)
    compensate.apply_correction(path, out, TwinModel(printer), printer, settings)
    assert out.exists()


def test_line_endings_and_a_missing_last_one_do_not_matter():
    program = small_print(dialect=DIALECTS["CRLF"])
    text = program.text.removesuffix(b"\r\n")
    assert verify(text, text, {}).replaced == 0
    mark = {0: [program.line(0), b"; mark"]}
    verify(text, replace_lines(parse_program(text, "p"), mark), mark)
