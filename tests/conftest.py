from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real G-code, MATLAB files and measured motion beside the project; never part of it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared with real input files is absent")
    return folder
