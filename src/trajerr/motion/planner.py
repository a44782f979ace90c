"""From moves to motion: each move becomes segments with an exact trapezoid of speed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trajerr.arrays import Floats, Ints
from trajerr.checks import require_positive
from trajerr.errors import GcodeError
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.program import MoveKind, Program
from trajerr.motion import estimated, klipper, marlin
from trajerr.motion.arcs import cutting
from trajerr.motion.limits import MARLIN, LimitTable, MachineLimits, tabulate
from trajerr.motion.merging import Merged, merge
from trajerr.motion.phases import Phases
from trajerr.motion.profile import speed_at, trapezoid_time, travelled
from trajerr.motion.segments import Segments, segment
from trajerr.motion.stepper import idle

LEAVING_S = 1.0  # s after the last extrusion that still belong to the last layer


@dataclass(frozen=True)
class Plan:
    """A program's motion over time: segments with constant acceleration phases; S rows.

    A segment speeds up from ``entry`` to ``cruise`` and slows down to ``exit``, both at
    ``acceleration``; a hold stays at rest for its ``duration``. That is what the firmware means;
    where its step interrupt makes something else of it, that is in ``phases``.
    """

    program: Program
    limits: MachineLimits
    segments: Segments
    idle: Floats  # (S,) s of rest until the firmware goes on with it; 0 but for Marlin
    duration: Floats  # (S,) s
    entry: Floats  # (S,) mm/s
    cruise: Floats  # (S,) mm/s
    exit: Floats  # (S,) mm/s
    acceleration: Floats  # (S,) mm/s²
    phases: Phases | None  # as segments run, where not as meant: on Marlin
    merged: Merged  # pieces of moves that later segments run; none but for Marlin

    def __len__(self) -> int:
        return len(self.duration)

    @cached_property
    def start_time(self) -> Floats:
        """(S,) s when each segment begins."""
        return np.concatenate([[0.0], np.cumsum(self.duration)[:-1]]) + np.cumsum(self.idle)

    @property
    def move(self) -> Ints:
        """(S,) index of each segment's move, into ``program.moves``."""
        return self.segments.move

    @cached_property
    def move_end(self) -> Floats:
        """(M,) s when each move has been travelled.

        A move that was merged into a later one ends within the segment that runs both, by its
        share of the way; one that never runs ends with the one before.
        """
        ends = np.concatenate([[0.0], self.start_time + self.duration])
        moves = np.arange(len(self.program.moves))
        end = ends[np.searchsorted(self.move, moves, side="right")]
        merged, last = self.merged, len(self) - 1
        row = np.minimum(merged.segment, last)
        inside = (merged.segment <= last) & (self.move[row] > merged.move)
        row = row[inside]
        if self.phases is not None:
            way = merged.share[inside] * self.segments.distance[row]
            end[merged.move[inside]] = self.start_time[row] + self.phases.reached(row, way)
        return np.maximum.accumulate(end)

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

    def asked(self, time: Floats) -> Floats:
        """Return (N, 4) x y z e in mm where the file wants the machine at the times (N,) in s."""
        return self.asked_in(self.segment_at(time), time)

    def asked_in(self, index: Ints, time: Floats) -> Floats:
        """Return the same of times (N,) in s that are known to lie in segments (N,).

        It differs from the position by the rounding to whole steps, where moves were merged, and
        on arcs, which firmware cuts into chords.
        """
        if is_klipper(self.limits.firmware):
            return self._on_arcs(index, self.position_in(index, time))
        place = self._place(index, time)
        nodes, points = self._asked_nodes
        chord = np.column_stack([np.interp(place, nodes, axis) for axis in points.T])
        return self._on_arcs(index, chord)

    def _on_arcs(self, index: Ints, points: Floats) -> Floats:
        """Move (N, 4) points on the chords of arcs, mm, out to the arcs; in place.

        Segments that run other moves, too, are left: not all of their way is the arc's.
        """
        move = self.move[index]
        is_curved = self.program.moves.sweep[move] != 0.0
        (curved,) = np.nonzero(is_curved & ~np.isin(index, self.merged.segment))
        if len(curved):
            moves, own = self.program.moves, move[curved]
            centre = moves.center[own]
            spoke = points[curved, :2] - centre
            radius = np.linalg.norm(moves.start[own, :2] - centre, axis=1)
            length = np.maximum(np.linalg.norm(spoke, axis=1), 0.5 * radius)
            points[curved, :2] = centre + spoke * (radius / length)[:, None]
        return points

    def filament_in(self, index: Ints, time: Floats) -> Floats:
        """Return (N,) mm of filament fed, as the file wants it, at times known to lie in segments.

        What whole steps make of it differs by a share of the way between two of them.
        """
        if self.limits.firmware not in MARLIN:
            return self.position_in(index, time)[:, 3]
        nodes, points = self._asked_nodes
        return np.asarray(np.interp(self._place(index, time), nodes, points[:, 3]))

    def _place(self, index: Ints, time: Floats) -> Floats:
        """Return (N,) how many segments have been travelled."""
        along, whole = self._along(index, time), self.segments.distance[index]
        share = np.divide(along, whole, out=np.ones(len(index)), where=whole > 0.0)
        return np.asarray(index + share)

    @cached_property
    def _asked_nodes(self) -> tuple[Floats, Floats]:
        """Where the file wants the machine, by segments travelled: (K,) and (K, 4) mm."""
        runs = self.merged.segment < len(self)
        merged, moves = self.merged, self.program.moves
        first = min([int(self.move[0]), *merged.move[:1].tolist()])
        nodes = np.concatenate(
            [[0.0], np.arange(1.0, len(self) + 1.0), (merged.segment + merged.share)[runs]]
        )
        points = np.concatenate(
            [moves.start[first : first + 1], self.segments.asked, merged.asked[runs]]
        )
        order = np.argsort(nodes, kind="stable")
        return nodes[order], points[order]

    def position_in(self, index: Ints, time: Floats) -> Floats:
        """Return (N, 4) x y z e in mm at the times (N,) in s, known to lie in segments (N,)."""
        along = self._along(index, time)
        return self.segments.start[index] + self.segments.direction[index] * along[:, None]

    def _along(self, index: Ints, time: Floats) -> Floats:
        gone = time - self.start_time[index]
        if self.phases is not None:
            return self.phases.travelled(index, gone)
        return travelled(
            gone,
            self.segments.distance[index],
            self.duration[index],
            self.entry[index],
            self.cruise[index],
            self.exit[index],
            self.acceleration[index],
        )

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
        gone = time - self.start_time[index]
        if self.phases is not None:
            return self.phases.speed_at(index, gone)
        return speed_at(
            gone,
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
    pieces = _from_first_motion(program, segment(program.moves, cutting(limits)))
    feedrate = program.moves.feedrate * speed_scale
    _check_feedrates(program, pieces, feedrate[pieces.move])
    table = tabulate(limits, program.settings, acceleration_scale)
    if limits.firmware in MARLIN:
        return _marlin(program, pieces, table, feedrate, limits)
    table = table.rows(program.moves.settings[pieces.move])
    rules = klipper if is_klipper(limits.firmware) else estimated
    nominal, acceleration = rules.within_limits(pieces, table, feedrate[pieces.move])
    # A hold has no speed; any positive number keeps the rules' ratios defined.
    nominal = np.where(pieces.is_motion, nominal, 1.0)
    stops = _stops(program, pieces)
    ends_v2 = rules.end_speeds(pieces, table, nominal, acceleration, stops, limits)
    return _assemble(program, limits, pieces, acceleration, ends_v2)


def _from_first_motion(program: Program, segments: Segments) -> Segments:
    """Return a program's segments without the waits before its first motion."""
    moving = np.flatnonzero(segments.is_motion)
    if not len(moving):
        raise GcodeError(f"{program.name}: no motion found, expected G0 to G3 with a length")
    return segments.select(slice(int(moving[0]), None))


def _marlin(
    program: Program, pieces: Segments, table: LimitTable, feedrate: Floats, limits: MachineLimits
) -> Plan:
    blocks, kept, merged = merge(program.moves, pieces, limits)
    segments = _from_first_motion(program, blocks)
    holds = len(blocks) - len(segments)
    kept = kept[holds:]
    rows = np.flatnonzero(segments.is_motion)
    move = segments.move[rows]
    resumes = _stops(program, segments)[rows]
    speeds = marlin.run(
        segments.select(rows),
        table.rows(program.moves.settings[move]),
        feedrate[move],
        resumes,
        marlin.Arcs.of(program.moves, pieces).rows(kept[rows]),
        limits,
    )

    def everywhere(values: Floats, at_rest: Floats) -> Floats:
        all_values = at_rest.copy()
        all_values[rows] = values
        return all_values

    still = np.zeros(len(segments))
    return Plan(
        program=program,
        limits=limits,
        segments=segments,
        idle=everywhere(idle(resumes), still),
        duration=everywhere(speeds.duration, segments.hold),
        entry=everywhere(speeds.entry, still),
        cruise=everywhere(speeds.cruise, still),
        exit=everywhere(speeds.exit, still),
        acceleration=everywhere(speeds.acceleration, still),
        phases=speeds.phases.among(len(segments), rows),
        merged=merged.behind(holds),
    )


def _check_feedrates(program: Program, segments: Segments, feedrate: Floats) -> None:
    bad = np.flatnonzero(segments.is_motion & ~((feedrate > 0.0) & np.isfinite(feedrate)))
    if len(bad):
        line = int(program.moves.line[segments.move[bad[0]]]) + 1
        raise GcodeError(
            f"{program.name}:{line}: feedrate is {feedrate[bad[0]] * 60:g} mm/min, "
            "expected a positive number"
        )


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
        idle=np.zeros(len(segments)),
        duration=duration,
        entry=entry,
        cruise=cruise,
        exit=exits,
        acceleration=np.where(segments.is_motion, acceleration, 0.0),
        phases=None,
        merged=Merged.none(),
    )
