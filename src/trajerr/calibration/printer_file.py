"""A calibrated printer: made from a base printer and what was measured, written as a config.

The file is complete, so that it needs no other; each number says whether it was measured, with
its interval, or where it comes from. It holds no date: the same measurement, the same bytes.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trajerr.calibration.uncertainty import Estimate
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.printer import NEUTRAL, Printer
from trajerr.dynamics.second_mode import SecondMode

PARTS = ("x", "y", "limits", "thermal")  # keys that hold a part with a class of its own
OF_UNKNOWN_PHASE = (
    "ripple",
)  # effects that no calibration tells; a wrong phase is worse than none
DIGITS = 6  # significant, of measured values: more than any measurement has


@dataclass(frozen=True)
class Measured:
    """What was found out about one axis."""

    natural_freq_hz: Estimate
    damping_ratio: Estimate | None = None  # None: not measured, the base's
    friction_mm_s2: Estimate | None = None  # F_c / m; None: not measured
    viscous_per_s: Estimate | None = None  # d / m; None: not measured
    delay_s: Estimate | None = None  # None: not measured
    # By the keys of a second mode; empty: there is none; None: not looked for.
    second_mode: Mapping[str, Estimate] | None = None


def calibrated(
    base: Printer,
    name: str,
    axes: Mapping[str, Measured],
    source: str,
    recordings: Sequence[str] = (),
) -> Printer:
    """Return the base printer with measured axes, without effects whose phase nothing tells.

    A frequency tells stiffness over mass, not both. On a cartesian printer the mass is the
    base's and the stiffness follows; on a corexy, whose axes share their belts, the stiffness
    is the base's and the masses follow, and the damping is the mean of the measured axes'.

    Parameters
    ----------
    base
        Gives all that was not measured.
    name
        Of the new printer.
    axes
        By "x" and "y", those measured.
    source
        Where the values come from.
    recordings
        SHA-256s of what was measured.
    """
    parts = {axis: _axis(getattr(base, axis), found, base) for axis, found in axes.items()}
    if base.kinematics == "corexy":
        shared = _rounded(sum(p.damping_n_s_per_m for p in parts.values()) / len(parts))
        parts = {
            axis: replace(parts.get(axis, getattr(base, axis)), damping_n_s_per_m=shared)
            for axis in ("x", "y")
        }
    return replace(
        base,
        name=name,
        source=source,
        recordings=recordings,
        effects=tuple(effect for effect in base.effects if effect not in OF_UNKNOWN_PHASE),
        x=parts.get("x", base.x),
        y=parts.get("y", base.y),
    )


def _axis(old: AxisParameters, found: Measured, base: Printer) -> AxisParameters:
    omega = 2.0 * math.pi * found.natural_freq_hz.value
    mass, stiffness = old.mass_kg, old.stiffness_n_per_m
    if base.kinematics == "corexy":
        mass = _rounded(stiffness / omega**2)
    else:
        stiffness = _rounded(mass * omega**2)
    viscous, late, second = old.viscous_n_s_per_m, old.delay_s, old.second_mode
    if found.viscous_per_s is not None:
        viscous = _rounded(mass * found.viscous_per_s.value)
    if found.delay_s is not None:
        late = _rounded(max(found.delay_s.value, 0.0))
    if found.second_mode is not None:
        values = {key: _rounded(told.value) for key, told in found.second_mode.items()}
        second = SecondMode(**values) if values else None
    ratio = old.damping_ratio if found.damping_ratio is None else found.damping_ratio.value
    both = 2.0 * ratio * omega * mass
    damping = _rounded(max(both - viscous, 0.0))
    rub = found.friction_mm_s2
    return replace(
        old,
        mass_kg=mass,
        stiffness_n_per_m=stiffness,
        damping_n_s_per_m=damping,
        coulomb_n=old.coulomb_n if rub is None else _rounded(mass * rub.value / 1000.0),
        viscous_n_s_per_m=viscous,
        delay_s=late,
        second_mode=second,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def render(printer: Printer, base: Printer, axes: Mapping[str, Measured], version: str) -> str:
    """Return a printer config in YAML, which Hydra and OmegaConf read.

    Parameters
    ----------
    printer
        As :func:`calibrated` made it.
    base
        What it was made from.
    axes
        What was measured.
    version
        Of this program.
    """
    lines = [
        f"# Written by python -m trajerr.calibrate {version}; do as you like with it.",
        f"# Measured: {' and '.join(axes)}; all else is as {_quoted(base.name)}.",
    ]
    values = printer.to_dict()
    values |= {axis: values[axis] | NEUTRAL | values[axis] for axis in ("x", "y")}
    lines += _block("", values, Printer, lambda path: _comment(path, printer, base, axes))
    return "\n".join([*lines, ""])


def render_stated(printer: Printer, base: Printer, told: Mapping[str, str], version: str) -> str:
    """Return a printer config, made from what a machine's own file states, in YAML.

    Parameters
    ----------
    printer
        What was made.
    base
        What it was made from.
    told
        What to say of a key, by dotted key; the others are as the base's.
    version
        Of this program.
    """
    lines = [
        f"# Written by python -m trajerr.calibrate {version}; do as you like with it.",
        f"# Limits are the machine's; masses, stiffness and friction are as {_quoted(base.name)}.",
    ]

    def comment(path: str) -> str:
        kept = "" if path in ("name", "source") else f"as {_quoted(base.name)}"
        return told.get(path, kept)

    lines += _block("", printer.to_dict(), Printer, comment)
    return "\n".join([*lines, ""])


def _block(path: str, values: Mapping[str, Any], kind: type, comment: Any) -> Iterator[str]:  # noqa: ANN401
    indent = "  " if path else ""
    yield f"{indent}_target_: {kind.__module__}.{kind.__qualname__}"
    if not path:
        yield "_convert_: all"
    for key, value in values.items():
        if isinstance(value, dict) and key in PARTS:
            yield f"{key}:"
            yield from _block(key, value, _kind(key), comment)
            continue
        said = comment(f"{path}.{key}" if path else key)
        yield f"{indent}{key}: {_scalar(value)}" + (f" # {said}" if said else "")


def _kind(key: str) -> type:
    hint: Any = Printer.__dataclass_fields__[key].type
    return hint if isinstance(hint, type) else AxisParameters


def _comment(path: str, printer: Printer, base: Printer, axes: Mapping[str, Measured]) -> str:
    axis, _, key = path.rpartition(".")
    if path in ("name", "source"):
        return ""
    if path == "recordings":
        return "SHA-256s of the files that it was calibrated from"
    kept = f"as {_quoted(base.name)}"
    if path == "effects" and printer.effects != base.effects:
        return f"{kept}, but for {', '.join(OF_UNKNOWN_PHASE)}: no calibration tells its phase"
    if axis not in ("x", "y"):
        return kept
    changed = getattr(getattr(printer, axis), key) != getattr(getattr(base, axis), key)
    found = axes.get(axis)
    if found is None:
        return "N·s/m; shared with the measured axis on a corexy" if changed else kept
    return _measured(key, found, printer) or kept


def _measured(key: str, found: Measured, printer: Printer) -> str:
    """Return the comment of a key that was measured; empty for others."""
    natural = f"measured: {_said(found.natural_freq_hz, 'Hz')}"
    corexy = printer.kinematics == "corexy"
    if key == "mass_kg" and corexy:
        return f"kg; {natural}, with the base's stiffness"
    if key == "stiffness_n_per_m" and not corexy:
        return f"N/m at mid-span; {natural}, with the base's mass"
    if key == "damping_n_s_per_m" and found.damping_ratio is None:
        return "N·s/m; the base's damping ratio at the measured frequency"
    if key == "damping_n_s_per_m" and found.damping_ratio is not None:
        both = "; mean of the measured axes" if corexy else ""
        return f"N·s/m; measured: damping ratio {_said(found.damping_ratio, '')}{both}"
    if key == "coulomb_n" and found.friction_mm_s2 is not None:
        return f"N; measured: {_said(found.friction_mm_s2, 'mm/s²')} times the mass"
    if key == "viscous_n_s_per_m" and found.viscous_per_s is not None:
        return f"N·s/m; measured: {_said(found.viscous_per_s, '1/s')} times the mass"
    if key == "delay_s" and found.delay_s is not None:
        if found.delay_s.high == 0.0:
            return "s; measured: the earlier axis; what both are late by was not told"
        return f"s; measured: {_said(found.delay_s, 's')}"
    if key == "second_mode" and found.second_mode is not None:
        told = (f"{name} {_said(value, '')}" for name, value in found.second_mode.items())
        return f"measured: {', '.join(told) or 'none shows'}"
    return ""


def _said(estimate: Estimate, unit: str) -> str:
    value = f"{estimate.value:.4g} {unit}".strip()
    return f"{value} (95 %: {estimate.low:.4g} to {estimate.high:.4g})"


def _scalar(value: Any) -> str:  # noqa: ANN401 - whatever a config holds
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_scalar(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    if isinstance(value, str):
        return _quoted(value.replace("${", "$ {"))  # else OmegaConf would fill something in
    text = repr(value)
    mantissa, letter, exponent = text.partition("e")
    # YAML 1.1 reads 5e-06 as text.
    return f"{mantissa}.0e{exponent}" if letter and "." not in mantissa else text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
