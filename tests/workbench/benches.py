"""A workbench in this process, and what its page would ask of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from tests.correction.cases import small_print
from trajerr.workbench.server import application
from trajerr.workbench.settings import Settings

HEADERS = {"X-Trajerr": "workbench"}
PATIENCE_S = 180.0
Visit = Callable[[TestClient], Awaitable[Any]]


def settings(folder: Path, **changes: object) -> Settings:
    return Settings.shipped(folder=str(folder), browser=False, **changes)


def visit(folder: Path, what: Visit, **changes: object) -> Any:
    """Serve a folder for as long as a visit takes, and return what it returns."""

    async def serve() -> Any:
        app = application(settings(folder, **changes))
        async with TestClient(TestServer(app)) as client:
            return await what(client)

    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(serve())


async def begin(client: TestClient, kind: str, **form: str) -> str:
    order = {"kind": kind, "form": form}
    answer = await client.post("/api/work", json=order, headers=HEADERS)
    said = await answer.json()
    assert answer.status == 200, said
    return said["id"]


async def refused(client: TestClient, kind: str, **form: str) -> str:
    order = {"kind": kind, "form": form}
    answer = await client.post("/api/work", json=order, headers=HEADERS)
    assert answer.status == 400
    return (await answer.json())["error"]


async def state(client: TestClient, name: str) -> dict[str, Any]:
    answer = await client.get(f"/api/work/{name}")
    said = await answer.json()
    assert answer.status == 200, said
    return said


async def until(
    client: TestClient,
    name: str,
    holds: Callable[[dict[str, Any]], bool],
    patience_s: float = PATIENCE_S,
) -> dict[str, Any]:
    """Wait until something holds of a piece of work; fail where it ends or lasts too long."""
    until_s = time.monotonic() + patience_s
    while True:
        said = await state(client, name)
        if holds(said):
            return said
        assert said["open"], said
        assert time.monotonic() < until_s, said
        await asyncio.sleep(0.1)


async def ended(client: TestClient, name: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    return await until(client, name, lambda said: not said["open"], patience_s)


async def order(client: TestClient, name: str, what: str) -> tuple[int, dict[str, Any]]:
    answer = await client.post(f"/api/work/{name}/{what}", json={}, headers=HEADERS)
    return answer.status, await answer.json()


def with_part(folder: Path, name: str = "part.gcode", layers: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(small_print(layers).text)
    return folder
