"""What to collect from: embedded parts or G-code files, and which of their layers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trajerr.errors import ConfigError, DataError, GcodeError
from trajerr.gcode.parts import PARTS, load_part
from trajerr.gcode.program import Program
from trajerr.gcode.reader import read_program

LayerSpec = str | int | Sequence[int]


@dataclass(frozen=True)
class Source:
    """One print: an embedded part (no path) or a G-code file."""

    name: str
    path: Path | None = None

    def read(self, firmware: str | None = None) -> Program:
        """Read its G-code, by the rules of a printer's firmware where one is named."""
        if self.path is None:
            return load_part(self.name)
        return read_program(self.path, firmware)

    def stamp(self) -> tuple[int, int]:
        """Return what changes when the file does: time of change in ns, size in bytes."""
        if self.path is None or not self.path.is_file():
            return 0, 0
        status = self.path.stat()
        return status.st_mtime_ns, status.st_size


def find_sources(
    parts: Sequence[str], gcode: str | Path | Sequence[str | Path] | None
) -> tuple[Source, ...]:
    """Return what to collect from: files if any are given, else embedded parts.

    Parameters
    ----------
    parts
        Names of embedded parts.
    gcode
        A file, a glob pattern, or a list of either.

    Raises
    ------
    GcodeError
        If a file is missing or a pattern finds none.
    ConfigError
        If nothing is chosen, a part is unknown, or two sources have one name.
    """
    if gcode is None:
        sources = [_part(name) for name in ([parts] if isinstance(parts, str) else parts)]
    else:
        patterns = [gcode] if isinstance(gcode, str | Path) else _as_list(gcode)
        paths = dict.fromkeys(path for pattern in patterns for path in _matching(pattern))
        sources = [Source(_folder_name(path.stem), path) for path in paths]
    if not sources:
        raise ConfigError("parts: none chosen and no gcode given; nothing to collect from")
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"gcode: two sources are named {name}; rename one of the files")
    return tuple(sources)


def _as_list(gcode: object) -> list[str | Path]:
    if not isinstance(gcode, Sequence) or not all(isinstance(g, str | Path) for g in gcode):
        raise ConfigError(f"gcode: got {gcode}, expected a file, a pattern or a list of either")
    return list(gcode)


def _part(name: str) -> Source:
    if name not in PARTS:
        raise ConfigError(f"parts: got {name}, expected some of {', '.join(PARTS)}")
    return Source(name)


def _matching(pattern: str | Path) -> list[Path]:
    exact = Path(pattern).expanduser()
    if exact.exists():
        return [exact.resolve()]
    relative = exact.relative_to(exact.anchor)
    found = [path for path in Path(exact.anchor).glob(str(relative)) if path.is_file()]
    if not found:
        raise GcodeError(f"{pattern}: no such file")
    return sorted(path.resolve() for path in found)


def _folder_name(stem: str) -> str:
    """Return a name that is fit for a folder on any system."""
    return re.sub(r"[^\w.+-]+", "_", stem) or "part"


def select_layers(spec: LayerSpec, available: NDArray[np.integer], name: str) -> list[int]:
    """Return the chosen layers, in order.

    Parameters
    ----------
    spec
        ``"all"``, ``"sampled:5"`` (the first layer and every fifth after it), ``"10-20"``,
        one number, or a list of numbers.
    available
        Layers that print.
    name
        Of the source, for messages.

    Raises
    ------
    ConfigError
        If the form is unknown.
    DataError
        If a layer does not exist.
    """
    layers = [int(layer) for layer in available]
    if not layers:
        raise DataError(f"{name}: no layer prints anything, so there is nothing to collect")
    wanted = _wanted(spec, layers)
    missing = [layer for layer in wanted if layer not in set(layers)]
    if missing:
        raise DataError(
            f"layers: {name} has no layer {missing[0]}, expected {layers[0]} to {layers[-1]}"
        )
    return wanted


def _wanted(spec: LayerSpec, layers: list[int]) -> list[int]:
    if isinstance(spec, str):
        return _named(spec.strip(), layers)
    numbers = [spec] if isinstance(spec, int) else list(spec)
    if not numbers or not all(type(number) is int for number in numbers):
        raise _unknown(spec)
    return sorted(set(numbers))


def _named(spec: str, layers: list[int]) -> list[int]:
    if spec == "all":
        return layers
    if match := re.fullmatch(r"sampled:([1-9]\d*)", spec):
        return layers[:: int(match[1])]
    if match := re.fullmatch(r"(\d+)\s*-\s*(\d+)", spec):
        first, last = int(match[1]), int(match[2])
        if first > last:
            raise _unknown(spec)
        return list(range(first, last + 1))
    if re.fullmatch(r"\d+", spec):
        return [int(spec)]
    raise _unknown(spec)


def _unknown(spec: LayerSpec) -> ConfigError:
    return ConfigError(f"layers: got {spec}, expected all, sampled:5, 10-20, a number or a list")
