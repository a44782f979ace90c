"""Pieces of pages: tables, tiles, links into the folder."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from trajerr.workbench.folder import Folder


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; one of many columns can be moved on a narrow screen."""
    top = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    top = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(str(text))}</td>" for text in row) + "</tr>" for row in rows
    )
    return f'<div class="scroll" tabindex="0"><table>{top}<tbody>{lines}</tbody></table></div>'


def tiles(*shown: tuple[str, str]) -> str:
    """Return numbers and what each means."""
    each = "".join(f"<div><b>{escape(a)}</b><span>{escape(b)}</span></div>" for a, b in shown)
    return f'<div class="tiles">{each}</div>'


def href(name: str) -> str:
    """Return the address of a file of the folder."""
    return f"/inside/{quote(name)}"


def view(name: str, title: str, *, tall: bool = False) -> str:
    """Return a frame with a page of the folder."""
    kind = "view tall" if tall else "view"
    return f'<iframe class="{kind}" title="{escape(title)}" src="{href(name)}"></iframe>'


def pictures(folder: Folder, place: str) -> str:
    """Return all pictures of a folder's folder."""
    found = sorted(folder.inside(place).glob("*.png"))
    return "".join(
        f'<figure><img src="{href(folder.name(path))}" alt="{escape(_called(path.stem))}">'
        f"<figcaption>{escape(_called(path.stem))}</figcaption></figure>"
        for path in found
    )


def download(name: str, label: str, *, quiet: bool = False) -> str:
    """Return a link that downloads a file of the folder."""
    kind = "button quiet" if quiet else "button"
    return f'<a class="{kind}" href="{href(name)}?download=1" download>{escape(label)}</a>'


def _called(stem: str) -> str:
    return stem.replace("_", " ")
