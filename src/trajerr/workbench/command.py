"""The command line of the workbench: where it listens, and how it begins and ends."""

import argparse
import asyncio
import contextlib
import errno
import signal
import socket
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trajerr.errors import ConfigError, TrajerrError, in_one_line
from trajerr.interrupt import end_imports_at_once, let_commands_end
from trajerr.workbench.settings import Settings

NAME = "workbench"
LOCK = ".workbench.lock"
NEEDED = ("aiohttp", "filelock", "hydra", "rich", "torch")  # here, and by what it runs
DESCRIPTION = """\
Open trajerr in the browser: look at a file, measure a printer, learn it, correct a file. All is
read and written in one folder; nothing is asked of any other machine. Ctrl-C ends it and all
work, which can be gone on with later."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the workbench until Ctrl-C."""
    end_imports_at_once()
    options = vars(_parser().parse_args(arguments))
    given = {key: value for key, value in options.items() if value is not None}
    try:
        let_commands_end()
        _require_installed()
        settings = Settings.shipped(**given).secured()
        with _own(settings.root), _listening(settings) as sockets:
            port = sockets[0].getsockname()[1]
            asyncio.run(_serve(replace(settings, port=port), sockets))
    except KeyboardInterrupt:
        sys.stderr.write(f"{NAME}: interrupted\n")
        sys.exit(130)
    except (TrajerrError, OSError) as error:
        sys.stderr.write(f"{NAME}: {in_one_line(error)}\n")
        sys.exit(1)


def address(settings: Settings) -> str:
    """Return the page's address, with the token where one is demanded."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    shown = socket.gethostname() if host in ("0.0.0.0", "[::]") else host  # noqa: S104 - compared
    secret = f"?token={settings.token}" if settings.token else ""
    return f"http://{shown}:{settings.port}/{secret}"


def _require_installed() -> None:
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        raise ConfigError(
            f"{', '.join(absent)}: not installed, expected: pip install trajerr[workbench]"
        )


async def _serve(settings: Settings, sockets: Sequence[socket.socket]) -> None:
    from aiohttp import web  # takes time; not for --help

    from trajerr.workbench.server import application

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, ended.set)
    runner = web.AppRunner(application(settings), access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    for each in sockets:
        await web.SockSite(runner, each).start()
    sys.stdout.write(f"Workbench of {settings.root}: {address(settings)} (Ctrl-C ends it)\n")
    sys.stdout.flush()
    if settings.browser:
        await asyncio.to_thread(webbrowser.open, address(settings))
    try:
        await ended.wait()
        sys.stdout.write("Ending all work …\n")
        sys.stdout.flush()
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def _own(root: Path) -> Iterator[None]:
    """Make the folder, and keep other workbenches out of it.

    Raises
    ------
    ConfigError
        If another one has it open.
    """
    from filelock import FileLock, Timeout

    if root.exists() and not root.is_dir():
        raise ConfigError(f"folder: got {root}, a file, expected a folder")
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(
            f"folder: got {root}, which another workbench has open; expected another folder, or "
            "the page of that one"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[list[socket.socket]]:
    """Listen where the settings say.

    Raises
    ------
    ConfigError
        If the address is taken, or not this machine's.
    """
    found: list[socket.socket] = []
    try:
        where = _addresses(settings)
        for family, place in where:
            listener = socket.socket(family, socket.SOCK_STREAM)
            found.append(listener)
            if sys.platform != "win32":  # there, it would let a second one share the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(128)
        yield found
    except OSError as error:
        if found and found[-1].fileno() >= 0 and error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise ConfigError(
                f"port: got {settings.port}, which is taken; expected a free one: another "
                "workbench may be open there, --port 0 takes any"
            ) from error
        raise
    finally:
        for listener in found:
            listener.close()


def _addresses(settings: Settings) -> list[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise ConfigError(
            f"host: got {settings.host}, expected an address of this machine"
        ) from None
    return [(found[0][0], found[0][4])]


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        f"python -m trajerr.{NAME}",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = found.add_argument
    add("--folder", metavar="FOLDER", help="where all is read and written; made where absent")
    add("--host", metavar="ADDRESS", help="listen there; any but 127.0.0.1 demands a token")
    add("--port", type=int, metavar="N", help="listen there; 0 takes any free one")
    add("--token", metavar="TEXT", help="the secret that the page's address carries")
    add("--most-upload-mb", type=float, metavar="MB", help="of one file")
    add("--at-once", type=int, metavar="N", help="pieces of work that run at the same time")
    add("--no-browser", dest="browser", action="store_false", default=None, help="open no page")
    return found
