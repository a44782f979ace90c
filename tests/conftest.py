import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from filelock import FileLock
from hypothesis import settings

from tests.paths import PROJECT
from trajerr.dataset.matlab import write_layer
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.record import LayerRecord
from trajerr.dataset.splits import SplitSettings

# The same examples every time, so that a red run is a change's doing;
# `make test ARGS=--hypothesis-profile=explore` draws new ones.
# No test is held to a time: a machine that is busy otherwise is slower by any factor.
settings.register_profile("repeat", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile("repeat")


def pytest_configure() -> None:
    """Have no garbage looked for while modules are imported; see below."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Have it looked for among what tests make, no longer among the modules: a third quicker."""
    gc.freeze()
    gc.enable()


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


@pytest.fixture(scope="session", autouse=True)
def _same_text_is_parsed_once() -> Iterator[None]:
    """Tests compose configs by the thousand from the same files; a third of that was parsing."""
    load, parsed = yaml.load, {}

    def load_once(stream: Any, Loader: type) -> Any:
        text = stream if isinstance(stream, str | bytes) else stream.read()
        key = (text, Loader.__name__)
        if key not in parsed:
            try:
                parsed[key] = load(text, Loader)
            except yaml.YAMLError:
                if text is not stream:
                    stream.seek(0)
                return load(stream, Loader)  # whose message names the file
        return deepcopy(parsed[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "load", load_once)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real G-code, MATLAB files and measured motion beside the project; never part of it."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared with real input files is absent")
    return folder


FolderMaker = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> FolderMaker:
    """Return what has a named folder made by the first worker that needs it, for all to read."""
    own = tmp_path_factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def make(name: str, write: Callable[[Path], object]) -> Path:
        folder, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                folder.mkdir()
                write(folder)
                done.touch()
        return folder

    return make


RecordMaker = Callable[..., LayerRecord]
CollectionMaker = Callable[..., list[Path]]


@pytest.fixture(scope="session")
def make_record() -> RecordMaker:
    """Records of a smooth wandering path with an error of about 0.1 mm."""

    def make(
        part: str = "cube",
        layer: int = 1,
        variant: str = "a1.0_v1.0",
        samples: int = 200,
        rate: float = 200.0,
        thermal: bool = True,
        **params: str | float,
    ) -> LayerRecord:
        rng = np.random.default_rng([layer, samples, *variant.encode(), *part.encode()])
        time = np.arange(samples) / rate
        phase = rng.uniform(0.0, 6.0, 3)
        x = 100.0 + 20.0 * np.sin(2.0 * time + phase[0])
        y = 110.0 + 15.0 * np.cos(3.0 * time + phase[1])
        commanded = np.column_stack([x, y, np.full(samples, 0.2 * layer)])
        error = 0.1 * np.column_stack([np.sin(9.0 * time + phase[2]), np.cos(7.0 * time)])
        return LayerRecord(
            part=part,
            layer=layer,
            variant=variant,
            sample_rate=rate,
            time=time,
            commanded=commanded,
            actual=commanded[:, :2] + error,
            extruding=rng.random(samples) > 0.3,
            travel=rng.random(samples) > 0.7,
            feature=rng.integers(0, 15, samples).astype(np.uint8),
            temperatures=rng.uniform(40.0, 210.0, (samples, 3)) if thermal else None,
            adhesion=rng.uniform(0.0, 1.0, samples) if thermal else None,
            params={"kind": "nominal", "printer": '{"name": "soft"}', "seed": 3.0, **params},
        )

    return make


def write_collection(
    root: Path,
    make_record: RecordMaker,
    parts: tuple[str, ...] = ("cube", "cone"),
    layers: int = 6,
    variants: tuple[str, ...] = ("a1.0_v1.0", "a2.0_v1.0"),
    **options: object,
) -> list[Path]:
    paths = []
    for part in parts:
        for layer in range(1, layers + 1):
            for variant in variants:
                path = root / f"data_simulation_{part}" / f"layer{layer:04d}_{variant}.mat"
                write_layer(path, make_record(part, layer, variant, **options))
                paths.append(path)
    return paths


@pytest.fixture
def make_collection(tmp_path: Path, make_record: RecordMaker) -> CollectionMaker:
    """Layer files below ``raw``: two parts, six layers, two variants each, 200 samples."""
    return partial(write_collection, tmp_path / "raw", make_record)


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory: pytest.TempPathFactory, make_record: RecordMaker) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    write_collection(folder / "raw", make_record)
    settings = PrepareSettings.shipped(
        data_dirs=(str(folder / "raw"),), sequence_length=32, split=SplitSettings.shipped(seed=1)
    )
    prepare(settings, folder / "processed")
    return folder / "processed"


@pytest.fixture
def prepared(tmp_path: Path, prepared_once: Path) -> Path:
    """A prepared folder of layout ``sequences``, to read and to break: windows of 32 samples."""
    return Path(shutil.copytree(prepared_once, tmp_path / "processed"))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name binary values by their argument: archives hold the clock, and workers compare names."""
    return argname if isinstance(val, bytes) and not val.isascii() else None
