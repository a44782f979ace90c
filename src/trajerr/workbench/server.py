"""The pages and what they ask for, by address. Long work is others' (:mod:`.manager`)."""

import mimetypes
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files
from typing import Any

from aiohttp import web

from trajerr.errors import ConfigError, DataError
from trajerr.workbench import pages
from trajerr.workbench.folder import WORK, Folder
from trajerr.workbench.guard import OTHERS_PAGES, middlewares
from trajerr.workbench.manager import Manager
from trajerr.workbench.outcomes import outcome
from trajerr.workbench.progress import progress
from trajerr.workbench.recipes import RECIPES, Recipe
from trajerr.workbench.settings import Settings
from trajerr.workbench.uploads import check_bundle, clear_unfinished, take_file
from trajerr.workbench.work import DONE, FAILED, TAIL, State, output_since

ASSETS = ("workbench.css", "workbench.js")
SHOWN = (".html", ".png")  # of the folder's files, in a sandbox; others are to be downloaded
RECENT = 6
MOST_ORDER = 64_000  # bytes of a form

Answer = web.StreamResponse


def application(settings: Settings) -> web.Application:
    """Return the workbench of a folder, ready to be served."""
    folder = Folder(settings.root)
    bench = _Bench(folder, settings)
    app = web.Application(middlewares=middlewares(settings), client_max_size=MOST_ORDER)
    app.cleanup_ctx.append(bench.life)
    app.add_routes(
        [
            web.get("/", bench.home),
            web.get("/work", bench.list),
            web.get("/work/{id}", bench.work),
            web.get("/assets/{name}", bench.asset),
            web.get("/inside/{name:.+}", bench.inside),
            web.get("/api/line", bench.line),
            web.put("/api/files", bench.take),
            web.post("/api/bundles", bench.bundle),
            web.post("/api/work", bench.begin),
            web.get("/api/work/{id}", bench.state),
            web.post("/api/work/{id}/{order:cancel|resume}", bench.order),
            *(web.get(f"/{kind}", bench.screen) for kind in RECIPES),
        ]
    )
    return app


class _Bench:
    """Answers requests for one folder."""

    def __init__(self, folder: Folder, settings: Settings) -> None:
        self._folder, self._settings = folder, settings
        self._manager = Manager(folder, settings.at_once)

    async def life(self, app: web.Application) -> AsyncIterator[None]:
        """Clear up before the first request, and end all work after the last."""
        clear_unfinished(self._folder)
        yield
        await self._manager.end()

    async def home(self, request: web.Request) -> Answer:
        return _page(pages.home(self._folder, self._manager.all()[:RECENT]))

    async def list(self, request: web.Request) -> Answer:
        return _page(pages.work_list(self._manager.all()))

    async def screen(self, request: web.Request) -> Answer:
        recipe = RECIPES[request.path.strip("/")]
        recent = self._manager.all(recipe.kind)[:RECENT]
        return _page(pages.screen(recipe, self._folder, recent))

    async def work(self, request: web.Request) -> Answer:
        name = request.match_info["id"]
        state = self._manager.state(name)
        return _page(pages.work_page(self._manager.work(name), state))

    async def asset(self, request: web.Request) -> Answer:
        name = request.match_info["name"]
        if name not in ASSETS:
            raise web.HTTPNotFound(text=f"{name}: no such asset")
        content = files("trajerr.workbench").joinpath("assets", name).read_bytes()
        return web.Response(body=content, content_type=_kind(name), charset="utf-8")

    async def inside(self, request: web.Request) -> Answer:
        """Give a file of the folder: shown where it is a picture or a page, else to download."""
        path = self._folder.inside(request.match_info["name"])
        if not path.is_file():
            raise web.HTTPNotFound(text=f"{request.match_info['name']}: no such file")
        is_shown = path.suffix in SHOWN and "download" not in request.query
        headers = {"Content-Security-Policy": OTHERS_PAGES, "Cache-Control": "no-store"}
        if is_shown:
            headers["Content-Type"] = _kind(path.name)
        else:
            headers["Content-Type"] = "application/octet-stream"
            headers["Content-Disposition"] = "attachment"
        return web.FileResponse(path, headers=headers)

    async def line(self, request: web.Request) -> Answer:
        """Say the command lines of a form as it stands, or what is missing in it."""
        form = dict(request.query)
        recipe = _recipe(form.pop("kind", ""))
        try:
            return web.json_response({"lines": recipe.lines(form, self._folder)})
        except (ConfigError, DataError) as error:
            return web.json_response({"lines": [], "missing": str(error)})

    async def take(self, request: web.Request) -> Answer:
        return web.json_response(
            {"name": await take_file(request, self._folder, self._settings.most_upload)}
        )

    async def bundle(self, request: web.Request) -> Answer:
        said = await _order(request)
        return web.json_response({"name": check_bundle(self._folder, str(said.get("name", "")))})

    async def begin(self, request: web.Request) -> Answer:
        said = await _order(request)
        recipe, form = _recipe(str(said.get("kind", ""))), said.get("form")
        if not isinstance(form, Mapping):
            raise DataError("form: missing, expected what was filled in")
        work = recipe.work(form, self._folder)
        self._manager.begin(work)
        return web.json_response({"id": work.id})

    async def state(self, request: web.Request) -> Answer:
        name = request.match_info["id"]
        state, work = self._manager.state(name), self._manager.work(name)
        place = self._folder.root / WORK / name
        said = output_since(place)[-TAIL:]
        return web.json_response(
            {
                "state": state.name,
                "open": pages.is_open(state),
                "sentence": _sentence(state, said),
                "step": state.step,
                "steps": len(work.steps),
                "began": state.step_began,
                "outcome": outcome(work, self._folder) if state.name == DONE else "",
                "output": said,
                **progress(place, work, state).to_dict(),
            }
        )

    async def order(self, request: web.Request) -> Answer:
        name = request.match_info["id"]
        if request.match_info["order"] == "cancel":
            await self._manager.cancel(name)
        else:
            await self._manager.resume(name)
        return web.json_response({"id": name})


def _sentence(state: State, said: str) -> str:
    """Return how work stands; where a command has refused, with what it said last."""
    sentence, lines = pages.state_line(state), said.strip().splitlines()
    refused = state.name == FAILED and (state.code or 0) > 0 and lines
    return f"{sentence} {lines[-1].strip()}" if refused else sentence


def _recipe(kind: str) -> Recipe:
    if kind not in RECIPES:
        raise DataError(f"kind: got {kind[:40]!r}, expected one of {', '.join(RECIPES)}")
    return RECIPES[kind]


async def _order(request: web.Request) -> Mapping[str, Any]:
    try:
        said = await request.json()
    except ValueError:
        raise DataError("order: not JSON, expected keys and values") from None
    if not isinstance(said, Mapping):
        raise DataError("order: expected keys and values")
    return said


def _page(text: str) -> Answer:
    return web.Response(text=text, content_type="text/html")


def _kind(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
