"""From moves to motion: each move becomes segments with an exact trapezoid of speed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trajerr.arrays import Floats, Ints
from trajerr.checks import require_positive
from trajerr.errors import GcodeError
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.program import MoveKind, Program
from trajerr.motion import junction, klipper
from trajerr.motion.limits import LimitTable, MachineLimits, tabulate
from trajerr.motion.lookahead import look_ahead
from trajerr.motion.profile import peak_v2, speed_at, trapezoid_time, travelled
from trajerr.motion.segments import Segments, klipper_segments, segment

LEAVING_S = 1.0  # s after the last extrusion that still belong to the last layer


@dataclass(frozen=True)
class Plan:
    """A program's motion over time: segments with constant acceleration phases; S rows.

    A segment speeds up from ``entry`` to ``cruise`` and slows down to ``exit``, both at
    ``acceleration``; a hold stays at rest for its ``duration``.
    """

    program: Program
    limits: MachineLimits
    segments: Segments
    start_time: Floats  # (S,) s
    duration: Floats  # (S,) s
    entry: Floats  # (S,) mm/s
    cruise: Floats  # (S,) mm/s
    exit: Floats  # (S,) mm/s
    acceleration: Floats  # (S,) mm/s²

    def __len__(self) -> int:
        return len(self.duration)

    @property
    def move(self) -> Ints:
        """(S,) index of each segment's move, into ``program.moves``."""
        return self.segments.move

    @property
    def print_time(self) -> float:
        """How long the print takes from its first motion on, s."""
        return float(self.start_time[-1] + self.duration[-1])

    @cached_property
    def layer(self) -> np.ndarray:
        """(S,) layer of each segment."""
        return self.program.moves.layer[self.move]

    @cached_property
    def layers(self) -> Ints:
        """(L,) sorted numbers of the layers in which something is printed."""
        moves = self.program.moves
        return np.unique(moves.layer[moves.is_extruding & (moves.layer > 0)]).astype(np.int64)

    def layer_span(self, layer: int) -> tuple[float, float]:
        """Return when a layer's motion begins and ends, s.

        It begins where the layer before it ends, so that a layer's samples start moving
        as they do in the print. The last one ends soon after its last extrusion: parking
        and waiting for the bed to cool are not printing.

        Raises
        ------
        GcodeError
            If the program has no motion in that layer.
        """
        rows = np.flatnonzero(self.layer == layer)
        if not len(rows):
            known = f"{self.layers[0]} to {self.layers[-1]}" if len(self.layers) else "none"
            raise GcodeError(
                f"{self.program.name}: layer {layer} does not exist, expected a layer that "
                f"prints ({known})"
            )
        begin, end = float(self.start_time[rows[0]]), self._end(rows[-1])
        if layer == self.layers[-1]:
            printing = rows[self.program.moves.is_extruding[self.move[rows]]]
            end = min(end, self._end(printing[-1]) + LEAVING_S)
        return begin, end

    def _end(self, segment: int) -> float:
        return float(self.start_time[segment] + self.duration[segment])

    def segment_at(self, time: Floats) -> Ints:
        """Return (N,) which segment is under way; outside the print, the nearest."""
        index = np.searchsorted(self.start_time, time, side="right") - 1
        return np.clip(index, 0, len(self) - 1)

    def position(self, time: Floats) -> Floats:
        """Return (N, 4) x y z e in mm at the times (N,) in s."""
        return self.position_in(self.segment_at(time), time)

    def position_in(self, index: Ints, time: Floats) -> Floats:
        """Return (N, 4) x y z e in mm at the times (N,) in s, known to lie in segments (N,)."""
        along = travelled(
            time - self.start_time[index],
            self.segments.distance[index],
            self.duration[index],
            self.entry[index],
            self.cruise[index],
            self.exit[index],
            self.acceleration[index],
        )
        return self.segments.start[index] + self.segments.direction[index] * along[:, None]

    def velocity(self, time: Floats) -> Floats:
        """Return (N, 4) velocity of x y z e in mm/s at the times (N,) in s."""
        index = self.segment_at(time)
        speed, _ = self._speed_at(time, index)
        return self.segments.direction[index] * speed[:, None]

    def acceleration_at(self, time: Floats) -> Floats:
        """Return (N, 4) acceleration of x y z e in mm/s², without the jumps at junctions."""
        index = self.segment_at(time)
        _, rate = self._speed_at(time, index)
        return self.segments.direction[index] * rate[:, None]

    def _speed_at(self, time: Floats, index: Ints) -> tuple[Floats, Floats]:
        return speed_at(
            time - self.start_time[index],
            self.duration[index],
            self.entry[index],
            self.cruise[index],
            self.exit[index],
            self.acceleration[index],
        )


def plan(
    program: Program,
    limits: MachineLimits,
    *,
    acceleration_scale: float = 1.0,
    speed_scale: float = 1.0,
) -> Plan:
    """Plan a program's motion as the machine's firmware would.

    Parameters
    ----------
    program
        A G-code file's moves and the limits that it sets.
    limits
        The machine's own limits and firmware.
    acceleration_scale
        Multiplies all accelerations and their limits, after the file's overrides; jumps
        in velocity (jerk, corner velocities) stay.
    speed_scale
        Multiplies all feedrates, as M220 does; the axes' maximal velocities stay.

    Raises
    ------
    GcodeError
        If the program has no motion or a move has no usable feedrate.
    ConfigError
        If a scale is not positive.
    """
    require_positive("acceleration_scale", acceleration_scale)
    require_positive("speed_scale", speed_scale)
    segments = _from_first_motion(program, limits)
    table = tabulate(limits, program.settings, acceleration_scale)
    table = table.rows(program.moves.settings[segments.move])
    feedrate = program.moves.feedrate[segments.move] * speed_scale
    _check_feedrates(program, segments, feedrate)
    within = klipper.within_limits if is_klipper(limits.firmware) else _within_axes
    nominal, acceleration = within(segments, table, feedrate)
    # A hold has no speed; any positive number keeps the rules' ratios defined.
    nominal = np.where(segments.is_motion, nominal, 1.0)
    ends_v2 = _end_speeds(program, segments, table, nominal, acceleration, limits)
    return _assemble(program, limits, segments, acceleration, ends_v2)


def _from_first_motion(program: Program, limits: MachineLimits) -> Segments:
    """Return a program's segments without the waits before its first motion."""
    segments = (
        klipper_segments(program.moves, limits.arc_resolution_mm)
        if is_klipper(limits.firmware)
        else segment(program.moves)
    )
    moving = np.flatnonzero(segments.is_motion)
    if not len(moving):
        raise GcodeError(f"{program.name}: no motion found, expected G0 to G3 with a length")
    return segments.select(slice(int(moving[0]), None))


def _within_axes(segments: Segments, table: LimitTable, feedrate: Floats) -> tuple[Floats, Floats]:
    """Return (S,) nominal speed in mm/s and (S,) acceleration in mm/s² of each segment."""
    share = np.abs(segments.direction)
    moves_head = share[:, :3].any(axis=1)
    extrudes = share[:, 3] > 0.0
    slowest = np.where(extrudes, table.min_print_velocity, table.min_travel_velocity)
    with np.errstate(divide="ignore"):
        axis_speed = np.where(share > 0.0, table.max_velocity / share, np.inf).min(axis=1)
        axis_rate = np.where(share > 0.0, table.max_acceleration / share, np.inf).min(axis=1)
    nominal = np.minimum(np.maximum(feedrate, slowest), axis_speed)
    nominal = np.where(moves_head, np.minimum(nominal, table.path_velocity), nominal)
    moving = np.where(extrudes, table.print_acceleration, table.travel_acceleration)
    wanted = np.where(moves_head, moving, table.retract_acceleration)
    return nominal, np.minimum(wanted, axis_rate)


def _check_feedrates(program: Program, segments: Segments, feedrate: Floats) -> None:
    bad = np.flatnonzero(segments.is_motion & ~((feedrate > 0.0) & np.isfinite(feedrate)))
    if len(bad):
        line = int(program.moves.line[segments.move[bad[0]]]) + 1
        raise GcodeError(
            f"{program.name}:{line}: feedrate is {feedrate[bad[0]] * 60:g} mm/min, "
            "expected a positive number"
        )


def _end_speeds(
    program: Program,
    segments: Segments,
    table: LimitTable,
    nominal: Floats,
    acceleration: Floats,
    limits: MachineLimits,
) -> tuple[Floats, Floats, Floats]:
    """Return squared entry, cruise and exit speeds of each segment, (S,) each."""
    stops = _stops(program, segments)
    if is_klipper(limits.firmware):
        return klipper.end_speeds(segments, table, nominal, acceleration, stops, limits)
    if limits.firmware == "marlin":
        caps = _classic(segments, table, nominal, stops)
    else:
        caps = _deviation(segments, table, nominal, acceleration, stops)
    delta_v2 = 2.0 * acceleration * segments.distance
    entry_v2, exit_v2 = look_ahead(*caps, delta_v2, limits.lookahead_blocks)
    return entry_v2, peak_v2(entry_v2, exit_v2, delta_v2, nominal), exit_v2


def _stops(program: Program, segments: Segments) -> np.ndarray:
    """Return (S,) whether the machine is at rest before the segment."""
    moves = program.moves
    asked = np.concatenate([[0], np.cumsum(moves.stop)])
    # A stop of a move that vanished (no length, no time) still holds for its successor.
    through = asked[segments.move + 1]
    rest = np.concatenate([[True], through[1:] > through[:-1]])
    still = ~segments.is_motion | (moves.kind[segments.move] == MoveKind.PAUSE)
    rest |= still
    rest[1:] |= still[:-1]
    return rest


def _classic(
    segments: Segments, table: LimitTable, nominal: Floats, stops: np.ndarray
) -> tuple[Floats, Floats, np.ndarray]:
    axis_velocity = segments.direction * nominal[:, None]
    safe = junction.safe_speed(axis_velocity, nominal, table.jerk)
    safe = np.where(segments.is_motion, safe, 0.0)
    shared, rests = junction.classic_jerk(axis_velocity, nominal, table.jerk, safe)
    return _caps(shared**2, safe**2, stops | rests)


def _deviation(
    segments: Segments,
    table: LimitTable,
    nominal: Floats,
    acceleration: Floats,
    stops: np.ndarray,
) -> tuple[Floats, Floats, np.ndarray]:
    shared = junction.junction_deviation(
        segments.direction,
        segments.distance,
        nominal,
        acceleration,
        table.max_acceleration,
        table.junction_deviation,
    )
    return _caps(shared**2, np.zeros_like(shared), stops)


def _caps(
    junction_v2: Floats, safe_v2: Floats, stops: np.ndarray
) -> tuple[Floats, Floats, np.ndarray]:
    """Return the squared limits at entry and exit, and whether each joins the next."""
    max_start_v2 = np.where(stops, safe_v2, junction_v2)
    coupled = np.append(~stops[1:], False)
    max_end_v2 = np.where(coupled, np.append(junction_v2[1:], 0.0), safe_v2)
    return max_start_v2, max_end_v2, coupled


def _assemble(
    program: Program,
    limits: MachineLimits,
    segments: Segments,
    acceleration: Floats,
    ends_v2: tuple[Floats, Floats, Floats],
) -> Plan:
    entry, cruise, exits = (np.sqrt(np.where(segments.is_motion, s, 0.0)) for s in ends_v2)
    duration = np.where(
        segments.is_motion,
        trapezoid_time(segments.distance, entry, cruise, exits, acceleration),
        segments.hold,
    )
    return Plan(
        program=program,
        limits=limits,
        segments=segments,
        start_time=np.concatenate([[0.0], np.cumsum(duration)[:-1]]),
        duration=duration,
        entry=entry,
        cruise=cruise,
        exit=exits,
        acceleration=np.where(segments.is_motion, acceleration, 0.0),
    )
