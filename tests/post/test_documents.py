"""The lines of docs/slicers.md are taken; trajerr doctor prints one that is."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.paths import PROJECT
from trajerr.post.command import parser
from trajerr.post.settings import own_file, read_settings, settle

PAGE = (PROJECT / "docs" / "slicers.md").read_text(encoding="utf-8")


def calls() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    words = [shlex.split(line.partition(" > ")[0].rpartition(" | ")[2]) for line in lines]
    return [w for w in words if w[0].endswith("trajerr-post")]


@pytest.mark.parametrize("words", calls(), ids=" ".join)
def test_a_documented_line_is_taken(words: list[str]) -> None:
    given = words[1:] if words[-1] in ("part.gcode", "-") else [*words[1:], "part.gcode"]
    assert parser().parse_args(given).bundle


def test_the_page_has_lines() -> None:
    assert len(calls()) == 4


def test_the_documented_settings_are_taken(tmp_path: Path) -> None:
    texts = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    (text,) = (text for text in texts if "machines:" in text)
    path = tmp_path / "post.yaml"
    path.write_text(text, encoding="utf-8")
    (name,) = yaml.safe_load(text)["machines"]
    settings = settle([read_settings(path), {}], (name,))
    assert settings["board"] == "klipper"
    assert settings["bundle"] == str(tmp_path / "bundles" / "voron")


def doctor() -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "trajerr", "doctor"]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_doctor_says_what_there_is(home: Path) -> None:
    done = doctor()
    assert done.returncode == 0, done.stdout
    assert "✓ shipped printers: corexy, ender3_stock, ender3_v2, klipper_fast" in done.stdout
    assert f"no settings of your own: {own_file()}" in done.stdout
    line = done.stdout.splitlines()[-1].partition("(docs/slicers.md): ")[2]
    words = shlex.split(line)
    taken = words[words.index("trajerr.post") + 1 :] if "-m" in words else words[1:]
    assert parser().parse_args([*taken, "--bundle", "x", "part.gcode"]).bundle == "x"
    given = subprocess.run([*words, "--version"], capture_output=True, text=True, check=True)
    assert given.stdout.startswith("trajerr ")


def test_doctor_names_what_is_wrong(home: Path) -> None:
    path = own_file()
    path.parent.mkdir(parents=True)
    path.write_text("bundle: nowhere\nmachines: {A: {printer: absent}}\n")
    done = doctor()
    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("✗")]
    assert len(wrong) == 2
    assert f"{path.parent / 'nowhere'}" in wrong[0]
    assert "A: printer: got absent" in wrong[1]
    path.write_text("bundel: x\n")
    assert "bundel: unknown" in doctor().stdout


@pytest.mark.parametrize(
    ("name", "instead"), [("correct", "; trajerr-post corrects without it"), ("train", "")]
)
def test_a_command_whose_extra_is_absent_says_so(name: str, instead: str) -> None:
    code = (
        "import sys\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'hydra':\n"
        "            raise ModuleNotFoundError('No module', name=name)\n"
        "sys.meta_path.insert(0, Blocker())\n"
        f"sys.argv = ['trajerr', {name!r}]\n"
        "from trajerr.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"trajerr {name}: hydra is not installed, expected it: "
        f"pip install trajerr[pipeline]{instead}\n"
    )
