"""A small print, and settings that correct it without a bundle."""

from pathlib import Path

import pytest

from tests.correction.cases import small_print


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Places for a person's own files that nobody else has."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(folder))
    return folder


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / "part.gcode"
    path.write_bytes(small_print().text)
    return path


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    log = ["--log", str(tmp_path / "post.log")]
    return ["--set", "method=twin", "--printer", "ender3_v2", *log]
