"""A headless chromium that is told what to do by its DevTools protocol."""

import asyncio
import base64
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]
PATIENCE_S = 120.0
SETTLED_S = 0.5  # in which frames are laid out and drawn anew


LEFT = "Inspected target navigated or closed"  # what a script hears whose page is being left


class PageLeftError(Exception):
    """The page was left while a script ran on it."""


class Tab:
    """One page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._last = socket, 0
        self.asked: list[str] = []  # addresses that the page and its frames have asked for
        self.faults: list[str] = []  # on its console

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": params})
        while True:
            said = await self._socket.receive_json(timeout=PATIENCE_S)
            if said.get("id") == self._last:
                if said.get("error", {}).get("message") == LEFT:
                    raise PageLeftError(method)
                assert "error" not in said, said
                return said["result"]
            self._note(said)

    def _note(self, said: dict[str, Any]) -> None:
        params = said.get("params", {})
        if said.get("method") == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        if said.get("method") == "Runtime.exceptionThrown":
            self.faults.append(str(params["exceptionDetails"]))
        if said.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.faults.append(str(params["entry"]))

    async def run(self, script: str) -> Any:
        said = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until a script returns what is true, on this page or the one that follows it."""
        end, page = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < end:
            with contextlib.suppress(PageLeftError):
                if found := await self.run(script):
                    return found
                page = await self.run("document.body && document.body.innerText")
            await asyncio.sleep(0.1)
        raise AssertionError(f"{script}\n{page}")

    async def open(self, address: str) -> None:
        await self.call("Page.navigate", url=address)
        await self.until("document.readyState === 'complete'")

    async def click(self, query: str) -> None:
        await self.until(f"!!document.querySelector({query!r})")
        await self.run(f"document.querySelector({query!r}).click()")

    async def fill(self, name: str, value: str) -> None:
        field = f"document.querySelector('[name={name}]')"
        await self.run(
            f"{field}.value = {value!r};"
            f"{field}.dispatchEvent(new Event('input', {{bubbles: true}}))"
        )
        assert await self.run(f"{field}.value") == value

    async def choose(self, query: str, path: Path) -> None:
        """Give a file or a folder to what asks for one."""
        await self.until(f"!!document.querySelector({query!r})")  # else of a page that is left
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=query))["nodeId"]
        await self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    async def drop(self, name: str, file: Path) -> None:
        """Give a file to the field of a name, and wait until it has arrived."""
        await self.choose(f".drop:has([name={name}]) input[type=file]", file)
        told = f"document.querySelector('.drop:has([name={name}]) .dropped').textContent"
        await self.until(f"{told}.endsWith('is here')")

    async def shape(self, width: int, height: int, dark: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, path: Path, width: int, dark: bool) -> None:
        """Take a picture of the whole page; frames that are out of view would not be drawn."""
        height = int(await self.run("document.documentElement.scrollHeight"))
        await self.shape(width, height, dark)
        await asyncio.sleep(SETTLED_S)
        said = await self.call("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(said["data"]))

    async def fits(self) -> bool:
        """Whether nothing stands out of the page's side."""
        return bool(await self.run("document.documentElement.scrollWidth <= innerWidth"))


@contextlib.asynccontextmanager
async def tab(profile: Path) -> AsyncIterator[Tab]:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("chromium is not installed")
    process = await asyncio.create_subprocess_exec(
        *(browser, *FLAGS, f"--user-data-dir={profile}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                (target,) = [each for each in await answer.json() if each["type"] == "page"]
            address = target["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=1 << 28) as socket:
                page = Tab(socket)
                for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
                    await page.call(f"{domain}.enable")
                yield page
    finally:
        process.kill()
        await process.wait()


async def _port(path: Path) -> int:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if path.is_file() and (lines := path.read_text().split()):
            return int(lines[0])
        await asyncio.sleep(0.05)
    raise AssertionError("chromium has not started")
