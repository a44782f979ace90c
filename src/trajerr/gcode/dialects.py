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
    rb"^; *(?:Generated (?:by|with) )?"
    rb"(BambuStudio|OrcaSlicer|Creality[_ ]Print(?! GCode)|KISSlicer|ideaMaker|Cura_SteamEngine"
    rb"|PrusaSlicer)[ _-]*(?:version )?(?:: )?[vV]?(\d[\d.]*)?",
    re.MULTILINE | re.IGNORECASE,
)
_NAMES = {"Cura_SteamEngine": "Cura", "Creality_Print": "Creality Print"}

# One table for all slicers: no two of them mean different things by one name.
_FEATURES: dict[F, tuple[str, ...]] = {
    F.OUTER_WALL: (
        "external perimeter", "outer wall", "wall outer", "outer perimeter", "thin wall",
        "external single extrusion", "perimeter path",
    ),
    F.INNER_WALL: (
        "perimeter", "internal perimeter", "inner wall", "wall inner", "inner perimeter",
        "loop path",
    ),
    F.OVERHANG_WALL: ("overhang perimeter", "overhang wall", "floating vertical shell"),
    F.INFILL: ("internal infill", "sparse infill", "fill", "infill", "sparse infill path"),
    F.SOLID_INFILL: (
        "solid infill", "internal solid infill", "solid layer", "solid fill", "bottom surface",
        "bottom", "solid path",
    ),
    F.TOP_SURFACE: ("top solid infill", "top surface", "skin", "top", "top surface skin"),
    F.BRIDGE: ("bridge infill", "internal bridge infill", "bridge", "internal bridge"),
    F.GAP_FILL: ("gap fill", "gap infill", "internal single extrusion", "single extrusion"),
    F.SKIRT: (
        "skirt", "skirt/brim", "brim", "ooze shield", "draft shield", "skirt path",
    ),
    F.SUPPORT: ("support material", "support", "support transition", "raft", "support base"),
    F.SUPPORT_INTERFACE: ("support material interface", "support interface", "dense support"),
    F.PRIME_TOWER: ("wipe tower", "prime tower", "prime pillar", "flush", "wipe and prime tower"),
    F.IRONING: ("ironing",),
    F.CUSTOM: ("custom", "undefined"),
}  # fmt: skip
FEATURE_NAMES = {name: feature for feature, names in _FEATURES.items() for name in names}

# Kinds of layer marks, the most trustworthy first; a file's best kind is the only one used.
MARK_KINDS = ("change", "number", "object", "height", "note")
_PHRASE_BEGINS = frozenset(" LBCf0123456789")
_LAYER_NUMBER = re.compile(r"layer:? (-?\d+)(?:, ?z ?=.*)?$")


def generator(text: bytes) -> str:
    """Return name and version of the slicer that wrote a file, or an empty string."""
    head = text[:_HEADER_BYTES]
    found = _GENERATED.search(head) or _BARE_NAME.search(head)
    if not found:
        return ""
    name, version = (group.decode() if group else "" for group in found.groups())
    return f"{_NAMES.get(name, name)} {version}".strip()


def feature_type(name: str) -> F | None:
    """Return the feature of a slicer's name for it, in any spelling and case."""
    normal = name.strip().lower().replace("-", " ").replace("_", " ").strip("'")
    return FEATURE_NAMES.get(normal)


@dataclass
class CommentReader:
    """Reads whole-line comments in file order."""

    is_simplify3d: bool = False
    feature: Timeline[int] = field(default_factory=lambda: Timeline(int(F.UNKNOWN)))
    marks: dict[str, list[int]] = field(default_factory=lambda: {k: [] for k in MARK_KINDS})
    unknown_features: dict[str, int] = field(default_factory=dict)

    def read(self, line: int, comment: str) -> None:
        """Read one comment, given without its semicolon."""
        key, found, value = comment.partition(":")
        if found:
            self._read_pair(line, key.strip().upper(), value)
        elif comment[:1] in _PHRASE_BEGINS:
            self._read_phrase(line, comment.strip())

    def _read_pair(self, line: int, key: str, value: str) -> None:
        if key in ("TYPE", "FEATURE"):
            self._set_feature(line, value)
        elif key == "LAYER":
            self._mark("number" if _is_integer(value) else "height", line)
        elif key in ("Z", "") and _is_number(value):
            self._mark("height", line)

    def _read_phrase(self, line: int, phrase: str) -> None:
        if phrase in ("LAYER_CHANGE", "CHANGE_LAYER"):
            self._mark("change", line)
        elif phrase.startswith("BEGIN_LAYER_OBJECT"):
            self._mark("object", line)
        elif phrase.startswith("feature "):
            self._set_feature(line, phrase[8:])
        elif phrase.startswith("'") and feature_type(phrase.split("'")[1]) is not None:
            self._set_feature(line, phrase.split("'")[1])
        elif phrase[:1].isdigit():
            if _is_number(phrase):
                self._mark("height", line)
        elif _LAYER_NUMBER.match(phrase.lower()):
            self._mark("number", line)
        elif self.is_simplify3d and feature_type(phrase) is not None:
            self._set_feature(line, phrase)

    def _set_feature(self, line: int, name: str) -> None:
        feature = feature_type(name)
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
    def layer_marks(self) -> Marks:
        """Where layers begin, by the best kind of mark in the file."""
        kind = next((kind for kind in MARK_KINDS if self.marks[kind]), MARK_KINDS[0])
        return Marks(np.array(self.marks[kind], dtype=np.int64), may_lack=kind == "note")


def _is_integer(value: str) -> bool:
    return bool(re.fullmatch(r"\s*-?\d+\s*", value))


def _is_number(value: str) -> bool:
    return bool(re.fullmatch(r"\s*\d+(?:\.\d+)?\s*", value))
