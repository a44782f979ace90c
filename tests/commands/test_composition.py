"""A file that somebody else wrote is data: it cannot run code, in any of Hydra's spellings."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.warm_python import warm_python
from trajerr.commands.composition import check_composed, find_origin
from trajerr.commands.configs import compose
from trajerr.errors import ConfigError
from trajerr.shipped import conf_dir

CANARY = "import pathlib\npathlib.Path(__file__).with_name('RAN').touch()\ndef run(**k): return 1\n"
CALL = "{_target_: canary.run}"
PRINTER = (conf_dir() / "printer" / "ender3_v2.yaml").read_text()
LOG = (conf_dir() / "log" / "csv.yaml").read_text()
LATE = "'${oc.create:\"{_target_: canary.run}\"}'"
TWICE = "'\\${oc.create:\"{_target_: canary.run}\"}'"
GLOBAL = "# @package _global_\n"
LOGGING = "hydra/job_logging"
CLASS = "{class: canary.run}"
STREAM = "{stream: ext://canary.run}"
HANDLER = "{handlers: {x: {'()': canary.run}}, root: {handlers: [x]}}"

PRINTERS = {
    "in place of a number": PRINTER.replace("mass_kg: ", f"mass_kg: {CALL} #", 1),
    "in lists": f"{PRINTER}\nextra: [[{CALL}]]\n",
    "at the top": f"{PRINTER}\n_target_: canary.run\n".replace("_target_: trajerr", "a: trajerr"),
    "through a module of trajerr": PRINTER.replace(
        "trajerr.motion.limits", "trajerr.commands.entry.os"
    ),
    "a finder of functions": PRINTER.replace(
        "_target_: trajerr.motion.limits.MachineLimits", "_target_: hydra.utils.get_method"
    ),
    "from the environment": f"{PRINTER}\nextra: {{_target_: '${{oc.env:NAMED}}'}}\n",
    "from another key": f"{PRINTER}\nextra: {{_target_: '${{printer.a}}'}}\na: canary.run\n",
    "created while filled in": f"{PRINTER}\nextra: {LATE}\n",
    "decoded while filled in": PRINTER + f"\nextra: {LATE.replace('create', 'decode')}\n",
    "filled in twice": PRINTER.replace("name: ender3_v2", f"name: {TWICE}\nextra: {TWICE}"),
    "in part": f"{PRINTER}\n_partial_: true\n",
    "with arguments": f"{PRINTER}\n_args_: [1]\n",
    "a callback": f"{GLOBAL}hydra: {{callbacks: {{x: {CALL}}}}}\n",
    "a callback by its package": "# @package hydra.callbacks.x\n_target_: canary.run\n",
    "a callback by another package": "# @package _global_.hydra\ncallbacks: {x: " + CALL + "}\n",
    "a handler": f"{GLOBAL}hydra: {{job_logging: {HANDLER}}}\n",
    "a handler's class": f"{GLOBAL}hydra: {{hydra_logging: {{handlers: {{x: {CLASS}}}}}}}\n",
    "an imported stream": f"{GLOBAL}hydra: {{job_logging: {{handlers: {{console: {STREAM}}}}}}}\n",
    "a launcher": f"{GLOBAL}hydra: {{launcher: {CALL}}}\n",
    "a sweeper": f"{GLOBAL}hydra: {{sweeper: {CALL}}}\n",
    "the environment of a run": f"{GLOBAL}hydra: {{job: {{env_set: {{PYTHONPATH: .}}}}}}\n",
    "a search path": f"{GLOBAL}hydra: {{searchpath: ['pkg://canary']}}\n",
    "another choice": "defaults: [ender3_v2, override /hydra/job_logging: none]\n",
    "itself as another group": f"defaults: [{{/{LOGGING}@_global_.hydra: ../../printer/bad}}]\n",
    "itself elsewhere": f"defaults: [{{/printer@_global_.hydra: ender3_v2}}]\nx: {CALL}\n",
    "another group's values": f"{GLOBAL}printer: {{name: a}}\nout: elsewhere\n",
    "no YAML": "a: [b\n",
}
EXPERIMENTS = {
    "a callback": f"{GLOBAL}hydra: {{callbacks: {{x: {CALL}}}}}\n",
    "a handler": f"# @package hydra.job_logging\n{HANDLER[1:-1]}\n".replace(", root", "\nroot"),
    "a sampler": f"{GLOBAL}hydra: {{sweeper: {{sampler: {CALL}}}}}\n",
    "a sampler's argument": (
        f"{GLOBAL}defaults: [{{override /hydra/sweeper: optuna}}]\n"
        f"hydra: {{sweeper: {{sampler: {{seed: {LATE}}}}}}}\n"
    ),
    "a study's name": (
        f"{GLOBAL}defaults: [{{override /hydra/sweeper: optuna}}]\n"
        f"hydra: {{sweeper: {{study_name: {LATE}}}}}\n"
    ),
    "a study's name, decoded": (
        f"{GLOBAL}defaults: [{{override /hydra/sweeper: optuna}}]\n"
        f"hydra: {{sweeper: {{study_name: {LATE.replace('create', 'decode')}}}}}\n"
    ),
    "a study's name, twice": (
        f"{GLOBAL}defaults: [{{override /hydra/sweeper: optuna}}]\n"
        f"hydra: {{sweeper: {{study_name: {TWICE}}}}}\n"
    ),
    "a pruner filled in": f"{GLOBAL}foo: {CALL}\nhydra: {{sweeper: {{pruner: '${{foo}}'}}}}\n",
    "all of Hydra filled in": f"{GLOBAL}foo: {{launcher: {CALL}}}\nhydra: '${{foo}}'\n",
    "lines of a launcher": f"{GLOBAL}hydra: {{launcher: {{setup: [touch RAN]}}}}\n",
    "a network": f"{GLOBAL}model: {CALL}\n",
    "a value": f"{GLOBAL}trainer: {{max_epochs: {CALL}}}\n",
}


@pytest.fixture
def home(tmp_path, monkeypatch, capsys):
    """A user's folder; a file named bad in a group, a command, and what it said."""
    (tmp_path / "canary.py").write_text(CANARY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "canary", raising=False)
    monkeypatch.setenv("NAMED", "canary.run")

    def put(path: str, text: str) -> None:
        file = tmp_path / "conf" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(command: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [command, *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the command sets it for Hydra
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(f"trajerr.{command}").main()
        said = capsys.readouterr()
        assert (ended.value.code, said.out, said.err.count("\n")) == (1, "", 1), said.err
        assert said.err.startswith(f"{command}: ")
        assert not (tmp_path / "RAN").exists()
        assert {path.name for path in tmp_path.iterdir()} <= {
            "canary.py",
            "conf",
            "multirun",
            "outputs",
        }
        return said.err

    run.put, run.folder = put, tmp_path
    return run


def test_the_canary_sings_where_nothing_holds_it_back(home):
    assert instantiate(OmegaConf.create(CALL)) == 1
    assert (home.folder / "RAN").exists()


@pytest.mark.parametrize("text", PRINTERS.values(), ids=PRINTERS)
def test_a_printer_is_data(home, text):
    home.put("printer/bad.yaml", text)
    said = home("collect", "plan_only=true", "parts=[tugboat]", "printer=bad")
    assert "printer" in said


@pytest.mark.parametrize("text", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_an_experiment_is_data(home, text):
    home.put("experiment/bad.yaml", text)
    assert "Error" not in home("train", "experiment=bad")
    home("train", "-m", "experiment=bad", "seed=0,1")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("collect", ["printer=bad"]),
        ("correct", ["gcode=part.gcode", "printer=bad"]),
        ("calibrate", ["name=mine", "printer=bad"]),
        ("calibrate", ["name=mine", "log=bad"]),
        ("prepare", ["log=bad"]),
        ("train", ["experiment=bad"]),
        ("evaluate", ["+experiment=bad"]),
        ("export", ["+experiment=bad"]),
        ("collect", ["--help", "printer=bad"]),
        ("collect", ["--cfg=job", "printer=bad"]),
        ("collect", ["-m", "printer=ender3_v2,bad", "plan_only=true", "gcode=none.gcode"]),
        ("collect", ["--config-dir=conf", "printer=bad"]),
        ("collect", ["--config-name=bad"]),
    ],
)
def test_every_command_names_file_and_key(home, command, arguments):
    home.put("printer/bad.yaml", f"{PRINTER}\nextra: {CALL}\n")
    home.put("log/bad.yaml", f"{LOG}\nextra: {CALL}\n")
    home.put("experiment/bad.yaml", f"{GLOBAL}extra: {CALL}\n")
    home.put("bad.yaml", f"defaults: [collect, _self_]\nextra: {CALL}\n")
    said = home(command, *arguments)
    assert "bad.yaml: " in said
    assert "extra._target_: got canary.run, expected a class of trajerr's own" in said


@pytest.mark.parametrize(
    ("command", "override", "key"),
    [
        ("collect", "printer.x._target_=canary.run", "printer.x._target_"),
        ("collect", "++printer.x._target_=canary.run", "printer.x._target_"),
        ("collect", "printer.x.mass_kg={_target_:canary.run}", "printer.x.mass_kg._target_"),
        ("collect", "variants=[{_target_:canary.run}]", "variants[0]._target_"),
        ("collect", "printer._target_=trajerr.commands.entry.os.system", "printer._target_"),
        ("collect", "printer._target_=${oc.env:NAMED}", "printer._target_"),
        ("collect", "out='${oc.create:{_target_:canary.run}}'", "out._target_"),
        ("prepare", "+faults.x={_target_:canary.run}", "faults.x._target_"),
        ("train", "data._target_=canary.run", "data._target_"),
        ("train", "+model._target_=canary.run", "model._target_"),
        ("evaluate", "bins._target_=canary.run", "bins._target_"),
        ("export", "+x._target_=canary.run", "x._target_"),
        ("correct", "learning._target_=canary.run", "learning._target_"),
        ("calibrate", "fit._partial_=true", "fit._partial_"),
        ("train", "+hydra.callbacks.x._target_=canary.run", "hydra.callbacks.x._target_"),
        ("train", "hydra.sweeper._target_=canary.run", "hydra.sweeper._target_"),
        ("train", "hydra.launcher._target_=canary.run", "hydra.launcher._target_"),
        (
            "train",
            "+hydra.job_logging.handlers.x={class:canary.run}",
            "hydra.job_logging.handlers.x.class",
        ),
        (
            "train",
            "hydra.job_logging.handlers.console.stream=ext://canary.run",
            "hydra.job_logging.handlers.console.stream",
        ),
    ],
)
def test_an_override_names_no_code(home, command, override, key):
    given = [override] if command != "correct" else [override, "gcode=part.gcode"]
    if command == "calibrate":
        given = [f"+{override}", "name=mine"]
    said = home(command, *given)
    assert said.startswith(f"{command}: {key}: got ")


def test_a_pickled_run_is_not_read(home):
    assert "a pickle can run code" in home("collect", "--experimental-rerun=conf")
    assert "a pickle can run code" in home("collect", "--exp", "conf")


def test_a_printer_cannot_be_put_elsewhere(home):
    home.put("printer/mine.yaml", PRINTER)
    said = home("collect", "+printer@hydra.callbacks.x=mine")
    assert "conf/printer/mine.yaml: hydra.callbacks: " in said
    assert "conf/printer/mine.yaml: out: " in home("collect", "+printer@out=mine")


def test_from_python():
    with pytest.raises(ConfigError, match=r"printer\.x\._target_: got os\.getcwd"):
        compose("collect", "printer.x._target_=os.getcwd")


def test_a_config_nested_in_itself_is_refused():
    config = OmegaConf.create({"a": {"b": "${c}"}, "c": {"d": "${a}"}, "hydra": {"sweeper": None}})
    with pytest.raises(ConfigError, match="more than 50 levels"):
        check_composed(config, set())


def test_a_config_outside_of_its_folder_is_refused(home):
    for path in ("printer/../../mine", "/etc/mine", "..\\mine"):
        with pytest.raises(ConfigError, match="outside of"):
            find_origin(path, f"file://{home.folder}")
    twisted = find_origin("hydra/../printer/mine", f"file://{home.folder}")
    assert (twisted.group, twisted.is_code) == (("printer",), False)
    backwards = find_origin("hydra\\..\\printer\\mine", f"file://{home.folder}")
    assert (backwards.group, backwards.is_code) == (("printer",), False)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*warm_python(), "-m", "trajerr", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "HYDRA_FULL_ERROR": "0"},
    )


def test_a_printer_of_ones_own_is_taken(home):
    home.put("printer/mine.yaml", "defaults: [ender3_v2, _self_]\nname: mine\n")
    done = run(home.folder, "collect", "plan_only=true", "parts=[tugboat]", "printer=mine")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_code_of_ones_own_enters_by_hydras_groups(home, launcher):
    """A callback of a user's own works as before, in this process and in those of a launcher."""
    (home.folder / "own.py").write_text(
        "from pathlib import Path\nfrom hydra.experimental.callback import Callback\n"
        "class Mine(Callback):\n    def on_job_end(self, **k): Path('MINE').touch()\n"
    )
    home.put("hydra/callbacks/mine.yaml", "mine: {_target_: own.Mine}\n")
    given = ["plan_only=true", "parts=[tugboat]", "hydra/callbacks=mine"]
    done = run(home.folder, "collect", "-m", *given, f"hydra/launcher={launcher}", "layers=0,5")
    assert done.returncode == 0, done.stderr
    assert (home.folder / "MINE").exists()
