"""Planning without simulating: how long prints take, and what they consist of."""

from collections.abc import Sequence
from typing import Any

from trajerr.gcode.sources import Source
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import Plan, plan
from trajerr.motion.summary import summarise

TOTALS = ("print_time_s", "layers", "moves")  # of several sources, what adds up


def plan_source(source: Source, limits: MachineLimits, scales: tuple[float, float]) -> Plan:
    """Read a source and plan it with an acceleration and a speed scale."""
    acceleration, speed = scales
    return plan(
        source.read(limits.firmware), limits, acceleration_scale=acceleration, speed_scale=speed
    )


def summarise_sources(
    sources: Sequence[Source], limits: MachineLimits, scales: tuple[float, float]
) -> dict[str, Any]:
    """Plan sources one after the other and return their summaries, JSON-ready.

    Returns
    -------
    dict
        :func:`trajerr.motion.summary.summarise` of the only source; of several, the sums of
        ``print_time_s``, ``layers`` and ``moves``, and under ``sources`` each one's summary.
        ``notes`` holds what a person should know of how a file was read, where there is any.
    """
    each = {source.name: _summary(source, limits, scales) for source in sources}
    if len(each) == 1:
        return {"source": sources[0].name, **each[sources[0].name]}
    totals = {key: sum(_number(row[key]) for row in each.values()) for key in TOTALS}
    return {**totals, "sources": each}


def _summary(source: Source, limits: MachineLimits, scales: tuple[float, float]) -> dict[str, Any]:
    planned = plan_source(source, limits, scales)
    notes = planned.program.notes
    return {**summarise(planned), **({"notes": list(notes)} if notes else {})}


def _number(value: Any) -> float:  # noqa: ANN401 - what a summary holds
    return value if isinstance(value, int) else float(value)
