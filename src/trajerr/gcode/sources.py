"""What to collect from: embedded parts or G-code files, and which of their layers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajerr.checks import require, require_one_of
from trajerr.errors import DataError, GcodeError
from trajerr.files import from_home
from trajerr.gcode.containers.kinds import split_name
from trajerr.gcode.files import STANDARD_INPUT, read_bytes
from trajerr.gcode.parts import PARTS, load_part
from trajerr.gcode.program import Program
from trajerr.gcode.reader import read_program, unpack_program

LayerSpec = str | int | Sequence[int]


@dataclass(frozen=True)
class Source:
    """One print: an embedded part (no path) or a G-code file."""

    name: str
    path: Path | None = None
    content: bytes | None = field(default=None, repr=False)  # of what can be read but once

    def read(self, firmware: str | None = None) -> Program:
        """Read its G-code, by the rules of a printer's firmware where one is named."""
        if self.path is None:
            return load_part(self.name) if firmware is None else load_part(self.name, firmware)
        if self.content is not None:
            return unpack_program(self.content, self.path.name, firmware)
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
        A file, a glob pattern, or a list of either; ``-`` is standard input.

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
        sources = [_file(path) for path in paths]
    key, value = ("parts", parts) if gcode is None else ("gcode", gcode)
    require(key, value, len(sources) > 0, "something to collect from")
    names = [source.name for source in sources]
    for name in names:
        alike = [source.path or name for source in sources if source.name == name]
        require(key, alike, len(alike) == 1, f"one source of the name {name}: rename one of them")
    return tuple(sources)


def _as_list(gcode: object) -> list[str | Path]:
    items: list[Any] = list(gcode) if isinstance(gcode, Sequence) else [gcode]
    holds = all(isinstance(item, str | Path) for item in items)
    require("gcode", gcode, holds, "a file, a pattern or a list of either")
    return items


def _part(name: str) -> Source:
    require_one_of("parts", name, PARTS)
    return Source(name)


def _file(path: Path) -> Source:
    if path.is_file():
        return Source(_folder_name(split_name(path)[0]), path)
    name = "standard_input" if path == STANDARD_INPUT else _folder_name(path.stem)
    return Source(name, path, read_bytes(path))


def _matching(pattern: str | Path) -> list[Path]:
    exact = from_home(pattern)
    if exact == STANDARD_INPUT:
        return [exact]
    if exact.exists():
        return [exact if exact.is_fifo() else exact.resolve()]
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
        ``"upper"`` (the upper half), one number, or a list of numbers.
    available
        Layers that print.
    name
        Of the source, for messages.

    Raises
    ------
    ConfigError
        If the form is unknown, or a layer does not exist.
    DataError
        If no layer prints.
    """
    layers = [int(layer) for layer in available]
    if not layers:
        raise DataError(f"{name}: no layer prints anything, so there is nothing to collect")
    wanted = _wanted(spec, layers)
    missing = [layer for layer in wanted if layer not in set(layers)]
    expected = f"layers that print in {name}, {layers[0]} to {layers[-1]}"
    require("layers", missing, not missing, expected)
    return wanted


def _wanted(spec: LayerSpec, layers: list[int]) -> list[int]:
    chosen = _named(spec.strip(), layers) if isinstance(spec, str) else _listed(spec)
    require("layers", spec, len(chosen) > 0, "all, upper, sampled:5, 10-20, a number or a list")
    return chosen


def _listed(spec: int | Sequence[int]) -> list[int]:
    """Return layers by number; none if another thing is among them."""
    numbers = [spec] if isinstance(spec, int) else list(spec)
    return sorted(set(numbers)) if all(type(number) is int for number in numbers) else []


def _named(spec: str, layers: list[int]) -> list[int]:
    """Return layers that a text names; none if it has no known form."""
    if spec == "all":
        return layers
    if spec == "upper":
        return layers[(len(layers) + 1) // 2 :]
    if match := re.fullmatch(r"sampled:([1-9]\d*)", spec):
        return layers[:: int(match[1])]
    if match := re.fullmatch(r"(\d+)\s*-\s*(\d+)", spec):
        first, last = int(match[1]), int(match[2])
        return list(range(first, last + 1))
    return [int(spec)] if re.fullmatch(r"\d+", spec) else []
