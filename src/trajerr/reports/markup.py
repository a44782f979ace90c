"""The frame of every page: one file that opens anywhere, with nothing loaded from outside."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

# No source but this file is allowed: a browser then refuses what a mistake might load.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(title: str, body: str, script: str = "", style: str = "", *, dark: bool = False) -> str:
    """Return a whole page of these parts.

    Parameters
    ----------
    title
        Plain text.
    body, script, style
        Markup; rules that come after the shared ones.
    dark
        Whether all of it can be drawn on a dark ground where its reader prefers one.
    """
    scheme = ' data-scheme="both"' if dark else ""
    return (
        f'<!doctype html>\n<html lang="en"{scheme}>\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{asset('report.css')}{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n{script}</body>\n</html>\n"
    )


def asset(name: str) -> str:
    """Return the text of a file of the pages'."""
    return files("trajerr.reports").joinpath("assets", name).read_text(encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], marks: bool = False) -> str:
    """Return a table; with ``marks`` the last cell, yes or no, is coloured."""

    def cell(text: str, last: bool) -> str:
        kind = f' class="{text}"' if marks and last else ""
        return f"<td{kind}>{escape(text)}</td>"

    lines = [
        "<tr>" + "".join(cell(text, i == len(row) - 1) for i, text in enumerate(row)) + "</tr>"
        for row in rows
    ]
    top = "".join(f"<th>{escape(text)}</th>" for text in head)
    return f'<div class="scroll"><table><tr>{top}</tr>{"".join(lines)}</table></div>'
