"""Commands that change no position, at which Klipper comes to rest all the same.

It must know when what they change holds, so it plans all that it knows to a stop
(``toolhead.py``: ``flush_step_generation``, ``get_last_move_time``, ``dwell``). What fans,
pins, LEDs and heaters do waits for the move under way, and stops nothing.

References
----------
Klipper, ``klippy/kinematics/extruder.py`` (pressure advance, rotation distance),
``klippy/extras/``: ``input_shaper.py``, ``tmc.py``, ``query_endstops.py``, ``probe.py``,
``servo.py``, ``stepper_enable.py``, ``manual_stepper.py``, ``force_move.py``, ``idex_modes.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trajerr.gcode import words as text

_ALWAYS = frozenset(
    {"INIT_TMC", "SET_TMC_FIELD", "M119", "QUERY_ENDSTOPS", "QUERY_PROBE", "SYNC_EXTRUDER_MOTION"}
    | {"M18", "M84", "SET_STEPPER_ENABLE", "MANUAL_STEPPER", "FORCE_MOVE", "SET_DUAL_CARRIAGE"}
    | {"SET_KINEMATIC_POSITION"}
)
# They only report where these parameters are missing; an empty set is any parameter.
_WITH: dict[str, frozenset[str]] = {
    "SET_EXTRUDER_ROTATION_DISTANCE": frozenset({"DISTANCE"}),
    "SET_INPUT_SHAPER": frozenset(),
    "SET_TMC_CURRENT": frozenset({"CURRENT", "HOLDCURRENT"}),
}
# The last build in which a servo waits for rest and every pressure advance does.
_OLD = "klipper_0_12"
SMOOTH_TIME = 0.040  # s, Klipper's default of pressure_advance_smooth_time


@dataclass
class KlipperRests:
    """Follows what a file says, by which it can tell where the machine comes to rest."""

    _advance: dict[str, tuple[float, float]] = field(default_factory=dict)  # by extruder

    def after(self, name: str, body: str, firmware: str | None) -> bool:
        """Return whether a command brings the motion to rest.

        Parameters
        ----------
        name, body
            The command, and what follows its name.
        firmware
            The build (``printer.limits.firmware``); ``None`` counts as today's.
        """
        if name == "SET_PRESSURE_ADVANCE":
            return self._smooths_anew(text.parameters(body)) or firmware == _OLD
        if name == "SET_SERVO":
            return firmware == _OLD
        if name in _WITH:
            given = set(text.parameters(body))
            return bool(given & _WITH[name] if _WITH[name] else given)
        return name in _ALWAYS

    def _smooths_anew(self, named: Mapping[str, str]) -> bool:
        """Return whether pressure advance is smoothed over another time than before.

        Since July 2024 that alone stops the machine: switching it on or off, or a new
        SMOOTH_TIME. What the printer's own config sets is not known: none, as by default.
        """
        extruder = named.get("EXTRUDER", "")
        before = self._advance.get(extruder, (0.0, SMOOTH_TIME))
        advance, time = (text.number(named.get(key)) for key in ("ADVANCE", "SMOOTH_TIME"))
        after = (_or(advance, before[0]), _or(time, before[1]))
        self._advance[extruder] = after
        return _smoothing(*before) != _smoothing(*after)


def _or(new: float | None, old: float) -> float:
    return old if new is None else new


def _smoothing(advance: float, time: float) -> float:
    return time if advance else 0.0
