"""The slicers' vocabularies: who wrote the file, what a comment says of feature and layer."""

import re
from dataclasses import dataclass, field

import numpy as np

from trajerr.gcode.layers import Marks
from trajerr.gcode.program import FeatureType as F
from trajerr.gcode.timeline import Timeline

_HEADER_BYTES = 1 << 18  # thumbnails may come first
_GENERATED = re.compile(
    rb"(?:generated|sliced)[ _](?:by|with)[: ]+([A-Za-z][A-Za-z0-9_+ -]{0,40}?)(?:\(R\))?"
    rb"(?:[ _]Version)?[ _-]+[vV]?(\d+(?:\.\d+)*)",
    re.IGNORECASE,
)
_BARE_NAME = re.compile(
    rb"^; *(?:Generated (?:by|with) )?<?"
    rb"(BambuStudio|OrcaSlicer|Creality[_ ]Print(?! GCode)|KISSlicer|ideaMaker|Cura_SteamEngine"
    rb"|PrusaSlicer|Kiri:Moto|IceSL|CraftWare)(?!_?[A-Za-z])"
    rb"[ _-]*(?:version )?(?:: )?[vV]?(\d+(?:\.\d+)*)?",
    re.MULTILINE | re.IGNORECASE,
)
_NAMES = {"Cura_SteamEngine": "Cura", "Creality_Print": "Creality Print"}

# One table for all slicers; the one name that two of them use differently is in _OWN_NAMES.
_FEATURES: dict[F, tuple[str, ...]] = {
    F.OUTER_WALL: (
        "external perimeter", "outer wall", "wall outer", "outer perimeter", "thin wall",
        "external single extrusion", "shell outer", "outer", "shells",
    ),
    F.INNER_WALL: (
        "perimeter", "internal perimeter", "inner wall", "wall inner", "inner perimeter",
        "loop", "shell inner", "inner", "shell",
    ),
    F.OVERHANG_WALL: ("overhang perimeter", "overhang wall", "floating vertical shell"),
    F.INFILL: (
        "internal infill", "sparse infill", "fill", "infill", "infill sparse",
        "stacked sparse infill",
    ),
    F.SOLID_INFILL: (
        "solid infill", "internal solid infill", "solid layer", "solid fill", "bottom surface",
        "bottom", "solid", "infill solid", "bottom fill", "first top fill", "hshell",
    ),
    F.TOP_SURFACE: (
        "top solid infill", "top surface", "skin", "top", "top surface skin", "top fill",
        "top solid fill",
    ),
    F.BRIDGE: ("bridge infill", "internal bridge infill", "bridge", "internal bridge"),
    F.GAP_FILL: (
        "gap fill", "gap infill", "internal single extrusion", "single extrusion", "thin fill",
        "crown", "innerhair", "outerhair",
    ),
    F.SKIRT: (
        "skirt", "skirt/brim", "brim", "ooze shield", "draft shield",
        "pre extrude", "shield",
    ),
    F.SUPPORT: (
        "support material", "support", "support transition", "raft", "support base",
        "support (may stack)", "line support sparse",
    ),
    F.SUPPORT_INTERFACE: (
        "support material interface", "support interface", "dense support", "softsupport",
        "supporttouch", "line support solid",
    ),
    F.PRIME_TOWER: (
        "wipe tower", "prime tower", "prime pillar", "flush", "wipe and prime tower",
        "purge", "purge tower", "pillar", "tower",
    ),
    F.IRONING: ("ironing", "travel/ironing"),
    F.CUSTOM: ("custom", "undefined"),
}  # fmt: skip
FEATURE_NAMES = {name: feature for feature, names in _FEATURES.items() for name in names}
# CraftWare, IceSL and KISSlicer call the outermost wall "perimeter", PrusaSlicer all but that.
_OWN_NAMES = {(key, "perimeter"): F.OUTER_WALL for key in ("SEGTYPE", "ICESL", "KISSLICER")}

# What says that a comment names a feature, known or not: a key before a colon,
_FEATURE_KEYS = frozenset({"TYPE", "FEATURE", "SEGTYPE", "STRUCTURE"})
# KISSlicer's quotes, with figures behind them; Simplify3D 5 and Kiri:Moto;
_QUOTED = re.compile(r"'([^']+)',")
_NAMED = "feature "
# or, in the files of these two, that it holds lower-case words and nothing else.
_BARE = re.compile(r"[a-z][a-z /-]*")
_BARE_WRITERS = ("Simplify3D", "IceSL")
_NO_FEATURES = frozenset({"layer end", "travel", "retract", "prime", "retract skipped",
                          "prime skipped"})  # fmt: skip

# Kinds of layer marks, the most trustworthy first; a file's best kind is the only one used.
MARK_KINDS = ("change", "number", "object", "height", "note")
_LAYER_NUMBER = re.compile(
    r"layer #?-?\d+(?:, ?z ?=.*)?|-+ ?layer -?\d+ \(.*|\(?<layer(?: -?\d+)? ?>\)?", re.IGNORECASE
)

_INTEGER = re.compile(r"\s*-?\d+\s*")
_NUMBER = re.compile(r"\s*\d+(?:\.\d+)?\s*")


def generator(text: bytes) -> str:
    """Return name and version of the slicer that wrote a file, or an empty string."""
    head = text[:_HEADER_BYTES]
    found = _GENERATED.search(head) or _BARE_NAME.search(head)
    if not found:
        return ""
    name, version = (group.decode() if group else "" for group in found.groups())
    return f"{_NAMES.get(name, name)} {version}".strip()


def feature_type(name: str, key: str = "") -> F | None:
    """Return the feature of a slicer's name for it, in any spelling and case.

    Parameters
    ----------
    name : str
        As the slicer writes it.
    key : str
        What stands before the name and a colon, or a slicer; some names depend on it.
    """
    normal = name.strip().lower().replace("-", " ").replace("_", " ").removesuffix(" path")
    return _OWN_NAMES.get((key, normal), FEATURE_NAMES.get(normal))


@dataclass
class CommentReader:
    """Reads whole-line comments in file order."""

    generator: str = ""
    feature: Timeline[int] = field(default_factory=lambda: Timeline(int(F.UNKNOWN)))
    marks: dict[str, list[int]] = field(default_factory=lambda: {k: [] for k in MARK_KINDS})
    unknown_features: dict[str, int] = field(default_factory=dict)

    def read(self, line: int, comment: str) -> None:
        """Read one comment, given without its semicolon."""
        key, found, value = comment.partition(":")
        if found:
            self._read_pair(line, key.strip().upper(), value)
        else:
            self._read_phrase(line, comment.strip("; \t"))

    def _read_pair(self, line: int, key: str, value: str) -> None:
        if key in _FEATURE_KEYS:
            self._set_feature(line, value, key)
        elif key == "LAYER":
            self._mark("number" if _is_integer(value) else "height", line)
        elif key in ("Z", "") and _is_number(value):
            self._mark("height", line)

    def _read_phrase(self, line: int, phrase: str) -> None:
        if phrase in ("LAYER_CHANGE", "CHANGE_LAYER"):
            self._mark("change", line)
        elif phrase.startswith("BEGIN_LAYER_"):
            self._mark("object", line)
        elif _is_number(phrase):
            self._mark("height", line)
        elif _LAYER_NUMBER.fullmatch(phrase):
            self._mark("number", line)
        elif phrase.startswith(_NAMED):
            self._set_feature(line, phrase.removeprefix(_NAMED))
        elif quoted := _QUOTED.match(phrase):
            self._set_feature(line, quoted[1], "KISSLICER")
        elif self._is_bare_feature(phrase):
            self._set_feature(line, phrase, self.generator.partition(" ")[0].upper())

    def _is_bare_feature(self, phrase: str) -> bool:
        if not self.generator.startswith(_BARE_WRITERS) or phrase in _NO_FEATURES:
            return False
        return _BARE.fullmatch(phrase) is not None

    def _set_feature(self, line: int, name: str, key: str = "") -> None:
        feature = feature_type(name, key)
        if feature is None:
            self.unknown_features[name.strip()] = self.unknown_features.get(name.strip(), 0) + 1
        self.feature.change(line, int(F.UNKNOWN if feature is None else feature))

    def _mark(self, kind: str, line: int) -> None:
        self.marks[kind].append(line)

    @property
    def names_features(self) -> bool:
        """Whether any comment names a feature, known or not."""
        return bool(self.feature.lines or self.unknown_features)

    @property
    def tells_slicer(self) -> bool:
        """Whether any comment is one that slicers write into what they print."""
        return self.names_features or any(self.marks.values())

    @property
    def layer_marks(self) -> Marks:
        """Where layers begin, by the best kind of mark in the file."""
        kind = next((kind for kind in MARK_KINDS if self.marks[kind]), MARK_KINDS[0])
        return Marks(np.array(self.marks[kind], dtype=np.int64), may_lack=kind == "note")


def _is_integer(value: str) -> bool:
    return bool(_INTEGER.fullmatch(value))


def _is_number(value: str) -> bool:
    return bool(_NUMBER.fullmatch(value))
