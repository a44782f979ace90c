import errno
import hashlib
import json
from pathlib import Path

import pytest

from trajerr.bundle.manifest import MANIFEST, SEAL, open_bundle, replacing_folder, write_manifest
from trajerr.errors import BundleError

CONTENT = {
    "feature_names": ["x"],
    "feature_units": ["mm"],
    "target_names": ["error_x", "error_y"],
    "target_units": ["mm", "mm"],
    "sample_rate_hz": 200.0,
    "context_length": 1,
    "model": {},
    "stats": {},
    "printer": {},
    "training_config": {},
    "metrics": {},
    "versions": {},
    "parity": {},
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"graph")
    write_manifest(folder, CONTENT)
    return folder


def edit(folder: Path, **changes) -> None:
    """Change a manifest as a forger would, who computes its hash anew."""
    manifest = json.loads((folder / MANIFEST).read_text()) | changes
    del manifest[SEAL]
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    manifest[SEAL] = hashlib.sha256(text.encode()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_what_was_written_opens(bundle):
    opened = open_bundle(bundle)
    assert opened.sample_rate_hz == 200.0
    assert opened.feature_names == ("x",)
    assert opened.path("model.onnx").read_bytes() == b"graph"


def test_a_folder_without_manifest_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"no bundle\.json; export one first"):
        open_bundle(tmp_path)


def test_a_changed_file_is_refused(bundle):
    (bundle / "model.onnx").write_bytes(b"tampered")
    with pytest.raises(BundleError, match=r"model\.onnx: changed since export"):
        open_bundle(bundle)


def test_a_changed_value_is_refused(bundle):
    text = (bundle / MANIFEST).read_text()
    (bundle / MANIFEST).write_text(text.replace("200.0", "100.0"))
    with pytest.raises(BundleError, match=r"bundle\.json: changed since export"):
        open_bundle(bundle)


def test_another_layout_of_the_same_values_opens(bundle):
    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps(dict(reversed(manifest.items()))))
    assert open_bundle(bundle).sample_rate_hz == 200.0


def test_a_missing_file_is_refused(bundle):
    (bundle / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"model\.onnx: missing"):
        open_bundle(bundle)


def test_a_path_out_of_the_folder_is_refused(bundle):
    edit(bundle, files={"../secret": {"sha256": "0"}})
    with pytest.raises(BundleError, match=r"may not name '\.\./secret'"):
        open_bundle(bundle)


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "other"}', "\x00\x01"])
def test_a_foreign_or_corrupt_manifest_is_refused(bundle, text):
    (bundle / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match=r"corrupt|not written by"):
        open_bundle(bundle)


def test_another_schema_is_refused_with_both_versions(bundle):
    edit(bundle, schema_version=0)
    with pytest.raises(BundleError, match="schema version 0, this trajerr reads 1"):
        open_bundle(bundle)


def test_an_incomplete_manifest_names_what_it_lacks(bundle):
    manifest = json.loads((bundle / MANIFEST).read_text())
    del manifest["printer"], manifest["stats"]
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="lacks stats, printer"):
        open_bundle(bundle)


def test_an_unexported_file_is_named_with_those_there(bundle):
    with pytest.raises(BundleError, match=r"no step\.onnx in this bundle, it has model\.onnx"):
        open_bundle(bundle).path("step.onnx")


def test_a_failed_replacement_keeps_the_old_bundle(bundle):
    with pytest.raises(ZeroDivisionError), replacing_folder(bundle) as fresh:
        (fresh / "half").write_text("half")
        raise ZeroDivisionError
    assert open_bundle(bundle).path("model.onnx").read_bytes() == b"graph"
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize(("named", "told"), [(None, "bundle"), ("half", "bundle"), ("/a", "/a")])
def test_a_full_disk_names_the_bundle_and_not_its_makings(bundle, named, told):
    refused = pytest.raises(OSError, match="No space left on device")
    with refused as caught, replacing_folder(bundle) as fresh:
        file = None if named is None else str(fresh / named)
        raise OSError(errno.ENOSPC, "No space left on device", file)
    assert Path(caught.value.filename).name == Path(told).name
    assert open_bundle(bundle).path("model.onnx").read_bytes() == b"graph"
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_a_replacement_leaves_only_the_new_bundle(bundle):
    with replacing_folder(bundle) as fresh:
        (fresh / "model.onnx").write_bytes(b"newer")
        write_manifest(fresh, CONTENT)
    assert open_bundle(bundle).path("model.onnx").read_bytes() == b"newer"
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_a_bundle_with_something_beside_it_is_never_replaced(bundle):
    (bundle / "notes.txt").write_text("measured on Monday")
    refused = pytest.raises(BundleError, match="holds more than a bundle")
    with refused, replacing_folder(bundle):
        pytest.fail("the block must not run")
    assert (bundle / "notes.txt").exists()


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path):
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter1.tex").write_text("…")
    refused = pytest.raises(BundleError, match="holds more than a bundle, so it is not replaced")
    with refused, replacing_folder(target):
        pytest.fail("the block must not run")
    assert (target / "chapter1.tex").exists()
