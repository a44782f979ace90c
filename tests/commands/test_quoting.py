"""What an error advises works when it is pasted; slicers give a file as the last argument."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf

from tests.warm_python import warm_python
from trajerr.commands.quoting import (
    advice_to_install,
    literal,
    pasteable,
    refuse_ambiguous,
    take_file,
    unfilled,
    unreadable,
)
from trajerr.errors import ConfigError
from trajerr.gcode.sources import find_sources

NAMES = [
    "part.gcode",
    "it's.gcode",
    "'quoted'_part.gcode",
    'the 5" part.gcode',
    """both ' and ".gcode""",
    "jaw_0,10mm_PLA_M5.gcode",
    "a,b,'c'.gcode",
    "part (1).gcode",
    "two  blanks.gcode",
    " leading and trailing ",
    "größe_äöü.gcode",
    "部品.gcode",
    "part #2.gcode",
    "[a]_part.gcode",
    "{input_filename_base}.gcode",
    "${part}.gcode",
    "a\\${part}.gcode",
    "${now:%H}${oc.env:HOME}.gcode",
    "a=b.gcode",
    "C:\\parts\\new.gcode",
    "back\\",
    "back\\'quote\\\".gcode",
    "a&b;c|d.gcode",
    "100%!.gcode",
    "$HOME`id`*?.gcode",
    "~part.gcode",
    "null",
    "1e3",
    "a:b@c.gcode",
    "tab\tnew\nline.gcode",
]
WALL = ";TYPE:External perimeter\nG1 X40 Y40\nG1 X60 Y40 E1\nG1 X60 Y60 E2\n"
PART = f"G92 E0\nG1 Z.2\n{WALL}"


def value_of(word: str, key: str = "gcode") -> object:
    """Return what a command gets of a word that a shell hands to it."""
    (override,) = OverridesParser.create().parse_overrides([word])
    assert not override.is_sweep_override()
    assert override.get_key_element() == key
    config = OmegaConf.create({key: override.value(), "run": {"file": f"${{{key}}}"}})
    plain = OmegaConf.to_container(config, resolve=True)
    assert plain["run"]["file"] == plain[key]
    return plain[key]


def advised(message: str) -> str:
    """Return the first word of a message that a shell would read as an override of gcode."""
    start = message.index("'gcode=")
    for end in range(start + 1, len(message) + 1):
        try:
            words = shlex.split(message[start:end])
        except ValueError:
            continue
        if message[end : end + 1] in ("", ",", " "):
            (word,) = words
            return word
    raise AssertionError(message)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_survives_shell_and_hydra(name):
    (word,) = shlex.split(pasteable(literal("gcode", name)))
    assert value_of(word) == name


@pytest.mark.parametrize("name", NAMES)
def test_the_advice_gives_the_name_back(name):
    given = f"gcode={name}"
    try:
        (override,) = OverridesParser.create().parse_overrides([given])
    except OverrideParseException as error:
        said = unreadable(error.override)
    else:
        said = unfilled([given])
        if override.is_sweep_override():
            with pytest.raises(ConfigError) as refused:
                refuse_ambiguous(override)
            said = str(refused.value)
    if said:
        assert value_of(advised(said)) == name
    else:  # it is read; blanks at the ends are lost, and what is no text is found by its kind
        assert str(override.value()) == name.strip() or name in ("null", "1e3")


def test_hydras_own_quotes_are_not_taken_for_the_name():
    assert value_of(advised(unreadable("gcode='it's.gcode'"))) == "it's.gcode"


def test_an_interpolation_of_another_key_stays_one():
    (word,) = shlex.split(unreadable("out=ä/${name}").partition("within quotes: ")[2])
    assert word == 'out="ä/${name}"'


@pytest.mark.parametrize(
    "name", [*(name for name in NAMES if name != "~part.gcode"), "folder=1/part.gcode"]
)
def test_a_file_as_slicers_give_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).touch()
    for path in (name, str(tmp_path / name)):
        for given in (["layers=1", path], [path, "layers=1"]):
            taken = take_file("correct", given)
            assert "layers=1" in taken
            (word,) = set(taken) - {"layers=1"}
            assert value_of(word) == path


@pytest.mark.parametrize(
    ("command", "given", "says"),
    [
        ("train", ["a.gcode"], "a.gcode: expected key=value; train --help lists the keys"),
        ("correct", ["a.gcode", "b c.gcode"], "a.gcode 'b c.gcode': expected one file"),
        ("correct", ["gcode=b.gcode", "a.gcode"], "a.gcode: a second file beside gcode=b.gcode"),
        ("collect", ["none.gcode"], "none.gcode: no such file; expected key=value, or one file"),
        ("collect", ["."], ".: no such file"),
        ("collect", [""], "'': no such file"),
    ],
)
def test_what_is_no_file_is_refused(command, given, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.gcode", "b c.gcode"):
        Path(name).touch()
    with pytest.raises(ConfigError) as refused:
        take_file(command, given)
    assert str(refused.value).startswith(says)


def test_a_file_whose_name_begins_like_a_home_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "~nobody's part.gcode"
    Path(name).touch()
    (taken,) = take_file("collect", [name])
    assert value_of(taken) == name
    (source,) = find_sources((), name)
    assert source.path == tmp_path / name


def test_overrides_are_let_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.gcode").touch()
    given = ["gcode=a.gcode", "~printer.name", "+x=1", "printer=corexy"]
    assert take_file("collect", given) == given


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*warm_python(), "-m", "trajerr", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "HYDRA_FULL_ERROR": "0"},
    )


@pytest.mark.parametrize("name", ["it's.gcode", "jaw_0,10mm_PLA_M5.gcode", "${part} (1).gcode"])
def test_collect_plans_what_was_advised(name, tmp_path):
    (tmp_path / name).write_text(PART)
    refused = run(tmp_path, "collect", "plan_only=true", f"gcode={name}")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    done = run(tmp_path, "collect", "plan_only=true", advised(refused.stderr))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["print_distance_mm"] == pytest.approx(40.0)


def test_correct_takes_a_file_as_its_last_argument(tmp_path):
    (tmp_path / "it's.gcode").write_text(PART)
    given = ["method=twin", "printer=ender3_v2", "report=false"]
    done = run(tmp_path, "correct", *given, str(tmp_path / "it's.gcode"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "it's_corrected.gcode").is_file()


@pytest.mark.parametrize(
    ("message", "extra"),
    [
        (
            "In 'hydra/launcher/cores': Could not load 'hydra/launcher/joblib'. Config search",
            "cores",
        ),
        ("Could not find 'hydra/launcher/submitit_slurm' Available options", "cluster"),
        ("In 'hydra/launcher/mine': Could not load 'hydra/launcher/ray'.", "ray"),
    ],
)
def test_a_launcher_that_is_not_found_names_its_extra(message, extra):
    assert advice_to_install(message).endswith(f"pip install 'trajerr[{extra}]'")


def test_other_messages_get_no_advice():
    assert advice_to_install("Could not find 'hydra/launcher/mine'") == ""
    assert advice_to_install("Could not load 'model/joblib'") == ""
