"""Files that a person drops: taken in pieces, bounded, kept as they are, never run."""

import asyncio
import contextlib
import os
import uuid
from typing import BinaryIO

from aiohttp import web

from trajerr.bundle.manifest import open_bundle
from trajerr.errors import DataError
from trajerr.workbench.folder import BUNDLES, UPLOADS, Folder, checked_name

PIECE = 1 << 20  # bytes
UNFINISHED = ".part"
MB = 1e6


async def take_file(request: web.Request, folder: Folder, most: int) -> str:
    """Write a request's body into the folder's uploads; return the file's name there.

    It appears under its name only when it is whole. A bundle's files come with ``bundle=NAME``
    and go into a folder of that name.

    Raises
    ------
    DataError
        If it has a name that no file may have, or is empty.
    HTTPRequestEntityTooLarge
        If it has more bytes than are taken.
    OSError
        If the disk is full; nothing is left behind then.
    """
    bundle = request.query.get("bundle", "")
    place = f"{BUNDLES}/{checked_name(bundle)}" if bundle else UPLOADS
    name = checked_name(request.query.get("name", ""))
    _check_size(request.content_length or 0, most)
    (folder.root / place).mkdir(parents=True, exist_ok=True)
    path = folder.root / place / name if bundle else folder.free(place, name)
    if path.exists():
        raise DataError(f"{folder.name(path)}: exists; name the new bundle otherwise")
    temporary = path.with_name(f".{uuid.uuid4().hex}{UNFINISHED}")
    try:
        with temporary.open("wb") as file:
            written = await _copy(request, file, most)
            await asyncio.to_thread(_flush, file)
        if not written:
            raise DataError(f"{name}: is empty, expected a file with something in it")
        path = path if bundle else folder.free(place, name)  # another tab may have been first
        temporary.rename(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return folder.name(path)


def check_bundle(folder: Folder, name: str) -> str:
    """Return the name of a bundle's folder that was uploaded whole.

    Raises
    ------
    BundleError
        If it is none, or was changed since export.
    """
    path = folder.inside(name)
    open_bundle(path)
    return folder.name(path)


def clear_unfinished(folder: Folder) -> None:
    """Remove what uploads left behind that a killed workbench did not finish."""
    for place in (UPLOADS, BUNDLES):
        for rest in (folder.root / place).rglob(f".*{UNFINISHED}"):
            rest.unlink(missing_ok=True)


async def _copy(request: web.Request, file: BinaryIO, most: int) -> int:
    written = 0
    async for piece in request.content.iter_chunked(PIECE):
        written += len(piece)
        _check_size(written, most)
        file.write(piece)
    return written


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _check_size(size: int, most: int) -> None:
    if size > most:
        text = (
            f"file: got more than {most / MB:g} MB, expected at most that; "
            "--most-upload-mb takes more"
        )
        raise web.HTTPRequestEntityTooLarge(most, size, text=text)
