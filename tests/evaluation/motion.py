"""A layer of walls, infill and travel with the error of a soft machine, made from scratch."""

import numpy as np


def layer(seed: int = 0, rate: float = 200.0, turns: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    corners, kinds = _outline(rng, turns)
    xy, kind, time = _travelled(corners, kinds, rate)
    error = np.column_stack([_lag(xy[:, 0], rate, 24.1, 0.14), _lag(xy[:, 1], rate, 21.2, 0.125)])
    smooth = np.convolve(rng.normal(size=len(xy)), np.ones(5) / 5, "same")[:, None]
    predicted = 0.985 * error + 0.004 * smooth * [1.0, 1.3]
    return {"xy": xy, "kind": kind, "time": time, "error": error, "predicted": predicted}


def _outline(rng, turns):
    angle = np.linspace(0, 2 * np.pi, 60)
    radius = 14 + 3 * np.cos(3 * angle + rng.uniform(0, 6))
    wall = np.column_stack([radius * np.cos(angle), 0.7 * radius * np.sin(angle)])
    box = 17.0 * np.array([[-1, -0.8], [1, -0.8], [1, 0.8], [-1, 0.8], [-1, -0.8]])
    fill = [
        (x, s * 6)
        for i, x in enumerate(np.linspace(-8, 8, 4 * turns))
        for s in (1, -1)[:: 1 - 2 * (i % 2)]
    ]
    pieces = [(box, 1), (wall, 2), (np.array(fill), 4)]
    corners, kinds = [box[0]], []
    for points, kind in pieces:
        for j, point in enumerate(points):
            corners.append(point)
            kinds.append(0 if j == 0 else kind)
    return np.array(corners) + np.array([110.0, 105.0]), np.array(kinds)


def _travelled(corners, kinds, rate):
    """Trapezoids that slow to 10 mm/s at each vertex, at 60 mm/s and 1000 mm/s²."""
    xy, kind = [corners[:1]], [kinds[:1]]
    for a, b, k in zip(corners[:-1], corners[1:], kinds, strict=True):
        length = np.linalg.norm(b - a)
        if length < 1e-9:
            continue
        top = 150.0 if k == 0 else 60.0
        s = [0.0]
        while s[-1] < length:
            v = min(top, np.sqrt(100 + 2000 * s[-1]), np.sqrt(100 + 2000 * max(length - s[-1], 0)))
            s.append(s[-1] + v / rate)
        fraction = np.minimum(np.array(s[1:]) / length, 1.0)[:, None]
        xy.append(a + fraction * (b - a))
        kind.append(np.full(len(fraction), k))
    xy, kind = np.concatenate(xy), np.concatenate(kind)
    return xy, kind, np.arange(len(xy)) / rate


def _lag(r, rate, hertz, damping, friction_mm=0.1, substeps=10):
    """Integrate x'' = w²(r − x) + 2ζw(r' − x') − w²·f·tanh(x'/1) by small explicit steps."""
    w, h = 2 * np.pi * hertz, 1 / (rate * substeps)
    x, v, out = r[0], 0.0, []
    rate_of = np.diff(r, prepend=r[0]) * rate
    for k in range(len(r)):
        for j in range(substeps):
            target = r[k] - rate_of[k] * (substeps - 1 - j) * h
            a = w * w * (target - x - friction_mm * np.tanh(v)) + 2 * damping * w * (rate_of[k] - v)
            v += h * a
            x += h * v
        out.append(x - r[k])
    return np.array(out)
