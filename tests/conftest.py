import signal
import tempfile
from collections.abc import Iterator
from multiprocessing.util import get_temp_dir
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time, so that a red run is a change's doing;
# `make test ARGS=--hypothesis-profile=explore` draws new ones.
settings.register_profile("repeat", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile("repeat")


@pytest.fixture(scope="session", autouse=True)
def _hears_ctrl_c() -> None:
    """A shell starts what runs in its background deaf to Ctrl-C, and its children with it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave nothing behind where the machine's other programs keep their temporary files."""
    tmp_path_factory.getbasetemp()  # pytest's own, which stays where it is to be looked at
    get_temp_dir()  # multiprocessing's own, which it removes itself at the end of the process
    with (
        tempfile.TemporaryDirectory(prefix="trajerr-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real G-code, MATLAB files and measured motion beside the project; never part of it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared with real input files is absent")
    return folder
