"""Every command line in the README and in docs/ names configs and keys that exist."""

import importlib.util
import re
import shlex
from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from tests.paths import PROJECT
from trajerr.shipped import conf_dir

DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
PYTHON = ("python", ".venv/bin/python")
OWN = {
    "printer": "ender3_v2",
    "experiment": "smoke",
    "model": "base",
}  # stand for what a reader wrote, by group


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield the words of each line in a block of console commands, and of lines in backticks."""
    blocks = re.findall(r"```(?:console|bash|sh)\n(.*?)```", text, flags=re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    inline = re.findall(r"(?<!`)`((?:\.venv/bin/)?python -m trajerr\.[^`]*)`(?!`)", text)
    for line in [*lines, *inline]:
        if line.strip() and not line.lstrip().startswith("#") and "…" not in line:
            files = re.sub(r"\$\([^)]*\)", "part.gcode", line.removeprefix("$ "))
            yield shlex.split(files, comments=True)


def documented() -> Iterator[object]:
    for document in DOCUMENTS:
        for words in command_lines(document.read_text(encoding="utf-8")):
            if words and (words[0] in PYTHON or words[0] == "make"):
                yield pytest.param(words, id=f"{document.stem}: {' '.join(words)}")


@pytest.mark.parametrize("words", list(documented()))
def test_a_documented_command_composes(words: list[str]) -> None:
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), flags=re.M)
        commands = re.findall(
            r"^COMMANDS +:= (.*)$", (PROJECT / "Makefile").read_text(), flags=re.M
        )
        assert {w for w in words[1:] if "=" not in w} <= {*targets, *commands[0].split()}
        return
    if words[1] != "-m":
        assert (PROJECT / words[1]).is_file()
        return
    module = words[2]
    assert importlib.util.find_spec(module) is not None
    if not module.startswith("trajerr."):
        return
    if "hydra/launcher=ray_cluster" in words:
        pytest.importorskip("ray", reason="the extra ray is not installed")
    overrides = [word for word in words[3:] if re.match(r"[+~\w][\w./@+]*=", word)]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        compose(module.removeprefix("trajerr."), _single(overrides), return_hydra_config=True)


def _single(overrides: list[str]) -> list[str]:
    """Return overrides of which each has one value: a sweep's first, or none for an interval."""
    kept = []
    for text, override in zip(
        overrides, OverridesParser.create().parse_overrides(overrides), strict=True
    ):
        key = override.get_key_element()
        name = text.partition("=")[2]
        if key in OWN and not (conf_dir() / key / f"{name}.yaml").is_file():
            kept.append(f"{key}={OWN[key]}")
        elif override.is_sweep_override():
            first = (
                next(override.sweep_string_iterator(), None) if override.is_choice_sweep() else None
            )
            kept += [f"{key}={first}"] if first is not None else []
        else:
            kept.append(text)
    return kept
