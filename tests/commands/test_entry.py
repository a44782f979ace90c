import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm_python import warm_python
from trajerr.shipped import conf_dir

SCRIPT = """
from trajerr.commands.entry import command
from trajerr.errors import DataError

@command("toy")
def main(config: dict[str, object]) -> None:
    if config["fail"] == "user":
        raise DataError("layer1.mat: field x_act is missing,\\n expected (N, 1)")
    if config["fail"] == "bug":
        raise ZeroDivisionError("a bug")
    if config["fail"] == "interrupt":
        raise KeyboardInterrupt
    if config["fail"] == "file":
        open("nothing/here")
    print("ran", config["number"])

main()
"""
CONFIG = """
defaults: [hydra_settings, _self_]
number: 1
fail: nothing
missing: ???
help_text: A toy that fails on request.
"""


@pytest.fixture
def toy(tmp_path: Path):
    (tmp_path / "toy.py").write_text(SCRIPT)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy.yaml").write_text(CONFIG)

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [*warm_python(), "toy.py", "--config-dir", "more", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **env}
        )

    return run


def test_conf_dir_holds_the_shared_settings():
    assert (conf_dir() / "hydra_settings.yaml").is_file()


def test_a_command_runs_and_keeps_its_config(toy, tmp_path):
    done = toy("number=3")
    assert (done.returncode, done.stdout) == (0, "ran 3\n")
    assert len(list(tmp_path.glob("outputs/toy/*/.hydra/config.yaml"))) == 1


def test_a_users_mistake_ends_in_one_line(toy):
    done = toy("fail=user")
    assert done.returncode == 1
    assert done.stderr == "toy: layer1.mat: field x_act is missing, expected (N, 1)\n"


@pytest.mark.parametrize(
    "mistake", ["nmber=3", "number=[", "fail=file", "+printer=none", "--config-name=other"]
)
def test_a_mistake_in_an_override_ends_in_one_line(toy, mistake):
    done = toy(mistake)
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_how_to_quote_is_said(toy):
    assert toy("number=größe").stderr == (
        "toy: number=größe: cannot be read; a value with blanks, commas, quotes or letters "
        "beyond a-z goes into quotes within quotes: 'number=\"größe\"'\n"
    )
    assert toy('+text="größe 5, ü"').returncode == 0


def test_full_errors_on_request(toy):
    done = toy("fail=user", HYDRA_FULL_ERROR="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_bug_keeps_its_traceback(toy):
    done = toy("fail=bug")
    assert done.returncode == 1
    assert "ZeroDivisionError: a bug" in done.stderr


def test_an_interrupt_exits_as_shells_expect(toy):
    done = toy("fail=interrupt")
    assert done.returncode == 130
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("module", ["trajerr.train", "other"])
def test_an_interrupt_while_a_command_is_imported_ends_in_one_line(tmp_path, module):
    """Somebody else's program that imports trajerr is let be."""
    for name in ("numpy", "omegaconf"):
        text = "import signal\nsignal.raise_signal(signal.SIGINT)\n"
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "__init__.py").write_text("import trajerr")
    (tmp_path / "other" / "__main__.py").write_text("import numpy")
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    if module == "other":
        assert done.stderr.endswith("KeyboardInterrupt\n")
    else:
        assert (done.returncode, done.stderr) == (130, "train: interrupted\n")


def test_help_explains(toy):
    done = toy("--help")
    assert done.returncode == 0
    assert done.stdout.lstrip().startswith("A toy that fails on request.")
    assert "number: 1" in done.stdout


def test_multirun_gives_each_run_its_folder(toy, tmp_path):
    done = toy("-m", "number=1,2")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("multirun/toy/*/[01]/.hydra/config.yaml"))) == 2


def test_a_launcher_that_is_not_installed_names_its_extra(toy):
    if importlib.util.find_spec("hydra_plugins.hydra_ray_launcher"):
        pytest.skip("the extra ray is installed")
    done = toy("-m", "hydra/launcher=ray_cluster", "number=1,2")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith("expected it: pip install 'trajerr[ray]'\n")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["--help"]])
def test_the_script_lists_the_commands(arguments):
    done = subprocess.run(
        [sys.executable, "-m", "trajerr", *arguments], capture_output=True, text=True
    )
    assert done.returncode == (0 if arguments == ["--help"] else 2)
    for name in ("collect", "prepare", "train", "evaluate", "export", "correct"):
        assert name in done.stdout + done.stderr
