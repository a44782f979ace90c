"""The workbench's pages as HTML: one frame, a form for each screen, a page for each work."""

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import urlencode

from trajerr.version import __version__
from trajerr.workbench.elements import table
from trajerr.workbench.folder import Folder
from trajerr.workbench.forms import CHOICE, FILE, NUMBER, Field
from trajerr.workbench.printers import HEAD, described
from trajerr.workbench.recipes import RECIPES, Recipe
from trajerr.workbench.work import (
    CANCELLED,
    DONE,
    FAILED,
    LOST,
    OPEN,
    RUNS,
    WAITS,
    State,
    Work,
)

SCREENS = {"file": "File", "printer": "Printer", "learn": "Learn", "correct": "Correct"}
STATES = {
    WAITS: "waits for its turn",
    RUNS: "runs",
    DONE: "done",
    FAILED: "failed",
    CANCELLED: "cancelled",
    LOST: "ended without a word",
}


def frame(title: str, here: str, body: str) -> str:
    """Return a whole page.

    Parameters
    ----------
    title
        Of the page.
    here
        The screen that it belongs to.
    body
        HTML.
    """
    links = "".join(
        f'<a href="/{key}"{" aria-current=page" if key == here else ""}>{name}</a>'
        for key, name in {**SCREENS, "work": "All work"}.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)} · trajerr</title>\n"
        '<link rel="icon" href="data:,">\n'
        '<link rel="stylesheet" href="/assets/workbench.css">\n'
        '<script src="/assets/workbench.js" defer></script>\n</head>\n<body>\n'
        '<a class="skip" href="#main">To the content</a>\n'
        f'<header><a class="brand" href="/">trajerr</a><nav aria-label="Screens">{links}</nav>'
        f'</header>\n<main id="main">\n{body}\n</main>\n'
        f"<footer>trajerr {escape(__version__)} on this machine; nothing leaves it.</footer>\n"
        "</body>\n</html>\n"
    )


def home(folder: Folder, recent: Sequence[tuple[Work, State]]) -> str:
    """Return the first page: the screens in the order in which a newcomer needs them."""
    cards = "".join(
        f'<a class="card" href="/{key}"><b>{escape(RECIPES[key].title)}</b>'
        f"<span>{escape(RECIPES[key].lead)}</span></a>"
        for key in SCREENS
    )
    body = (
        "<h1>Prints without ringing, and corners where they belong</h1>"
        '<p class="lead">A printer never moves quite as its file says. trajerr learns how far off '
        "it will be, and writes a file that makes up for it. With a bundle at hand, "
        '<a href="/correct">correct a file</a>; without one, begin with '
        '<a href="/printer">a printer</a>.</p>'
        f'<div class="cards">{cards}</div>{recent_work(recent)}{_where(folder)}'
    )
    return frame("Workbench", "", body)


def screen(recipe: Recipe, folder: Folder, recent: Sequence[tuple[Work, State]]) -> str:
    """Return the page of one screen: its form, the command line, what was done before."""
    fields = "".join(_field(field, folder) for field in recipe.fields)
    wanted = next((field.needed for field in recipe.fields if field.name == "bundle"), None)
    extra = "" if wanted is None else _add_bundle(is_open=wanted and not folder.bundles())
    body = (
        f'<h1>{escape(recipe.title)}</h1><p class="lead">{escape(recipe.lead)}</p>'
        f'<form class="panel" data-kind="{recipe.kind}" novalidate>{fields}'
        f'<div class="row"><button type="submit" class="main">{escape(recipe.button)}</button>'
        '<p class="said" role="alert"></p></div></form>'
        f"{extra}{_command_line()}{recent_work(recent)}{_printers(recipe, folder)}{_where(folder)}"
    )
    return frame(recipe.title, recipe.kind, body)


def work_page(work: Work, state: State) -> str:
    """Return the page of one piece of work; a script fills in how far it is."""
    steps = "".join(f"<li>{escape(step.title)}</li>" for step in work.steps)
    lines = "\n".join(step.line for step in work.steps)
    body = (
        f'<p class="path"><a href="/{work.kind}">{escape(SCREENS.get(work.kind, "Work"))}</a></p>'
        f"<h1>{escape(work.title)}</h1>"
        f'<section class="panel" data-work="{work.id}" data-state="{state.name}">'
        '<p class="state" role="status"></p>'
        f'<ol class="steps">{steps}</ol>'
        '<progress max="1" aria-label="how far it is"></progress><p class="detail soft"></p>'
        '<figure class="losses" hidden><svg viewBox="0 0 640 220" role="img" '
        'aria-label="loss by epoch"></svg><figcaption>Loss by epoch: the lower, the closer the '
        "network comes to the recordings. <b>Checked</b> counts what it was not shown."
        "</figcaption></figure>"
        '<div class="row"><button type="button" data-do="cancel">Cancel</button>'
        '<button type="button" data-do="resume">Go on</button>'
        f'<a class="button quiet" href="{escape(_again(work))}">Change what was asked</a>'
        '<p class="said" role="alert"></p></div></section>'
        '<section class="outcome" aria-live="polite"></section>'
        f"{_command_line(lines)}"
        '<details class="output"><summary>What the commands say</summary><pre tabindex="0"></pre>'
        "</details>"
    )
    return frame(work.title, work.kind, body)


def _again(work: Work) -> str:
    """Return the address of a screen, filled in as it was for a piece of work."""
    return f"/{work.kind}?{urlencode({name: said for name, said in work.form.items() if said})}"


def work_list(found: Sequence[tuple[Work, State]]) -> str:
    """Return the page of all work."""
    empty = '<p class="soft">Nothing yet.</p>'
    return frame("All work", "work", f"<h1>All work</h1>{recent_work(found) or empty}")


def recent_work(found: Iterable[tuple[Work, State]]) -> str:
    """Return pieces of work as a list of links; nothing where there is none."""
    rows = "".join(
        f'<li><a href="/work/{work.id}">{escape(work.title)}</a> '
        f'<span class="soft">{escape(SCREENS.get(work.kind, work.kind))}, '
        f'<time data-at="{work.began:.0f}"></time></span> '
        f'<span class="mark {state.name}">{STATES[state.name]}</span></li>'
        for work, state in found
    )
    return f'<h2>Before</h2><ul class="before">{rows}</ul>' if rows else ""


def state_line(state: State) -> str:
    """Return the sentence that says how a piece of work stands."""
    if state.name == LOST:
        return (
            "It ended without a word: the process was killed, or the machine ran out of memory or "
            "of room on its disk. What it had done is kept; Go on begins the step that is left."
        )
    if state.name == CANCELLED:
        return "Cancelled. What it had done is kept; Go on begins where it was."
    if state.name == FAILED and state.code is not None and state.code < 0:
        return (
            f"The command was ended by signal {-state.code} (killed, or out of memory). What it "
            "had done is kept; Go on begins the step that is left."
        )
    sentences = {WAITS: "Waits for its turn.", RUNS: "Runs.", DONE: "Done.", FAILED: "Failed."}
    return sentences[state.name]


def is_open(state: State) -> bool:
    """Whether work is not yet at its end."""
    return state.name in OPEN


def _field(field: Field, folder: Folder) -> str:
    name, hint = f"field-{field.name}", f"hint-{field.name}"
    only = f' data-only="{field.only[0]}={" ".join(field.only[1:])}"' if field.only else ""
    described = f' aria-describedby="{hint}"' if field.hint else ""
    told = f'<span class="hint" id="{hint}">{escape(field.hint)}</span>' if field.hint else ""
    label = f'<label for="{name}">{escape(field.label)}</label>'
    return f'<div class="field"{only}>{label}{_control(field, name, described, folder)}{told}</div>'


def _control(field: Field, name: str, described: str, folder: Folder) -> str:
    common = f'id="{name}" name="{field.name}"{described}'
    if field.kind not in (FILE, CHOICE):
        mode = ' inputmode="numeric"' if field.kind == NUMBER else ""
        value = escape(field.value)
        return f'<input {common} value="{value}" autocomplete="off" spellcheck="false"{mode}>'
    choices = field.choices(folder)
    if field.kind == CHOICE and not choices:
        choices = [("", "none yet")]
    options = "".join(
        f'<option value="{escape(value)}"{" selected" if value == field.value else ""}>'
        f"{escape(label)}</option>"
        for value, label in choices
    )
    if field.kind == CHOICE:
        return f"<select {common}>{options}</select>"
    nothing = f'<option value="">{"choose or drop one" if field.needed else "none"}</option>'
    chosen = f"<select {common}>{nothing}{options}</select>"
    return (
        f'<div class="drop">{chosen}'
        f'<label class="pick">Choose a file<input type="file" aria-label="{escape(field.label)}: '
        'add a file from this computer"></label>'
        '<span class="soft dropped" aria-live="polite">or drop it here</span></div>'
    )


def _printers(recipe: Recipe, folder: Folder) -> str:
    """Return the printers that can be chosen, on the screen that makes them."""
    if recipe.kind != "printer":
        return ""
    return f"<h2>Printers that can be chosen</h2>{table(HEAD, described(folder))}"


def _add_bundle(*, is_open: bool) -> str:
    return (
        f'<details class="panel add-bundle"{" open" if is_open else ""}>'
        "<summary>Add a bundle from this computer</summary>"
        '<div class="field"><label for="bundle-name">Its name here</label>'
        '<input id="bundle-name" autocomplete="off" spellcheck="false"></div>'
        '<div class="row"><label class="pick">Choose its folder<input type="file" multiple '
        'webkitdirectory aria-label="folder of the bundle"></label>'
        '<p class="said" role="alert"></p></div></details>'
    )


def _command_line(lines: str = "") -> str:
    return (
        '<section class="line"><h2>The same on the command line</h2><div class="code">'
        f'<pre tabindex="0">{escape(lines)}</pre>'
        '<button type="button" data-do="copy">Copy</button></div></section>'
    )


def _where(folder: Folder) -> str:
    return (
        f'<p class="soft where">Folder: <code>{escape(str(folder.root))}</code>. All is read and '
        "written there, and command lines count from there.</p>"
    )
