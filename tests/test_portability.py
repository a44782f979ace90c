"""What Windows and macOS have otherwise than Linux: modules, file names, separators."""

import ast
import re
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
import yaml

import trajerr
from tests.paths import CONF, PROJECT
from trajerr.gcode.containers.kinds import split_name

SOURCE = Path(trajerr.__file__).parent
# Absent on Windows: https://docs.python.org/3/library/unix.html and what else says "Unix" there.
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_FUNCTIONS = {"fork", "getpgid", "getuid", "killpg", "sched_getaffinity", "setsid", "uname"}
# Names that Windows keeps for devices, and characters that it refuses:
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
REFUSED = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$')
SHIPPED = [
    path.relative_to(PROJECT)
    for folder in (
        "benchmarks",
        "conf",
        "docs",
        "integrations",
        "notebooks",
        "scripts",
        "src",
        "tests",
    )
    for path in (PROJECT / folder).rglob("*")
    if "__pycache__" not in path.parts
]


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def unguarded(tree: ast.Module) -> list[ast.stmt]:
    """Statements that every system runs when it imports a module."""
    return [node for node in tree.body if not isinstance(node, ast.If | ast.Try)]


def imported(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return (
        {node.module.partition(".")[0]}
        if isinstance(node, ast.ImportFrom) and node.module
        else set()
    )


def test_no_module_needs_what_windows_lacks():
    found = {
        str(path.relative_to(SOURCE)): names
        for path in modules()
        for node in unguarded(ast.parse(path.read_text(encoding="utf-8")))
        if (names := imported(node) & POSIX_MODULES)
    }
    assert found == {}


def test_functions_that_windows_lacks_are_asked_for_first():
    """``hasattr(os, …)``, ``getattr`` or the platform stands in the same module."""
    for path in modules():
        text = path.read_text(encoding="utf-8")
        for name in POSIX_FUNCTIONS:
            if f"os.{name}(" in text:
                assert re.search(rf'(has|get)attr\(os, "{name}"|sys\.platform', text), (path, name)


def test_no_process_is_looked_for_by_a_signal_elsewhere():
    """``os.kill(pid, 0)`` sends Ctrl-C on Windows: ``running.is_running`` knows better."""
    users = [path.name for path in modules() if "os.kill(" in path.read_text(encoding="utf-8")]
    assert users == ["running.py"]


def test_file_names_are_taken_by_windows():
    wrong = [p for p in SHIPPED if DEVICES.fullmatch(p.name) or REFUSED.search(p.name)]
    assert wrong == []
    assert max(len(str(path)) for path in SHIPPED) < 140  # of 260, the home's folder beside


def test_no_two_files_differ_by_case_alone():
    names = Counter(str(path).casefold() for path in SHIPPED)
    assert [name for name, count in names.items() if count > 1] == []


def test_folders_of_runs_have_names_that_windows_takes():
    times = [
        pattern
        for path in CONF.rglob("*.yaml")
        for pattern in re.findall(r"\$\{now:([^}]*)\}", path.read_text(encoding="utf-8"))
    ]
    assert times
    assert not any(REFUSED.search(pattern.replace("/", "")) for pattern in times)


def test_configs_are_read_whatever_ends_their_lines():
    for path in CONF.rglob("*.yaml"):
        text = path.read_bytes().decode("utf-8")
        assert yaml.safe_load(text.replace("\n", "\r\n")) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        (PureWindowsPath(r"C:\Users\Jö Doe\My parts\part.v2.GCODE.3MF"), ("part.v2", ".GCODE.3MF")),
        (PureWindowsPath(r"\\server\share\part.bgcode"), ("part", ".bgcode")),
        (PureWindowsPath(r"D:part.gcode"), ("part", ".gcode")),
        (PurePosixPath("/Volumes/My stick/part.gcode.gz"), ("part", ".gcode.gz")),
    ],
)
def test_endings_of_other_systems_paths(path, parts):
    assert split_name(path) == parts
