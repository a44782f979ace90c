"""Every command of the README and docs/ runs, on small data and for as short as it can.

``tests/test_documented_commands.py`` checks in seconds that each composes; here each is run, in
a folder that holds what its words name. What is left out says why.
"""

import importlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calibration.logs import simulated_log
from tests.calibration.sweeps import load_printer, record, write_raw
from tests.machine_files.test_klipper import SLINGER
from tests.machine_files.test_marlin import CLASSIC
from tests.pipeline.test_documented_commands import DOCUMENTS, PYTHON, command_lines
from trajerr.shipped import conf_dir

NOT_HERE = {  # what in a command keeps it from being run here
    "hydra/launcher=slurm": "SLURM is needed",
    "hydra/launcher=ray_cluster": "a running Ray is needed",
    "gcode=record.gcode": "tests/calibration/test_recorded_print.py calibrates from a recording",
    "gcode=print.gcode": "tests/calibration/test_recorded_print.py calibrates from a recording",
    "log=accelerometer": "tests/dataset/test_sensor_logs.py prepares recordings",
    "log=csv": "",  # for prepare only the beginning of a line; calibrate's is whole
}
PLACEHOLDERS = {"FILE": "part.gcode", "BUNDLE": "runs/first/bundle", "LAYERS": "[3]"}
SHORT = {  # command → what makes it short, unless its words say otherwise
    "collect": ["gcode=part.gcode", "variants=[{}]", "workers=1"],
    "prepare": [],
    "train": ["data.stride=512", "trainer.accelerator=cpu"],
    "evaluate": [],
    "export": [],
    "correct": ["gcode=part.gcode", "bundle=runs/first/bundle", "layers=[3]", "force=true"],
    "calibrate": ["overwrite=true"],
}
SHORTEST = {  # command → what makes it short whatever its words say
    "train": ["trainer.max_epochs=1", "data.samples_per_epoch=8"],
    "correct": ["learning.iterations=2", "learning.planned_iterations=1", "report_layers=1"],
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # each command's own, tested where it is at home
]


def commands() -> Iterator[object]:
    """Yield each command line once, with the document that has it first."""
    seen = set()
    for document in DOCUMENTS:
        for words in command_lines(document.read_text(encoding="utf-8")):
            line = " ".join(words[1:])
            is_ours = words and words[0] in PYTHON and words[1] == "-m"
            if is_ours and words[2].startswith("trajerr.") and line not in seen:
                seen.add(line)
                yield pytest.param(words[2].removeprefix("trajerr."), words[3:], id=line[11:])


def tower(levels: int, side_mm: float = 12.0) -> str:
    """Squares on top of each other, each with a wall and a little filling."""
    lines = ["M82", "M104 S200", "G92 E0"]
    length = 0.0
    for level in range(1, levels + 1):
        lines += [";LAYER_CHANGE", f";Z:{0.2 * level:.2f}", f"G1 Z{0.2 * level:.2f} F600"]
        lines += ["G1 X50 Y50 F6000", ";TYPE:External perimeter"]
        for x, y in ((1, 0), (1, 1), (0, 1), (0, 0)):
            length += 0.4
            at = f"X{50 + side_mm * x:g} Y{50 + side_mm * y:g}"
            lines.append(f"G1 {at} E{length:.3f} F2400")
        lines += [";TYPE:Internal infill", f"G1 X55 Y61 E{length + 0.5:.3f}", "G92 E0"]
        length = 0.0
    return "\n".join([*lines, "M84"]) + "\n"


def run(command: str, words: list[str], folder: Path) -> None:
    """Run a command in this process, as from a shell in ``folder``."""
    name = f"trajerr.{command}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setattr(sys, "argv", [name, *words])
        importlib.import_module(name).main()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the documents' commands name."""
    home = tmp_path_factory.mktemp("a reader")
    (home / "part.gcode").write_text(tower(22))
    printer = load_printer("ender3_stock").without("friction")
    for axis, name in enumerate("xy"):
        write_raw(home / f"raw_data_{name}.csv", record(printer, axis, hz_per_s=2.0))
    time, commanded, measured = simulated_log(load_printer("ender3_stock"))
    rows = zip(1e3 * time, commanded[:, 0], measured[:, 0], strict=True)
    text = "\n".join(f"{t:.1f},{c:.5f},{m:.5f}" for t, c, m in rows)
    (home / "run.csv").write_text(f"time,x_cmd,x_enc\n{text}\n")
    (home / "conf" / "printer").mkdir(parents=True)
    for name in ("mine", "mine_limits"):
        stock = conf_dir() / "printer" / "ender3_stock.yaml"
        shutil.copy(stock, home / "conf" / "printer" / f"{name}.yaml")
    (home / "answer.txt").write_text(CLASSIC)
    (home / "printer.cfg").write_text(re.sub(r"\[include .*\]\n", "", SLINGER))
    for name, side_mm in (("second", 14.0), ("third", 16.0)):
        (home / f"{name}.gcode").write_text(tower(22, side_mm))
    for name, side_mm in (("a", 13.0), ("b", 15.0)):
        (home / f"{name}.gcode").write_text(tower(60, side_mm))
    parts = "gcode=[part.gcode,second.gcode,third.gcode]"
    run("collect", [parts, "variants=[{}]", "layers=[3,9,14,22]", "workers=1"], home)
    for out in ("stock_processed", "processed"):
        run("prepare", [f"output_dir=data/{out}"], home)
    few = [*SHORT["train"], *SHORTEST["train"], "hydra.run.dir=outputs/train/first"]
    run("train", few, home)
    run("export", ["output_dir=runs/first/bundle"], home)
    for place in ("bundle", "machines/mine/bundle"):
        shutil.copytree(home / "runs/first/bundle", home / place)
    for name in ("best", "base", "lstm"):
        shutil.copy(home / "outputs/train/first/checkpoints/best.ckpt", home / f"{name}.ckpt")
    search = ["-m", "experiment=search", "hydra.sweeper.study_name=first"]
    run("train", [*search, "hydra.sweeper.n_trials=1", *few[:-1]], home)
    assert (home / "conf/experiment/best.yaml").is_file()
    return home


@pytest.mark.parametrize(("command", "words"), list(commands()))
def test_a_documented_command_runs(
    folder: Path, command: str, words: list[str], request: pytest.FixtureRequest
) -> None:
    for word in words:
        if word in NOT_HERE and not (word == "log=csv" and command == "calibrate"):
            pytest.skip(NOT_HERE[word] or "no whole command")
    if words in ([], ["--help"]) and command == "calibrate":
        pytest.skip("no whole command")
    if "log_file=DATA_EMPS.mat" in words:
        shared = request.getfixturevalue("shared")
        shutil.copy(next(shared.glob("data/emps/*.mat")), folder / "DATA_EMPS.mat")
    if "out=data/mine" in words:  # the documents calibrate "mine" more than once
        shutil.rmtree(folder / "data/mine", ignore_errors=True)
    given = [_put_in(word) for word in words]
    said = {word.partition("=")[0] for word in given}
    shorter = [word for word in SHORT[command] if word.partition("=")[0] not in said]
    if "hydra/sweeper=optuna" in words or any("experiment=search" in word for word in words):
        shorter.append("hydra.sweeper.n_trials=2")
    run(command, [*given, *shorter, *SHORTEST.get(command, [])], folder)


def _put_in(word: str) -> str:
    key, equals, value = word.partition("=")
    return f"{key}{equals}{PLACEHOLDERS.get(value, value)}"
