"""What a command says is in its log file, without what only a terminal makes sense of."""

import io
import logging
import sys

import pytest

from trajerr.commands.log_file import logged_output, note


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "run.log"
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    yield path
    handler.close()


def test_lines_are_in_both(log, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    with logged_output():
        sys.stdout.write("one\ntw")
        sys.stdout.write("o\n\x1b[32mgreen\x1b[0m\n\x1b[2K━━━╸ 3/9\nold\rnew\n")
        assert not sys.stdout.isatty()
    sys.stdout.write("after\n")
    assert shown.getvalue().startswith("one\ntwo\n\x1b[32mgreen")
    assert log.read_text() == "INFO one\nINFO two\nINFO green\nINFO new\n"


def test_a_note_is_in_the_file_only(log, capsys):
    note("wrong", logging.ERROR)
    assert log.read_text() == "ERROR wrong\n"
    assert capsys.readouterr() == ("", "")


def test_without_a_file_nothing_changes(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    before = sys.stdout
    with logged_output():
        assert sys.stdout is before
