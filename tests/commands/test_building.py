import re
from dataclasses import dataclass

import pytest
from omegaconf import OmegaConf

from tests.paths import PROJECT
from trajerr.commands.building import CLASSES, MOVED, build, build_printer, calls, pick
from trajerr.commands.composition import COMMANDS, ROOTS
from trajerr.dataset.logs import LogAxis, LogFormat
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError
from trajerr.shipped import conf_dir

AXIS = {"_target_": "trajerr.dynamics.axis.AxisParameters", "mass_kg": 0.4}


def printer(**changes: object) -> dict[str, object]:
    plain = OmegaConf.to_container(OmegaConf.load(conf_dir() / "printer" / "ender3_v2.yaml"))
    return {**plain, **changes}


def test_the_table_holds_what_shipped_configs_name_and_no_more():
    named = set()
    for path in conf_dir().rglob("*.yaml"):
        groups = path.relative_to(conf_dir()).parts
        if "hydra" not in groups and "callbacks" not in groups:  # which training makes
            plain = OmegaConf.to_container(OmegaConf.load(path))
            plain.pop("hydra", None)  # its callbacks are called by Hydra
            named |= {value for key, value in calls(plain) if key.endswith("_target_")}
    assert named == CLASSES


def test_the_roots_are_the_shipped_files_of_no_group():
    assert {path.stem for path in conf_dir().glob("*.yaml")} == set(ROOTS)
    listed = re.findall(r'^    "(\w+)": "', (PROJECT / "src/trajerr/__main__.py").read_text(), re.M)
    assert sorted(listed) == sorted([*COMMANDS, "post", "workbench", "doctor"])


def test_a_printer_is_built_with_its_parts():
    built = build(printer(), "printer")
    assert built == Printer.from_dict(printer())
    assert type(built.x) is AxisParameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_target_": None}, r"printer\._target_: missing, expected trajerr\.dynamics\.printer"),
        ({"limits": {"firmware": "klipper"}}, r"printer\.limits\._target_: missing, expected traj"),
        (
            {"x": {"mass_kg": 0.4}},
            r"printer\.x\._target_: missing, expected trajerr\.dynamics\.axi",
        ),
        ({"_target_": AXIS["_target_"]}, "printer: AxisParameters: "),
    ],
)
def test_a_printer_and_its_parts_say_what_they_are(changes, message):
    plain = {key: value for key, value in printer(**changes).items() if value is not None}
    with pytest.raises(ConfigError, match=message):
        build_printer(plain)


@pytest.mark.parametrize(
    "foreign",
    [
        "os.system",
        "pathlib.Path",
        "builtins.eval",
        "hydra.utils.get_method",
        "trajerr.commands.entry.os.system",
        "trajerr.dataset.store.pickle.loads",
        "trajerr.dynamics.printer.Printer.from_dict",
        "trajerr.dynamics.printer.Printer ",
        "trajerr.commands.building.build",
        "Printer",
        "",
        None,
        ["trajerr.dynamics.printer.Printer"],
    ],
)
def test_nothing_but_the_table_is_named(foreign):
    for config in ({"_target_": foreign}, {"a": [[{"b": {"_target_": foreign}}]]}):
        with pytest.raises(ConfigError, match=r"_target_: got .*, expected a class of trajerr's"):
            build(config, "printer")


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_recursive_"])
def test_how_a_class_is_called_is_not_said(key):
    with pytest.raises(ConfigError, match=f"printer.x.{key}: got .*, expected no such key"):
        build({"x": {**AXIS, key: True}}, "printer")


def test_wrong_keys_are_named():
    with pytest.raises(ConfigError, match=r"printer: Printer: .*'colour'"):
        build(printer(colour="red"), "printer")
    with pytest.raises(ConfigError, match=r"printer\.x: AxisParameters: missing .*'stiffness"):
        build(printer(x=AXIS), "printer")


def test_a_filled_in_text_is_not_filled_in_again():
    assert build({"name": "${oc.env:HOME}"}, "") == {"name": "${oc.env:HOME}"}


@dataclass(frozen=True)
class Asked:
    """Some keys of a root, one of them a group."""

    name: str
    x: AxisParameters
    many: tuple[int, ...] = (1, 2)


def test_keys_of_the_fields_names_are_picked_and_groups_built():
    axis = printer()["x"]
    found = pick(Asked, {"name": "a", "x": axis, "other": 3})
    assert found == Asked("a", build(axis, "x"))
    assert pick(Asked, {"name": "a", "x": axis, "many": [5]}).many == [5]
    assert pick(Asked, {"x": axis}, name="b").name == "b"
    assert pick(Asked, {"name": "a", "x": {"_target_": "os.system"}}, x=found.x) == found


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "a"}, "x: missing from the config, expected a value"),
        ({"name": "???", "x": None}, "name: not given, expected name=VALUE"),
        ({"name": "a", "x": AXIS}, "x: AxisParameters: missing .*'stiffness"),
        ({"name": "a", "x": {**AXIS, "mass_kg": "???"}}, "x.mass_kg: not given, expected x.mass"),
        ({"name": "a", "x": {"_target_": "os.system"}}, "x._target_: got os.system, expected a"),
        ({"name": "a", "x": None, "many": [{"_args_": [1]}]}, r"many\[0\]._args_: got"),
    ],
)
def test_what_cannot_be_picked_names_its_key(config, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        pick(Asked, config)


def test_what_a_group_leaves_out_can_be_given():
    axis = {key: value for key, value in printer()["x"].items() if key != "mass_kg"}
    assert build(axis, "x", mass_kg=0.4).mass_kg == 0.4
    assert build({**axis, "mass_kg": 0.3}, "x", mass_kg=0.4).mass_kg == 0.3


@pytest.mark.parametrize("name", MOVED)
def test_a_class_is_found_under_its_old_name_too(name, capsys):
    assert MOVED[name] in CLASSES
    assert name.rpartition(".")[2] == MOVED[name].rpartition(".")[2]
    if name.endswith("LogAxis"):
        axis = {"_target_": name, "commanded": "c", "measured": "m"}
        log = {"_target_": name.replace("LogAxis", "LogFormat"), "x": axis, "time": "t"}
        assert build(log, "log") == LogFormat(x=LogAxis("c", "m"), time="t")
        said = capsys.readouterr().err
        assert said.startswith(f"log: {name} is now {MOVED[name]}, trajerr.data.logs.LogFormat is")
        assert said.count("\n") == 1
