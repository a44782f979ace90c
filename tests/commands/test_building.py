import re

import pytest
from omegaconf import OmegaConf

from tests.paths import PROJECT
from trajerr.commands.building import CLASSES, build, calls
from trajerr.commands.composition import COMMANDS, ROOTS
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
        if "hydra" not in path.relative_to(conf_dir()).parts:
            plain = OmegaConf.to_container(OmegaConf.load(path))
            plain.pop("hydra", None)  # its callbacks are called by Hydra
            named |= {value for key, value in calls(plain) if key.endswith("_target_")}
    assert named == CLASSES


def test_the_roots_are_the_shipped_files_of_no_group():
    assert {path.stem for path in conf_dir().glob("*.yaml")} == set(ROOTS)
    listed = re.findall(r'^    "(\w+)": "', (PROJECT / "src/trajerr/__main__.py").read_text(), re.M)
    assert sorted(listed) == sorted(COMMANDS)


def test_a_printer_is_built_with_its_parts():
    built = build(printer(), "printer")
    assert built == Printer.from_dict(printer())
    assert type(built.x) is AxisParameters


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
