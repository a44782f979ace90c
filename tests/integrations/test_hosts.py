"""Moonraker's and OctoPrint's own code around our component and plugin, where installed."""

import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CUBE = PROJECT / "tests" / "containers" / "read_2.gcode"
MARK = b"; trajerr corrected by"
OPTIONS = "--set method=twin --printer ender3_v2"
COMMAND = f"'{sys.executable}' -m trajerr.post"


def loaded(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    path = tmp_path / "Würfel 1.gcode"
    path.write_bytes(CUBE.read_bytes())
    return path


class Storage:
    """Moonraker's storage of metadata, as far as it keeps processors."""

    def __init__(self, kind: type) -> None:
        self.processors: dict[str, dict] = {}
        self.server = SimpleNamespace(error=RuntimeError)
        self._kind = kind

    def register_gcode_processor(self, name: str, config: dict) -> None:
        self._kind.register_gcode_processor(self, name, config)


def moonraker_with(section: dict[str, str]) -> tuple[ModuleType, Storage]:
    """Moonraker's metadata module, and its storage once the component was loaded."""
    pytest.importorskip("moonraker", reason="moonraker is not installed")
    from moonraker.components.file_manager import metadata
    from moonraker.components.file_manager.file_manager import MetadataStorage
    from moonraker.confighelper import ConfigHelper, DictSourceWrapper

    storage = Storage(MetadataStorage)
    manager = SimpleNamespace(get_metadata_storage=lambda: storage)
    server = SimpleNamespace(lookup_component={"file_manager": manager}.__getitem__)
    source = DictSourceWrapper()
    source.read_dict({"trajerr": section})
    component = loaded(PROJECT / "integrations/moonraker/trajerr.py", "trajerr_for_moonraker")
    component.load_component(ConfigHelper(server, source, "trajerr", {}))
    return metadata, storage


def test_moonraker_corrects_an_upload_once(upload: Path, tmp_path: Path, caplog) -> None:
    log = str(tmp_path / "a log")
    metadata, storage = moonraker_with({"command": COMMAND, "options": OPTIONS, "log": log})
    processors = list(storage.processors.values())
    found = metadata.extract_metadata(str(upload), [*map(dict, processors)])
    assert found["file_processors"] == ["trajerr"]
    corrected = upload.read_bytes()
    assert MARK in corrected
    assert found["size"] == len(corrected)
    assert "Würfel 1.gcode: corrected" in Path(log).read_text(encoding="utf-8")
    with caplog.at_level(logging.INFO):
        metadata.extract_metadata(str(upload), [*map(dict, processors)])
    assert upload.read_bytes() == corrected
    assert "previously processed by trajerr 0." in caplog.text


def test_moonraker_keeps_what_is_refused(upload: Path, tmp_path: Path, caplog) -> None:
    section = {"command": COMMAND, "bundle": "/nowhere", "log": str(tmp_path / "log")}
    metadata, storage = moonraker_with(section)
    before = upload.read_bytes()
    with caplog.at_level(logging.INFO):
        found = metadata.extract_metadata(str(upload), list(storage.processors.values()))
    assert found["file_processors"] == []
    assert upload.read_bytes() == before
    assert "bundle: got /nowhere" in caplog.text


# OctoPrint looks for IPv6 as it is imported, by a socket that it does not close.
of_octoprint = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


def octoprint_stores(upload: Path, tmp_path: Path, monkeypatch, **settings: object) -> Path:
    """Where OctoPrint's own wrapper puts an upload that went through the plugin."""
    pytest.importorskip("octoprint", reason="octoprint is not installed")
    import octoprint.plugin
    from octoprint.filemanager.util import DiskFileWrapper

    assert octoprint.plugin.SettingsPlugin
    folder = PROJECT / "integrations/octoprint/octoprint_trajerr"
    module = loaded(folder / "__init__.py", "octoprint_trajerr")
    module.__plugin_load__()
    plugin = module.__plugin_implementation__
    values = plugin.get_settings_defaults() | settings
    plugin._settings = SimpleNamespace(
        get=lambda key: values[key[0]],
        get_boolean=lambda key: bool(values[key[0]]),
        get_float=lambda key: float(values[key[0]]),
    )
    plugin._logger = logging.getLogger("octoprint.plugins.trajerr")
    (hook,) = module.__plugin_hooks__.values()
    wrapper = DiskFileWrapper(upload.name, str(upload), move=False)
    place = tmp_path / "uploads" / upload.name
    place.parent.mkdir()
    stored = hook(f"parts/{upload.name}", wrapper, printer_profile=None, allow_overwrite=True)
    stored.save(str(place))
    return place


@of_octoprint
def test_octoprint_stores_what_is_corrected(upload, tmp_path, monkeypatch, caplog) -> None:
    command = f"{COMMAND} {OPTIONS} --log '{tmp_path}/log'"
    before = upload.read_bytes()
    with caplog.at_level(logging.INFO):
        place = octoprint_stores(upload, tmp_path, monkeypatch, command=command)
    assert MARK in place.read_bytes()
    assert upload.read_bytes() == before
    assert "Würfel 1.gcode: corrected" in caplog.text


@of_octoprint
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"command": f"{COMMAND} --bundle /nowhere"}, "bundle: got /nowhere"),
        ({"command": "/no/such/program"}, "No such file"),
        (
            {"command": f"'{sys.executable}' -c 'import time; time.sleep(60)'", "timeout_s": 1},
            "timed out",
        ),
        ({"enabled": False, "command": "/no/such/program"}, ""),
    ],
)
def test_octoprint_stores_what_is_refused_as_it_was(
    upload, tmp_path, monkeypatch, caplog, settings, says
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with caplog.at_level(logging.INFO):
        place = octoprint_stores(upload, tmp_path, monkeypatch, **settings)
    assert place.read_bytes() == CUBE.read_bytes()
    assert says in caplog.text
