"""The bundle: a folder of exported graphs and one ``bundle.json`` that says what they mean.

Knows files and hashes only; neither torch nor ONNX.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trajerr.errors import BundleError

SCHEMA_VERSION = 1
KIND = "trajerr-bundle"
MANIFEST = "bundle.json"
SEAL = "manifest_sha256"  # of the manifest without this key; tells edits, not forgers
ONNX = "model.onnx"
ONNX_INT8 = "model_int8.onnx"
ONNX_STEP = "step.onnx"
ONNX_GUIDED = "guided.onnx"  # the network where its axis equation is solved beforehand
TORCHSCRIPT = "model.ts"
PT2 = "model.pt2"
CARD = "MODEL_CARD.md"

_FILES = {MANIFEST, CARD, ONNX, ONNX_INT8, ONNX_STEP, ONNX_GUIDED, TORCHSCRIPT, PT2}
_REQUIRED = (
    "feature_names",
    "feature_units",
    "target_names",
    "target_units",
    "sample_rate_hz",
    "context_length",
    "model",
    "stats",
    "printer",
    "training_config",
    "metrics",
    "versions",
    "parity",
    "files",
)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: every file that its manifest names is there, with the same hash."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second that the model was trained on."""
        return float(self.manifest["sample_rate_hz"])

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the input features, in order."""
        return tuple(self.manifest["feature_names"])

    def path(self, name: str) -> Path:
        """Return the path of one file of the bundle.

        Raises
        ------
        BundleError
            The bundle was exported without that file.
        """
        if name not in self.manifest["files"]:
            have = ", ".join(sorted(self.manifest["files"]))
            raise BundleError(f"{self.folder}: no {name} in this bundle, it has {have}")
        return self.folder / name


def open_bundle(folder: str | Path) -> Bundle:
    """Read and verify a bundle; nothing in it is executed or unpickled.

    Raises
    ------
    BundleError
        The folder is no bundle, of another schema, incomplete, or changed since export.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    for name, record in manifest["files"].items():
        _verify_file(folder, str(name), record)
    return Bundle(folder, manifest)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write ``bundle.json`` for all files that lie in ``folder``, with their hashes and its own."""
    files = {
        path.name: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    whole = {"kind": KIND, "schema_version": SCHEMA_VERSION, **manifest, "files": files}
    whole = json.loads(json.dumps(whole, allow_nan=False))  # as it will be read
    whole[SEAL] = _seal(whole)
    text = json.dumps(whole, indent=2, allow_nan=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of ``target`` when the block succeeds.

    After an error ``target`` is as it was. An existing target must be a bundle or empty,
    with nothing else beside it, so that a mistyped path never deletes somebody's work.

    Raises
    ------
    BundleError
        The target exists and holds something else.
    """
    target = target.resolve()
    if target.exists() and not _replaceable(target):
        raise BundleError(
            f"{target}: exists and holds more than a bundle, so it is not replaced; "
            "choose another output_dir"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    tag = uuid.uuid4().hex[:8]
    fresh = target.with_name(f".{target.name}.{tag}.new")
    stale = target.with_name(f".{target.name}.{tag}.old")
    try:
        fresh.mkdir()
        yield fresh
        if target.exists():
            target.rename(stale)
        fresh.rename(target)
    except OSError as error:
        if Path(error.filename or fresh).is_relative_to(fresh):
            error.filename = str(target)  # a full disk names no file, and ours is not known
        raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(stale, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replaceable(target: Path) -> bool:
    """Whether a folder is empty or holds nothing but a bundle, be it damaged or older."""
    if not target.is_dir():
        return False
    names = {path.name for path in target.iterdir()}
    return not names or (MANIFEST in names and names <= _FILES)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder}: not a bundle, it has no {MANIFEST}; export one first")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: corrupt, {error}; export the bundle again") from error
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise BundleError(f"{path}: not written by trajerr's export")
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{path}: schema version {version!r}, this trajerr reads {SCHEMA_VERSION}; "
            "export the bundle again"
        )
    missing = [key for key in _REQUIRED if key not in manifest]
    if missing or not isinstance(manifest["files"], dict):
        raise BundleError(f"{path}: incomplete, lacks {', '.join(missing) or 'files'}")
    if manifest.get(SEAL) != _seal(manifest):
        raise BundleError(f"{path}: changed since export (its sha256 differs); export again")
    return manifest


def _seal(manifest: Mapping[str, Any]) -> str:
    """Return the hash of a manifest's values, whatever its layout on disk."""
    values = {key: value for key, value in manifest.items() if key != SEAL}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _verify_file(folder: Path, name: str, record: object) -> None:
    path = folder / name
    if Path(name).name != name or not isinstance(record, dict):
        raise BundleError(f"{folder / MANIFEST}: files may not name {name!r}")
    if not path.is_file():
        raise BundleError(f"{path}: missing, although {MANIFEST} names it; export again")
    if sha256_of(path) != record.get("sha256"):
        raise BundleError(f"{path}: changed since export (sha256 differs); export again")
