"""The slicer's own settings, as far as it writes them into the comments of its files."""

import json
import re

_ASSIGNMENT = re.compile(r" ?([^=:;,]{1,100}?) = (.*)")
_SIMPLIFY3D = re.compile(r"   ([A-Za-z][A-Za-z0-9 ]*)(?:,|: )(.*)")
_CURA = re.compile(
    r"(FLAVOR|TIME|Layer height|Filament used|MIN[XYZ]|MAX[XYZ]|LAYER_COUNT"
    r"|[A-Z_]+(?:\.[A-Z0-9_]+)+|(?:Print|Bed) Temperature):(.*)"
)
_CURA_BLOB = "SETTING_3 "
_SETTING = re.compile(r"^(\w+) = (.*)$", re.MULTILINE)


def read_settings(comments: list[str]) -> dict[str, str]:
    """Return the settings that whole-line comments name.

    Parameters
    ----------
    comments : list of str
        Comments without semicolon, in file order.

    Returns
    -------
    dict
        PrusaSlicer's family ``key = value``, Simplify3D's ``key,value``, Cura's header and
        its ``SETTING_3`` blob, with the keys as written. The first mention wins but for
        the family's configuration block, whose values come last in the file.
    """
    settings: dict[str, str] = {}
    blob = []
    others: set[str] = set()  # most comments are no settings, and repeat themselves
    for comment in comments:
        if comment in others:
            continue
        if comment.startswith(_CURA_BLOB):
            blob.append(comment[len(_CURA_BLOB) :])
        elif found := _ASSIGNMENT.fullmatch(comment):
            settings[found[1].strip()] = found[2].strip()
        elif found := _SIMPLIFY3D.fullmatch(comment) or _CURA.fullmatch(comment):
            settings.setdefault(found[1].strip(), found[2].strip())
        else:
            others.add(comment)
    return {**settings, **_cura_blob("".join(blob))}


def _cura_blob(text: str) -> dict[str, str]:
    """Read Cura's settings: JSON whose strings are INI texts with escaped line ends."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or brackets without end
        return {}
    if not isinstance(content, dict):
        return {}
    parts = [p for v in content.values() for p in (v if isinstance(v, list) else [v])]
    joined = "\n".join(str(part).replace("\\n", "\n") for part in parts)
    return {key: value.strip() for key, value in _SETTING.findall(joined)}
