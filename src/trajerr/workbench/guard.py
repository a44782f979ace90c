"""Who may ask, and what an answer may load: checked before any page or order is looked at.

A page of somebody else's, open in the same browser, can send requests here. It cannot name this
host (a name of its own that leads here, DNS rebinding, is refused), set our header, or read an
answer. What lies in the chosen folder is shown in a sandbox: it may run scripts, as reports do,
but they are nobody's, and load nothing.
"""

import errno
import hmac
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from trajerr.errors import TrajerrError, in_one_line
from trajerr.workbench.settings import Settings, is_loopback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADER = "X-Trajerr"  # a page of another origin cannot set it
READS = ("GET", "HEAD")
YEAR_S = 365 * 24 * 3600
OWN_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
OTHERS_PAGES = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)

log = logging.getLogger("trajerr")


class RefusedError(TrajerrError):
    """A request from where none is taken."""


def middlewares(settings: Settings) -> list[Callable[..., Awaitable[web.StreamResponse]]]:
    """Return what every request passes, the outermost first."""

    @web.middleware
    async def in_one_line_each(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            answer = said(error.status, error.text or error.reason)
        except RefusedError as error:
            answer = said(403, str(error))
        except TrajerrError as error:
            answer = said(400, in_one_line(error))
        except OSError as error:
            answer = said(507 if is_full(error) else 500, _system(error))
        except Exception:
            log.exception("%s %s", request.method, request.path)
            answer = said(500, "a fault of the workbench itself; the terminal has the details")
        if not answer.prepared:
            answer.headers.setdefault("Content-Security-Policy", OWN_PAGES)
            answer.headers.setdefault("Cache-Control", "no-store")
            answer.headers["X-Content-Type-Options"] = "nosniff"
            answer.headers["Referrer-Policy"] = "no-referrer"
            answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return answer

    @web.middleware
    async def from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
        _check_host(request, settings)
        _check_origin(request)
        return await handler(request)

    @web.middleware
    async def with_token(request: web.Request, handler: Handler) -> web.StreamResponse:
        if settings.token is None:
            return await handler(request)
        cookie, given = f"trajerr_{settings.port}", request.query.get("token", "")
        if hmac.compare_digest(request.cookies.get(cookie, "").encode(), settings.token.encode()):
            return await handler(request)
        if request.method in READS and hmac.compare_digest(given.encode(), settings.token.encode()):
            answer = web.HTTPSeeOther(request.path)
            answer.set_cookie(
                cookie, settings.token, httponly=True, samesite="Strict", max_age=YEAR_S
            )
            raise answer
        raise web.HTTPUnauthorized(
            text="token: missing or wrong, expected the address that the terminal shows"
        )

    return [in_one_line_each, from_here, with_token]


def said(status: int, message: str) -> web.Response:
    """Return an error as a sentence."""
    return web.json_response({"error": message}, status=status)


def is_full(error: OSError) -> bool:
    """Whether there is no room left for what was to be written."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _system(error: OSError) -> str:
    if is_full(error):
        return (
            "no space left on the disk of the chosen folder; nothing was changed: make room and "
            "try again"
        )
    return f"{error.filename or 'the chosen folder'}: {error.strerror or error}"


def _check_host(request: web.Request, settings: Settings) -> None:
    name = urlsplit(f"//{request.host}").hostname or ""
    if settings.is_private:
        good = is_loopback(name)
    else:  # behind a token: an address cannot be rebound, and names of this machine are its own
        own = (settings.host, "localhost", socket.gethostname(), f"{socket.gethostname()}.local")
        good = _is_address(name) or name in map(str.lower, own)
    if not good:
        raise RefusedError(f"Host: got {name[:80]!r}, expected the address that the terminal shows")


def _check_origin(request: web.Request) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        raise RefusedError(f"Origin: got {origin[:80]!r}, expected this page's own")
    fetch = request.headers
    cross = fetch.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    if cross and fetch.get("Sec-Fetch-Mode") != "navigate":
        raise RefusedError("a page from elsewhere may not ask here")
    if request.method not in READS and request.headers.get(HEADER) is None:
        raise RefusedError(f"{HEADER}: missing, expected it with every order")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
