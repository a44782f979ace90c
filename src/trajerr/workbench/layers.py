"""The layers of a planned file as a page: how fast, how hard, and how far off its path."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.bundle.runtime import Predictor
from trajerr.gcode.program import MoveKind
from trajerr.metrics.errors import magnitude
from trajerr.motion.features import FEATURES, REST_SPEED, compute_features
from trajerr.motion.planner import Plan
from trajerr.motion.rests import busy_span, without_long_rests
from trajerr.motion.sampling import sample
from trajerr.reports.markup import page
from trajerr.reports.viewer import layer_viewer, viewer_script, viewer_style
from trajerr.reports.viewer_data import Quantity, Track, ViewedLayer

RATE_HZ = 200.0  # of the samples that are drawn, where no bundle says otherwise
MOST_SAMPLES = 1_500_000  # that are computed; layers between stay away where there are more
SPEED, ACCELERATION, ERROR = "speed", "acceleration", "error"
QUANTITIES = {
    SPEED: Quantity("speed", "mm/s"),
    ACCELERATION: Quantity("acceleration", "mm/s²"),
}
PREDICTED = {ERROR: Quantity("predicted error across the path", "µm")}
FRAMED = "\nmain { max-width: none; padding: 8px; }\n"  # the page around it has margins
UM = 1000.0  # µm per mm


def layers_page(planned: Plan, predictor: Predictor | None, name: str) -> tuple[str, str]:
    """Return a page that shows the layers of a plan, and a sentence on what it shows.

    Parameters
    ----------
    planned
        A program's motion, counted from the bed's corner.
    predictor
        Whose predicted error is drawn; None: none.
    name
        Of the file.
    """
    chosen = chosen_layers(planned)
    if not chosen:
        return page(name, "<p>No layer of this file prints.</p>", dark=True), "Nothing is printed."
    quantities = (PREDICTED if predictor else {}) | QUANTITIES
    count = len(planned.layers)
    view = layer_viewer(_layers(planned, chosen, predictor), quantities, of_layers=count)
    told = "All layers are shown"
    if len(chosen) < count:
        told = f"{len(chosen)} of {count} layers are shown, evenly chosen: all would be too much"
    told += "; of walls, the error is drawn beside the path, magnified" if predictor else ""
    told += "; travels are left out, and a page's size bounds how many layers it holds."
    script = f"<script>{viewer_script()}</script>"
    return page(name, view, script, viewer_style() + FRAMED, dark=True), told


def chosen_layers(planned: Plan) -> list[int]:
    """Return the layers that are drawn: all, or as many as are soon computed, evenly."""
    layers = [int(layer) for layer in planned.layers]
    samples = planned.print_time * RATE_HZ
    count = min(len(layers), max(1, int(len(layers) * MOST_SAMPLES / max(samples, 1.0))))
    return [layers[int((i + 0.5) * len(layers) / count)] for i in range(count)] if layers else []


def _layers(planned: Plan, chosen: list[int], predictor: Predictor | None) -> Iterator[ViewedLayer]:
    moving = without_long_rests(planned)
    for layer in chosen:
        track = _predicted(planned, layer, predictor) if predictor else _planned(moving, layer)
        if len(track.path):
            # What is drawn beside its path is seen to be so where that is drawn as well.
            lines = [] if track.deviation is None else np.split(track.path, track.starts[1:])
            nominal = [line for line in lines if len(line) > 1]
            yield ViewedLayer(layer, float(planned.program.layer_z[layer]), [track], nominal)


def _planned(moving: Plan, layer: int) -> Track:
    motion = sample(moving, RATE_HZ, *busy_span(moving, layer))
    prints = (motion.kind == MoveKind.PRINT) & (motion.layer == layer)
    return _track(motion.position, RATE_HZ, prints)


def _predicted(planned: Plan, layer: int, predictor: Predictor) -> Track:
    found = predictor.predict_layer(planned, layer)
    segment = planned.segment_at(found.time)
    moves = planned.program.moves.select(planned.move[segment])
    prints = moves.is_extruding & (moves.layer == layer)
    off = np.column_stack([found.error_x, found.error_y])
    seen = moves.is_wall if np.any(moves.is_wall & prints) else prints
    track = _track(found.commanded, predictor.sample_rate_hz, prints, off)
    # Inside, where nobody sees it, a magnified error would cover that of the walls.
    deviation = None if track.deviation is None else track.deviation * seen[prints, None]
    return replace(track, deviation=deviation)


def _track(position: Floats, rate: float, prints: Bools, off: Floats | None = None) -> Track:
    """Return what is printed of (N, 3) positions at a rate in Hz, with an (N, 2) error, mm."""
    kept = np.flatnonzero(prints)
    features = compute_features(position, rate)[kept]
    values = {
        SPEED: features[:, FEATURES.index("v_mag")],
        ACCELERATION: features[:, FEATURES.index("a_mag")],
    }
    deviation = None
    if off is not None:
        deviation = _across(off[kept], features[:, [FEATURES.index("vx"), FEATURES.index("vy")]])
        values[ERROR] = UM * magnitude(deviation)
    return Track("as the file plans it", position[kept, :2], _starts(kept), values, deviation)


def _across(off: Floats, velocity: Floats) -> Floats:
    """Return the part of (N, 2) errors that is across the path: what is early or late, none sees.

    Parameters
    ----------
    off
        mm.
    velocity
        (N, 2) mm/s; a nozzle that rests has no direction, and keeps all of its error.
    """
    speed = magnitude(velocity)
    moves = speed > REST_SPEED
    along = np.zeros_like(off)
    along[moves] = velocity[moves] / speed[moves, None]
    return np.asarray(off - along * np.sum(off * along, axis=1, keepdims=True))


def _starts(kept: Ints) -> Ints:
    """Return where rows that follow on each other begin."""
    if not len(kept):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.diff(kept, prepend=kept[0] - 2) != 1)
