"""How a workbench begins: where it listens, whose folder it is, and what it refuses to."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from trajerr.errors import ConfigError
from trajerr.workbench import command
from trajerr.workbench.settings import Settings

COMMAND = [sys.executable, "-m", "trajerr.workbench", "--no-browser"]


def run(*arguments):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture
def bench(tmp_path):
    command = [*COMMAND, "--folder", str(tmp_path / "bench"), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process, line
        process.kill()


def test_it_says_its_address_and_ends_at_ctrl_c(bench):
    process, line = bench
    assert re.search(r"http://127\.0\.0\.1:\d+/ ", line), line
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert process.stderr.read() == ""


def test_a_folder_belongs_to_one_workbench(bench, tmp_path):
    done = run("--folder", str(tmp_path / "bench"), "--port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("workbench: folder: got ")
    assert "another workbench has open" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_taken_port_is_said_in_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--folder", str(tmp_path), "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"workbench: port: got {port}, which is taken")
    assert done.stderr.count("\n") == 1


def test_an_address_of_another_machine_is_refused(tmp_path):
    done = run("--folder", str(tmp_path), "--host", "no-such-host.invalid", "--port", "0")
    assert done.returncode == 1
    assert "host: got no-such-host.invalid, expected an address of this machine" in done.stderr


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("--folder", str(tmp_path / "file"))
    assert done.returncode == 1
    assert "expected a folder" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="listens on all addresses of the machine")
def test_listening_for_others_makes_a_token_and_shows_it(tmp_path):
    everywhere = "0.0.0.0"  # noqa: S104 - which is what demands a token
    command = [*COMMAND, "--folder", str(tmp_path), "--port", "0", "--host", everywhere]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert re.search(r"\?token=[\w-]{32,} ", line)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("port", -1),
        ("port", 65536),
        ("port", 1.5),
        ("most_upload_mb", 0.0),
        ("at_once", 0),
        ("token", "short"),
        ("token", ""),
        ("host", " "),
    ],
)
def test_a_setting_out_of_range_is_named(key, value):
    with pytest.raises(ConfigError, match=f"^{key}: got "):
        Settings.shipped(**{key: value})


def test_a_package_that_is_not_installed_is_named(monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "aiohttp" else name)
    with pytest.raises(SystemExit, match="1"):
        command.main(["--no-browser"])
    said = "workbench: aiohttp: not installed, expected: pip install trajerr[workbench]\n"
    assert capsys.readouterr().err == said


def test_help_is_there_at_once():
    done = run("--help")
    assert done.returncode == 0
    assert "Ctrl-C ends it" in done.stdout
