"""Files are taken whole, bounded, under names that are theirs; nothing is left of what was not."""

import errno
import hashlib
import io

import pytest

from tests.workbench.benches import HEADERS, visit
from trajerr.workbench import uploads
from trajerr.workbench.folder import UPLOADS

MB = 1 << 20


def send(folder, content, name="part.gcode", more="", **changes):
    async def put(client):
        answer = await client.put(
            "/api/files" + more,
            params={"name": name} if not more else None,
            data=content() if callable(content) else io.BytesIO(content),
            headers=HEADERS,
        )
        return answer.status, await answer.json()

    return visit(folder, put, **changes)


def left(folder):
    place = folder / UPLOADS
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


def test_a_file_arrives_whole_and_is_called_as_it_was(tmp_path):
    content = bytes(range(256)) * 5000
    assert send(tmp_path, content, "Würfel 2.gcode") == (200, {"name": "uploads/Würfel 2.gcode"})
    assert (tmp_path / "uploads" / "Würfel 2.gcode").read_bytes() == content


def test_a_second_of_the_same_name_does_not_replace_the_first(tmp_path):
    names = [send(tmp_path, body, "part.gcode.gz")[1]["name"] for body in (b"one", b"two")]
    assert names == ["uploads/part.gcode.gz", "uploads/part_2.gcode.gz"]
    assert [(tmp_path / name).read_bytes() for name in names] == [b"one", b"two"]


def test_a_file_of_200_mb_is_taken(tmp_path):
    piece, digest = bytes(range(256)) * 4096, hashlib.sha256()

    async def pieces():
        for _ in range(200):
            digest.update(piece)
            yield piece

    assert send(tmp_path, pieces)[0] == 200
    with (tmp_path / "uploads" / "part.gcode").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest.hexdigest()


@pytest.mark.parametrize("stated", [True, False])
def test_a_file_beyond_the_bound_is_refused_and_nothing_is_left(tmp_path, stated):
    async def pieces():
        for _ in range(3):
            yield bytes(MB)

    code, said = send(tmp_path, bytes(3 * MB) if stated else pieces, most_upload_mb=2.0)
    assert code == 413
    assert said["error"].startswith("file: got more than 2 MB, expected at most that")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["", " ", ".hidden", "../up.gcode", "a/b.gcode", "a\\b.gcode", "a\nb", "x" * 200, "c:d"]
)
def test_names_that_could_lead_elsewhere_are_refused(tmp_path, name):
    code, said = send(tmp_path, b"G1 X1", name)
    assert code == 400
    assert said["error"].startswith("file name: got")
    assert left(tmp_path) == []


def test_an_empty_file_is_refused(tmp_path):
    code, said = send(tmp_path, b"")
    assert (code, left(tmp_path)) == (400, [])
    assert "is empty" in said["error"]


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads, "_flush", full)
    code, said = send(tmp_path, b"G1 X1")
    assert code == 507
    assert said["error"].startswith("no space left on the disk")
    assert left(tmp_path) == []


def test_what_a_killed_workbench_has_left_is_cleared(tmp_path):
    (tmp_path / UPLOADS).mkdir()
    (tmp_path / UPLOADS / f".abc{uploads.UNFINISHED}").write_bytes(b"half")
    send(tmp_path, b"G1 X1")
    assert left(tmp_path) == ["part.gcode"]


def test_a_bundle_is_taken_file_by_file_and_checked(tmp_path):
    def add(name, content):
        return send(tmp_path, content, more=f"?name={name}&bundle=mine")

    assert add("bundle.json", b"{}") == (200, {"name": "bundles/mine/bundle.json"})
    code, said = add("bundle.json", b"{}")
    assert code == 400
    assert "exists" in said["error"]

    async def check(client):
        answer = await client.post("/api/bundles", json={"name": "bundles/mine"}, headers=HEADERS)
        return answer.status, await answer.json()

    code, said = visit(tmp_path, check)
    assert code == 400
    assert "not written by trajerr's export" in said["error"]
