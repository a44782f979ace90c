"""Random programs with kept states, offsets, flow and firmware retraction, and spelled out.

The second source is the test's own bookkeeping: a :class:`Machine` that is told in plain
millimetres what to do, writes that down plainly (G90, M83, every word), and writes the same in
constructs whose effect it works out by the firmware's documentation.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajerr.errors import GcodeError
from trajerr.gcode.program import MoveKind, Moves, Program
from trajerr.gcode.reader import parse_program


@dataclass
class Machine:
    """Where nozzle and filament really are, and the two texts that bring them there."""

    at: np.ndarray = field(default_factory=lambda: np.zeros(3))
    feed: float = 3000.0  # mm/min, of the file's own F
    flow: float = 1.0
    speed: float = 1.0
    shift: np.ndarray = field(default_factory=lambda: np.zeros(3))  # machine − file's coordinates
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))  # of SET_GCODE_OFFSET
    plain: list[str] = field(default_factory=lambda: ["G90", "M83", "G1 F3000"])
    construct: list[str] = field(default_factory=lambda: ["G90", "M83", "G1 F3000"])

    def go(self, to: np.ndarray, filament: float = 0.0, feed: float | None = None) -> None:
        """Write down plainly that the nozzle goes somewhere."""
        self.at = np.array(to, dtype=float)
        x, y, z = self.at
        speed = self.feed * self.speed if feed is None else feed
        e = f" E{filament:.6f}" if filament else ""
        self.plain.append(f"G1 X{x:.6f} Y{y:.6f} Z{z:.6f}{e} F{speed:.6f}")

    def move(self, dx: float, dy: float, e: float) -> None:
        to = self.at + np.array([dx, dy, 0.0])
        x, y, _ = to - self.shift
        self.construct.append(f"G1 X{x:.6f} Y{y:.6f} E{e:.6f}")
        self.go(to, e * self.flow)

    def set_feed(self, feed: float) -> None:
        self.feed = feed
        self.construct.append(f"G1 F{feed:.3f}")

    def set_flow(self, percent: float) -> None:
        self.flow = percent / 100.0
        self.construct.append(f"M221 S{percent:g}")

    def set_speed(self, percent: float) -> None:
        self.speed = percent / 100.0
        self.construct.append(f"M220 S{percent:g}")

    def rename(self, x: float) -> None:
        self.shift[0] = self.at[0] - x
        self.construct.append(f"G92 X{x:.6f}")

    def hop(self, dz: float) -> None:
        """Lift in G91, between SAVE and RESTORE; restoring brings back F, too."""
        back = self.feed
        self.construct += ["SAVE_GCODE_STATE NAME=hop", "G91", f"G1 Z{dz:.6f} F600"]
        self.construct += ["RESTORE_GCODE_STATE NAME=hop"]
        self.feed = 600.0
        self.go(self.at + np.array([0.0, 0.0, dz]))
        self.feed = back

    def park(self, x: float, y: float, move_speed: float) -> None:
        """Park between SAVE and RESTORE … MOVE=1."""
        home, back = self.at.copy(), self.feed
        self.construct += ["SAVE_GCODE_STATE", "G90", f"G1 X{x:.6f} Y{y:.6f} F9000"]
        self.construct += [f"RESTORE_GCODE_STATE MOVE=1 MOVE_SPEED={move_speed:g}"]
        self.feed = 9000.0
        self.go(np.array([x + self.shift[0], y + self.shift[1], home[2]]))
        self.go(home, feed=60.0 * move_speed)
        self.feed = back

    def recall(self, x: float, y: float) -> None:
        """Park between G60 and G61; the F of G61 is its own."""
        home, back = self.at.copy(), self.feed
        self.construct += ["G60 S1", f"G1 X{x:.6f} Y{y:.6f}", "G61 S1 X Y F7200"]
        self.go(np.array([x + self.shift[0], y + self.shift[1], home[2]]))
        self.go(home, feed=7200.0)
        self.feed = back

    def adjust(self, dz: float, moves: bool) -> None:
        """Shift all later heights by SET_GCODE_OFFSET."""
        self.construct.append(f"SET_GCODE_OFFSET Z_ADJUST={dz:.6f} MOVE={int(moves)} MOVE_SPEED=5")
        self.shift[2] += dz
        if moves:
            self.go(self.at + np.array([0.0, 0.0, dz]), feed=300.0)

    def height(self, z: float) -> None:
        self.construct.append(f"G1 Z{z:.6f}")
        self.go([*self.at[:2], z + self.shift[2]])

    def retract(self) -> None:
        self.construct += ["M207 S0.8 F1800", "M208 S0.1 F1200", "G10", "G10", "G11", "G11"]
        back, forth = -0.8 * self.flow, 0.9 * self.flow  # Klipper's G10 is a G1, which M221 scales
        self.plain += [
            f"G1 E{back:.6f} F{1800 * self.speed:.6f}",
            f"G1 E{forth:.6f} F{1200 * self.speed:.6f}",
        ]


place = st.floats(1.0, 200.0).map(lambda v: round(v, 3))
step = st.floats(-20.0, 20.0).map(lambda v: round(v, 3)).filter(lambda v: abs(v) > 0.5)
height = st.floats(0.2, 5.0).map(lambda v: round(v, 3))
deed = st.one_of(
    st.tuples(st.just("move"), step, step, st.floats(0.01, 1.0).map(lambda v: round(v, 4))),
    st.tuples(st.just("set_feed"), st.sampled_from([1200.0, 2400.0, 6000.0])),
    st.tuples(st.just("set_flow"), st.sampled_from([95.0, 100.0, 110.0])),
    st.tuples(st.just("set_speed"), st.sampled_from([50.0, 100.0, 130.0])),
    st.tuples(st.just("rename"), place),
    st.tuples(st.just("hop"), height),
    st.tuples(st.just("park"), place, place, st.sampled_from([50.0, 120.0])),
    st.tuples(st.just("recall"), place, place),
    st.tuples(st.just("adjust"), height, st.booleans()),
    st.tuples(st.just("height"), height),
    st.tuples(st.just("retract")),
)


def moving(text: list[str]) -> Moves:
    moves = parse_program("\n".join([*text, ""]).encode(), "test.gcode").moves
    length = np.abs(moves.end - moves.start).max(axis=1)
    return moves.select((moves.kind != MoveKind.PAUSE) & (length > 1e-6))


@settings(max_examples=300, deadline=None)
@given(st.lists(deed, min_size=1, max_size=14))
def test_constructs_mean_what_they_mean_spelled_out(deeds) -> None:
    machine = Machine()
    machine.construct.append("; gcode_flavor = klipper")
    machine.move(10.0, 10.0, 0.5)
    for name, *values in deeds:
        getattr(machine, name)(*values)
    machine.move(3.0, 2.0, 0.25)
    found, wanted = moving(machine.construct), moving(machine.plain)
    np.testing.assert_allclose(found.end, wanted.end, atol=2e-5)
    np.testing.assert_allclose(found.feedrate, wanted.feedrate, rtol=1e-6)


def read(*lines: str, firmware: str | None = None) -> Program:
    return parse_program("\n".join([*lines, ""]).encode(), "test.gcode", firmware)


def test_a_state_that_the_file_did_not_keep_is_refused() -> None:
    with pytest.raises(GcodeError, match=r"test\.gcode:2: RESTORE_GCODE_STATE fetches 'pause'"):
        read("G1 X1", "RESTORE_GCODE_STATE NAME=pause", "G1 X2")


def test_the_push_of_reprapfirmware_keeps_modes_and_feedrate_not_places() -> None:
    lines = ("M83", "G1 X1 F600", "M120", "G91", "G1 X5 F1200", "M121", "G1 X2")
    moves = read("; gcode_flavor = reprapfirmware", *lines).moves
    assert moves.end[:, 0].tolist() == [1, 6, 2]
    assert moves.feedrate.tolist() == [10, 20, 10]
    # On Marlin M120 and M121 switch endstops.
    assert read(*lines).moves.end[:, 0].tolist() == [1, 6, 8]


def test_g61_moves_named_axes_by_their_value_from_the_kept_place() -> None:
    # Marlin, G61: "X: restore X with an optional offset". Without axes all three return.
    lines = ("G1 X10 Y20 Z3", "G60", "G1 X50 Y60 Z9", "G61 Y-1", "G1 X0", "G61", "G61 S4")
    assert read(*lines).moves.end[:, :3].tolist() == [
        [10, 20, 3],
        [50, 60, 9],
        [50, 19, 9],
        [0, 19, 9],
        [10, 20, 3],
    ]


def test_flow_scales_filament_and_keeps_what_e_is_called() -> None:
    moves = read("M82", "G1 X1 E10", "M221 S50", "G1 X2 E14", "G92 E0", "G1 X3 E2").moves
    assert moves.end[:, 3].tolist() == [10, 12, 13]
    np.testing.assert_allclose((moves.end - moves.origin)[:, 3] / moves.flow, [10, 14, 2])


def test_homing_on_klipper_returns_to_the_offset() -> None:
    moves = read("SET_GCODE_OFFSET X=2", "G1 X10", "G28 X", "G1 X10").moves
    assert moves.end[:, 0].tolist() == [12, 2, 12]


def test_m220_is_kept_and_fetched_by_its_own_letters() -> None:
    moves = read("G1 X1 F600", "M220 S50", "M220 B", "M220 S200", "G1 X2", "M220 R", "G1 X3").moves
    assert moves.feedrate.tolist() == [10, 20, 5]


def test_loops_are_refused() -> None:
    with pytest.raises(GcodeError, match=r"test\.gcode:2: M808 asks for a loop"):
        read("G1 X1", "M808 L3", "G1 X2", "M808")
