"""A tiny slicer: one abstract program, written in any dialect of G-code."""

from dataclasses import dataclass

from hypothesis import strategies as st

FEATURES = ("External perimeter", "Perimeter", "Internal infill")


@dataclass(frozen=True)
class Move:
    """Where to go, in µm and in 10 nm of filament, and how fast in mm/min."""

    x: int
    y: int
    z: int
    e: int  # step
    f: int


@dataclass(frozen=True)
class Comment:
    text: str


@dataclass(frozen=True)
class ResetExtruder:
    pass


@dataclass(frozen=True)
class Dwell:
    milliseconds: int


@dataclass(frozen=True)
class Acceleration:
    value: int


Step = Move | Comment | ResetExtruder | Dwell | Acceleration

coordinate = st.integers(-200_000, 200_000)
moves = st.builds(
    Move,
    x=coordinate,
    y=coordinate,
    z=st.sampled_from([200, 400, 600, 1000]),
    e=st.integers(-500_000, 500_000) | st.just(0),
    f=st.integers(1, 30_000),
)
steps = st.one_of(
    moves,
    moves,
    moves,
    st.builds(Comment, st.sampled_from([f"TYPE:{f}" for f in FEATURES])),
    st.builds(Comment, st.just("LAYER_CHANGE")),
    st.builds(ResetExtruder),
    st.builds(Dwell, st.integers(0, 5000)),
    st.builds(Acceleration, st.integers(100, 5000)),
)
programs = st.lists(steps, min_size=1, max_size=30).filter(
    lambda p: any(isinstance(s, Move) and (s.x or s.y or s.z) for s in p)
)


@dataclass(frozen=True)
class Dialect:
    relative_xyz: bool = False
    relative_e: bool = True
    inches: bool = False
    numbered: bool = False
    byte_order_mark: bool = False
    carriage_returns: bool = False
    parentheses: bool = False
    trailing_comments: bool = False
    lower: bool = False
    spaces: bool = True
    leading_zeros: bool = True
    two_digits: bool = False
    bare_words: bool = False
    terminated: bool = True


dialects = st.builds(Dialect, **{name: st.booleans() for name in Dialect.__annotations__})


class _Slicer:
    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.lines: list[str] = []
        self.at = {"X": 0, "Y": 0, "Z": 0}
        self.e = 0  # since the last G92

    def number(self, thousandths: int, places: int) -> str:
        unit = 25.4 if self.dialect.inches else 1.0
        # Thirteen decimals of an inch leave no more than the rounding of a float.
        text = f"{thousandths / 10**places / unit:.{13 if self.dialect.inches else places}f}"
        text = text.rstrip("0").rstrip(".")
        if not self.dialect.leading_zeros:
            text = text.replace("-0.", "-.") if text.startswith("-0.") else text.removeprefix("0")
        return text or "0"

    def emit(self, *words: str) -> None:
        line = (" " if self.dialect.spaces else "").join(words)
        line = line.lower() if self.dialect.lower else line
        if self.dialect.parentheses:
            line += " (a remark with G1 X5)"
        if self.dialect.numbered:
            line = f"N{len(self.lines) + 1} {line}"
            checksum = 0
            for byte in line.encode():
                checksum ^= byte
            line = f"{line}*{checksum}"
        if self.dialect.trailing_comments:
            line += " ; a remark with G1 X5"
        self.lines.append(line)

    def code(self, number: int) -> str:
        return f"G0{number}" if self.dialect.two_digits else f"G{number}"

    def move(self, step: Move) -> None:
        words = []
        for axis, target in (("X", step.x), ("Y", step.y), ("Z", step.z)):
            base = self.at[axis] if self.dialect.relative_xyz else 0
            words.append(axis + self.number(target - base, 3))
            self.at[axis] = target
        if step.e:
            self.e += step.e
            words.append("E" + self.number(step.e if self.dialect.relative_e else self.e, 5))
        words.append("F" + self.number(step.f * 1000, 3))
        follows_move = self.lines and self.lines[-1].lstrip("N0123456789 ")[:1] in "GgXx"
        is_motion = follows_move and not self.lines[-1].upper().startswith(("G9", "G4", "G2"))
        if not (self.dialect.bare_words and is_motion and not self.dialect.numbered):
            words.insert(0, self.code(1))
        self.emit(*words)

    def preamble(self) -> None:
        self.emit("G20" if self.dialect.inches else "G21")
        self.emit("G91" if self.dialect.relative_xyz else "G90")
        self.emit("M83" if self.dialect.relative_e else "M82")

    def run(self, program: list[Step]) -> bytes:
        self.preamble()
        for step in program:
            match step:
                case Move():
                    self.move(step)
                case Comment(text):
                    self.lines.append(f";{text}")
                case ResetExtruder():
                    self.emit("G92", "E0")
                    self.e = 0
                case Dwell(milliseconds):
                    self.emit("G4", f"P{milliseconds}")
                case Acceleration(value):
                    self.emit("M204", "P" + self.number(value * 1000, 3))
        ending = "\r\n" if self.dialect.carriage_returns else "\n"
        text = ending.join(self.lines) + (ending if self.dialect.terminated else "")
        return (b"\xef\xbb\xbf" if self.dialect.byte_order_mark else b"") + text.encode()


def write(program: list[Step], dialect: Dialect) -> bytes:
    """Return a program in a dialect."""
    return _Slicer(dialect).run(program)
