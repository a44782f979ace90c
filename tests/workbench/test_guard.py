"""Who is answered: this page, at this machine's own address, with the token where there is one."""

import re

import pytest

from tests.workbench.benches import HEADERS, settings, visit
from trajerr.workbench.recipes import RECIPES
from trajerr.workbench.server import ASSETS

PAGES = ["/", "/work", *(f"/{kind}" for kind in RECIPES)]
TOKEN = "a-secret-of-some-length"  # noqa: S105 - of nothing


def status(folder, path="/", method="GET", headers=None, **changes):
    async def ask(client):
        answer = await client.request(method, path, headers=headers, allow_redirects=False)
        return answer.status, await answer.text()

    return visit(folder, ask, **changes)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example"])
def test_a_name_that_was_made_to_lead_here_is_refused(tmp_path, host):
    code, said = status(tmp_path, headers={"Host": host})
    assert code == 403
    assert "Host: got" in said


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8765"])
def test_names_of_this_machine_for_itself_are_taken(tmp_path, host):
    assert status(tmp_path, headers={"Host": host})[0] == 200


@pytest.mark.parametrize("path", ["/api/work", "/api/bundles"])
def test_an_order_without_the_pages_header_is_refused(tmp_path, path):
    assert status(tmp_path, path, "POST")[0] == 403


def test_an_order_from_another_origin_is_refused(tmp_path):
    headers = HEADERS | {"Origin": "http://evil.example"}
    code, said = status(tmp_path, "/api/work", "POST", headers)
    assert code == 403
    assert "Origin: got" in said
    assert (
        status(tmp_path, "/api/files?name=a.gcode", "PUT", HEADERS | {"Origin": "null"})[0] == 403
    )


def test_another_page_may_not_load_anything_but_may_link_here(tmp_path):
    loads = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    links = loads | {"Sec-Fetch-Mode": "navigate"}
    assert status(tmp_path, "/work", headers=loads)[0] == 403
    assert status(tmp_path, "/work", headers=links)[0] == 200


def test_with_a_token_nothing_is_answered_without_it(tmp_path):
    for path in [*PAGES, "/api/line?kind=file", f"/assets/{ASSETS[0]}", "/?token=wrong"]:
        assert status(tmp_path, path, token=TOKEN)[0] == 401
    assert status(tmp_path, "/api/work", "POST", HEADERS, token=TOKEN)[0] == 401


def test_the_token_in_the_address_is_taken_once_and_hidden(tmp_path):
    async def come(client):
        first = await client.get(f"/file?token={TOKEN}", allow_redirects=False)
        cookie = first.headers["Set-Cookie"]
        headers = {"Cookie": cookie.partition(";")[0]}
        return first, cookie, (await client.get("/file", headers=headers)).status

    first, cookie, then = visit(tmp_path, come, token=TOKEN)
    assert (first.status, first.headers["Location"]) == (303, "/file")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert then == 200


def test_a_token_is_made_where_other_machines_can_come():
    assert settings_at("127.0.0.1").secured().token is None
    assert settings_at("localhost").secured().token is None
    made = settings_at("192.0.2.1").secured().token
    assert made is not None
    assert len(made) >= 32
    assert made != settings_at("192.0.2.1").secured().token


def settings_at(host):
    return settings("unused", host=host)


@pytest.mark.parametrize("path", [*PAGES, *(f"/assets/{name}" for name in ASSETS)])
def test_pages_ask_nothing_of_any_other_machine(tmp_path, path):
    async def read(client):
        answer = await client.get(path)
        return answer.headers, await answer.text()

    headers, text = visit(tmp_path, read)
    assert not re.search(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text)
    assert "'unsafe-inline'" not in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_what_lies_in_the_folder_is_shown_in_a_sandbox_or_downloaded(tmp_path):
    (tmp_path / "page.html").write_text("<script>alert(1)</script>")
    (tmp_path / "part.gcode").write_text("G1 X1\n")

    async def read(client):
        page, part = [await client.get(f"/inside/{n}") for n in ("page.html", "part.gcode")]
        return page.headers, part.headers

    page, part = visit(tmp_path, read)
    assert page["Content-Security-Policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in page["Content-Security-Policy"]
    assert part["Content-Disposition"] == "attachment"
    assert part["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "name",
    ["%2e%2e/outside.txt", "a/%2e%2e/%2e%2e/outside.txt", "%2fetc/passwd", ".hidden", "link/x.txt"],
)
def test_no_path_leads_out_of_the_folder(tmp_path, name):
    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.txt").write_text("secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".hidden").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    code, said = status(folder, f"/inside/{name}")
    assert code in (400, 404)
    assert "secret" not in said
