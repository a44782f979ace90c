"""A command whose runs take no time, to sweep over, in a folder of its own."""

import csv
import os
import subprocess
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial

from tests.warm_python import warm_python

SCRIPT = """
import time
from trajerr.commands.entry import command
from trajerr.errors import DataError

@command("toy")
def main(config):
    x, group = config["x"], config["group"]
    time.sleep(config["pause_s"])
    if group["kind"] == "bad":
        raise DataError("a layer is missing")
    if x > config["bug_above"]:
        raise ZeroDivisionError("a bug")
    value = (x - 0.3) ** 2 + 0.01 * group["width"]
    return [value, x] if config["two"] else value

main()
"""
FILES = {
    "toy.yaml": """
defaults: [hydra_settings, {group: good}, _self_, {optional experiment: null}]
x: 1.0
pause_s: 0.0
bug_above: 2.0
two: false
help_text: A toy to sweep over.
""",
    "group/good.yaml": "kind: good\nwidth: 8\n",
    "group/bad.yaml": "kind: bad\nwidth: 1\n",
    "group/wide.yaml": "kind: good\nwidth: 16\n",
}


class Toy:
    """The command, and what it leaves behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, *arguments: str) -> list[str]:
        return [*warm_python(), "toy.py", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "COLUMNS": "120"},
        )

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def search(self, *arguments: str) -> list[str]:
        return ["-m", "hydra/sweeper=optuna", "x=interval(0.0,1.0)", *arguments]

    def trials(self) -> list[FrozenTrial]:
        url = f"sqlite:///{self.folder}/multirun/studies.db"
        return optuna.load_study(study_name=None, storage=url).trials

    def table(self) -> list[dict[str, str]]:
        (path,) = self.folder.glob("multirun/toy/*/sweep.csv")
        with path.open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return make_toy(tmp_path)


def make_toy(folder: Path) -> Toy:
    (folder / "toy.py").write_text(SCRIPT)
    for name, text in FILES.items():
        path = folder / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Toy(folder)
