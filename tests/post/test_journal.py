"""The log: where it stands, how long it grows, and what is said where it cannot be written."""

import io
import time
from pathlib import Path

from trajerr.post import journal
from trajerr.post.journal import log_file, write_log
from trajerr.post.line import script_line
from trajerr.post.progress import stage


def test_it_is_beside_the_bundle(home: Path) -> None:
    assert log_file(None, "/a/my.bundle") == Path("/a/my.bundle.log")
    assert log_file("/b/own.log", "/a/mine") == Path("/b/own.log")
    assert home in log_file(None, None).parents


def test_calls_are_added_and_an_old_log_is_kept_once(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "new" / "post.log"
    write_log(path, "a.gcode", "corrected")
    write_log(path, "b\udcff.gcode", "refused\nTraceback\n  File")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    assert lines[0].endswith("a.gcode: corrected")
    assert lines[2] == "    Traceback"
    monkeypatch.setattr(journal, "_MOST", 10)
    write_log(path, "c.gcode", "corrected")
    assert len(path.read_text().splitlines()) == 1
    assert path.with_name("post.log.1").read_text(encoding="utf-8").splitlines() == lines


def test_a_log_that_cannot_be_written_is_told_and_stands_elsewhere(tmp_path, home, capsys) -> None:
    (tmp_path / "file").touch()
    write_log(tmp_path / "file" / "post.log", "a.gcode", "corrected")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    (other,) = home.rglob("post.log")
    assert str(other) in said
    other.unlink()
    other.mkdir()
    write_log(tmp_path / "file" / "post.log", "a.gcode", "corrected")
    assert "nothing is logged" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_alone() -> None:
    screen, file = Terminal(), io.StringIO()
    with stage("part: correcting", screen), stage("part: correcting", file):
        time.sleep(0.01)
    assert file.getvalue() == ""
    assert "part: correcting … 0 s" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")


def split_as_windows(line: str) -> list[str]:
    """Arguments by the rules of Microsoft's CommandLineToArgvW."""
    found, word, quoted, at = [], None, False, 0
    while at < len(line):
        slashes = len(line[at:]) - len(line[at:].lstrip("\\"))
        mark = line[at + slashes : at + slashes + 1]
        if slashes:
            halved = slashes // 2 if mark == '"' else slashes
            word = (word or "") + "\\" * halved
            at += slashes
            if mark == '"' and slashes % 2:
                word += '"'
                at += 1
            continue
        at += 1
        if mark == '"':
            quoted, word = not quoted, word or ""
        elif mark in " \t" and not quoted:
            if word is not None:
                found.append(word)
            word = None
        else:
            word = (word or "") + mark
    return found if word is None else [*found, word]


COMMAND = [
    "C:\\Program Files\\Python\\Scripts\\trajerr-post.exe",
    "--bundle",
    'C:\\Users\\Jörg O\'Neil\\my "best" bundles\\',
    "--set",
    "layers=[1, 2]",
    "%TEMP%",
    "",
]


def test_a_line_for_windows_is_split_as_it_was_meant() -> None:
    assert split_as_windows(script_line(COMMAND, windows=True)) == COMMAND
    assert split_as_windows('a "b c" d\\\\"e f" \\"g') == ["a", "b c", "d\\e f", '"g']


def test_a_line_for_a_shell_is_split_as_it_was_meant() -> None:
    import subprocess

    line = f"printf '%s\\n' {script_line(COMMAND, windows=False)}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:-1] == COMMAND
